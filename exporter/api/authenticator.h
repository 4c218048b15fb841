// SPDX-License-Identifier: MIT
#pragma once

#include <chrono>
#include <functional>
#include <string_view>

#include "exporter/api/key_source.h"
#include "exporter/api/token.h"

namespace meshhook::api {

// The token of an Authorization header (RFC 6750), which holds the scheme
// Bearer, in any case, and one token. "" is no header. Throws TokenError.
std::string_view BearerToken(std::string_view authorization);

// Who sends a request. Thread-safe.
class Authenticator {
 public:
  using Now = std::function<std::chrono::system_clock::time_point()>;

  // The source must outlive this object.
  Authenticator(KeySource& source, TokenRules rules,
                Now now = &std::chrono::system_clock::now);

  // Throws TokenError.
  Caller Authenticate(std::string_view authorization);

 private:
  KeySource& source_;
  const TokenRules rules_;
  const Now now_;
};

}  // namespace meshhook::api
