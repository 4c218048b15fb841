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

// The object or array that the text is. nullopt where it is anything else, or
// could be read in two ways: comments, a key that stands twice, text behind the
// end, bytes that are not UTF-8; and where PostgreSQL would refuse it as jsonb,
// which holds neither NUL nor half of a surrogate pair.
std::optional<Json::Value> ParseJson(std::string_view text);
// The same of an object only.
std::optional<Json::Value> ParseObject(std::string_view text);

// In one line of ASCII.
std::string ToLine(const Json::Value& value);

}  // namespace meshhook::api
