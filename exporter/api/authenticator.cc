// SPDX-License-Identifier: MIT
#include "exporter/api/authenticator.h"

#include <algorithm>
#include <cctype>
#include <optional>
#include <utility>

namespace meshhook::api {

using Why = TokenError::Why;

std::string_view BearerToken(std::string_view authorization) {
  constexpr std::string_view kScheme = "bearer ";
  if (authorization.empty()) {
    throw TokenError(Why::kMissing, "there is no token");
  }
  const auto scheme = authorization.substr(0, kScheme.size());
  if (!std::equal(scheme.begin(), scheme.end(), kScheme.begin(), kScheme.end(),
                  [](char given, char expected) {
                    return std::tolower(static_cast<unsigned char>(given)) ==
                           expected;
                  })) {
    throw TokenError(Why::kMissing, "the authorization is not Bearer");
  }
  const auto token = authorization.substr(kScheme.size());
  if (token.empty()) throw TokenError(Why::kMissing, "there is no token");
  if (token.find_first_of(" \t,") != token.npos) {
    throw TokenError(Why::kRefused, "there is more than one token");
  }
  return token;
}

Authenticator::Authenticator(KeySource& source, TokenRules rules, Now now)
    : source_(source), rules_(std::move(rules)), now_(std::move(now)) {}

Caller Authenticator::Authenticate(std::string_view authorization) {
  const auto token = BearerToken(authorization);
  // nullopt where it may be that newer keys are needed.
  const auto verified = [&](const KeySet& keys) -> std::optional<Caller> {
    try {
      return Verify(token, keys, rules_, now_());
    } catch (const TokenError& error) {
      if (error.why() != Why::kUnknownKey) throw;
      return std::nullopt;
    }
  };
  const auto keys = source_.Current();
  if (auto caller = verified(*keys)) return *std::move(caller);
  if (const auto newer = source_.Newer(keys)) {
    if (auto caller = verified(*newer)) return *std::move(caller);
  }
  if (!source_.complete()) {
    throw TokenError(Why::kUnavailable, "the keys could not be read yet");
  }
  throw TokenError(Why::kUnknownKey, "no key is known that it names");
}

}  // namespace meshhook::api
