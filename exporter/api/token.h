// SPDX-License-Identifier: MIT
// Who asks, as a JSON Web Token (RFC 7519) in compact form says.
#pragma once

#include <chrono>
#include <string>
#include <string_view>

#include "exporter/api/keys.h"
#include "exporter/api/token_error.h"

namespace meshhook::api {

inline constexpr size_t kLongestToken = 8192;

// Who asks, as a token says that was verified.
struct Caller {
  std::string role;     // authenticated or service_role
  std::string subject;  // the claim `sub`: for authenticated a UUID; where a
                        // service_role has none, "service_role"
  std::string claims;   // all of them, in one line of ASCII
  std::chrono::system_clock::time_point expires;
};

struct TokenRules {
  std::string audience;  // "": any. Service keys may have none
  std::string issuer;    // "": any
  std::chrono::seconds leeway{60};
};

// Throws TokenError. What is read before the signature is verified is the
// header alone, to find the key.
Caller Verify(std::string_view token, const KeySet& keys,
              const TokenRules& rules,
              std::chrono::system_clock::time_point now);

}  // namespace meshhook::api
