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

// The object that the text is, by RFC 8259 to the letter. nullopt where it is
// anything else; where a key stands twice in it; and where PostgreSQL would
// refuse it as jsonb, which has no place for NUL.
std::optional<Json::Value> ParseObject(std::string_view text);

// In one line of ASCII.
std::string ToLine(const Json::Value& value);

}  // namespace meshhook::api
