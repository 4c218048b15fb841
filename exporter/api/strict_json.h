// SPDX-License-Identifier: MIT
// JSON of strangers: one meaning or none.
#pragma once

#include <json/value.h>

#include <optional>
#include <string>
#include <string_view>

namespace meshhook::api {

// Deeper than anything here is, and far from what a thread's stack holds.
inline constexpr int kDeepestJson = 32;

// The object or array that the text is, by RFC 8259 to the letter. nullopt
// where it is anything else; where a key stands twice in it; and where
// PostgreSQL would refuse it as jsonb, which has no place for NUL.
std::optional<Json::Value> ParseJson(std::string_view text);
// The same of an object only.
std::optional<Json::Value> ParseObject(std::string_view text);

// In one line of ASCII. With 17 digits a number is what it was to the last bit;
// with 15 one that a person wrote, as 0.1, looks as it was written.
std::string ToLine(const Json::Value& value, int digits = 17);

}  // namespace meshhook::api
