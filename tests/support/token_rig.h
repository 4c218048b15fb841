// SPDX-License-Identifier: MIT
// A key of each algorithm, and what becomes of a token that is checked with
// them.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "exporter/api/token.h"
#include "tests/support/tokens.h"

namespace test {

inline constexpr auto kUser = "5d3a2a3e-9d3c-4a56-8f3b-3d0f6a1c2b7e";

// Made once a process, as an RSA key takes a while.
inline const Signer& TheSecret() {
  static const auto signer =
      Signer::Secret("a secret of a project, 32 bytes or more");
  return signer;
}
inline const Signer& TheEcKey() {
  static const auto signer = Signer::Ec("ec");
  return signer;
}
inline const Signer& TheRsaKey() {
  static const auto signer = Signer::Rsa("rsa");
  return signer;
}

inline const meshhook::api::KeySet& TheKeys() {
  static const auto keys = [] {
    auto all =
        meshhook::api::ReadJwks(JwksOf({TheEcKey().Jwk(), TheRsaKey().Jwk()}))
            .keys;
    all.push_back(
        meshhook::api::SecretKey("a secret of a project, 32 bytes or more"));
    return meshhook::api::KeySet(all);
  }();
  return keys;
}

struct Verdict {
  std::optional<meshhook::api::Caller> caller;
  meshhook::api::TokenError::Why why = {};
  std::string reason = "it was verified";
};

// Lets through anything that is thrown but a TokenError.
inline Verdict Judge(const std::string& token,
                     const meshhook::api::TokenRules& rules = {},
                     const meshhook::api::KeySet& keys = TheKeys(),
                     std::chrono::system_clock::time_point now =
                         std::chrono::system_clock::now()) {
  Verdict verdict;
  try {
    verdict.caller = meshhook::api::Verify(token, keys, rules, now);
  } catch (const meshhook::api::TokenError& error) {
    verdict.why = error.why();
    verdict.reason = error.what();
  }
  return verdict;
}

// One claim in place of a user's own; null takes it out.
inline Json::Value ClaimsWith(const std::string& name,
                              const Json::Value& value) {
  Json::Value claims = UserClaims(kUser);
  claims[name] = value;
  if (value.isNull()) claims.removeMember(name);
  return claims;
}

}  // namespace test
