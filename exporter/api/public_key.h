// SPDX-License-Identifier: MIT
// Public keys from the numbers that a JWK gives (RFC 7518, section 6).
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace meshhook::api {

// As PEM, from numbers in base64url; nullopt where they are none, or make no
// key that can be trusted. RSA from 2048 to 8192 bits.
std::optional<std::string> RsaPem(std::string_view modulus,
                                  std::string_view exponent);
std::optional<std::string> P256Pem(std::string_view x, std::string_view y);

}  // namespace meshhook::api
