// SPDX-License-Identifier: MIT
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace meshhook::api {

// What base64url (RFC 4648, section 5, without padding) stands for. nullopt for
// anything but the one way to write it: no other character, no length that
// cannot be, no bits that count for nothing.
std::optional<std::string> DecodeBase64Url(std::string_view text);

}  // namespace meshhook::api
