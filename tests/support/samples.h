// SPDX-License-Identifier: MIT
// What one may write for a parameter, by its schema in the API's document.
#pragma once

#include <json/value.h>

#include <ctime>
#include <string>
#include <vector>

namespace test {

struct Samples {
  std::vector<std::string> good;
  std::vector<std::string> bad;
};

// Texts that are and are not what the schema takes, not percent-encoded. A time
// that is good was an hour ago.
Samples SamplesOf(const Json::Value& schema);

// As a part of a URL.
std::string Encoded(const std::string& text);

// `$ref` followed.
const Json::Value& Resolved(const Json::Value& document,
                            const Json::Value& value);

// The time in UTC, as in 2026-01-31T14:00:00Z.
std::string TimeOf(std::time_t time);

}  // namespace test
