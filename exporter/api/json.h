// SPDX-License-Identifier: MIT
// JSON as it comes from strangers: strictly by RFC 8259, and nothing that
// PostgreSQL's jsonb would refuse.
#pragma once

#include <json/value.h>

#include <optional>
#include <string>
#include <string_view>

namespace meshhook::api {

// An object or an array. nullopt where the text is anything else, is not UTF-8,
// names a member twice, holds U+0000 or is nested deeper than 32.
std::optional<Json::Value> ParseJson(std::string_view text);

// On one line.
std::string ToText(const Json::Value& value);

}  // namespace meshhook::api
