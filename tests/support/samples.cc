// SPDX-License-Identifier: MIT
#include "tests/support/samples.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <ctime>
#include <sstream>
#include <stdexcept>

namespace test {
namespace {

Samples OfInteger(const Json::Value& schema) {
  const auto least = schema["minimum"].asInt64();
  const auto most = schema["maximum"].asInt64();
  return {{std::to_string(least), std::to_string(most)},
          {"", std::to_string(least - 1), std::to_string(most + 1), "-1", "1.5",
           "1e1", "0x10", " 1", "1 ", "+1", "ten", "1;2",
           "99999999999999999999", "9223372036854775808", "NaN", "\xD9\xA1"}};
}

Samples OfEnum(const Json::Value& schema) {
  Samples samples;
  for (const auto& one : schema["enum"]) samples.good.push_back(one.asString());
  const auto first = samples.good.front();
  auto upper = first;
  std::transform(upper.begin(), upper.end(), upper.begin(), [](char c) {
    return static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  });
  samples.bad = {"",          upper,
                 first + " ", " " + first,
                 first + ",", first + first,
                 "nonsense",  first + "' OR 1=1",
                 "null",      "[" + first + "]"};
  return samples;
}

Samples OfUuid() {
  return {{"4f1c2a9e-0000-4000-8000-000000000001",
           "4F1C2A9E-0000-4000-8000-000000000001"},
          {"", "1", "null", "4f1c2a9e-0000-4000-8000-00000000000",
           "4f1c2a9e-0000-4000-8000-0000000000011",
           "{4f1c2a9e-0000-4000-8000-000000000001}",
           "4f1c2a9e000040008000000000000001",
           "4f1c2a9e-0000-4000-8000-00000000000g",
           "4f1c2a9e-0000-4000-8000-000000000001\n",
           "4f1c2a9e-0000-4000-8000-000000000001' OR true --"}};
}

Samples OfTime() {
  const auto time = TimeOf(std::time(nullptr) - 3600);
  return {{time, time.substr(0, 19) + ".123456+00:00",
           time.substr(0, 19) + "-00:30"},
          {"",
           "now",
           "infinity",
           "today",
           "1769868000",
           "2026-01-31",
           "2026-01-31T14:00:00",
           "2026-01-31 14:00:00Z",
           "2026-01-31T14:00Z",
           "2026-02-30T00:00:00Z",
           "2026-13-01T00:00:00Z",
           "2026-01-31T24:00:00Z",
           "2026-01-31T14:60:00Z",
           "2026-01-31T14:00:61Z",
           "2026-01-31T14:00:00+1",
           "2026-01-31T14:00:00+16:00",
           "2026-01-31T14:00:00 Europe/Berlin",
           "2026-01-31T14:00:00Z BC",
           "+12026-01-31T14:00:00Z",
           "2026-01-31T14:00:00.Z",
           "2026-01-31T14:00:00Z' OR true --"}};
}

Samples OfBase64Url() {
  return {{"eyJ3IjoiYSJ9", "-_-_"},
          {"", "a b", "a=", "a+b", "a/b", "a.b", "\xC3\xA4",
           std::string(1025, 'a')}};
}

}  // namespace

Samples SamplesOf(const Json::Value& schema) {
  if (schema.isMember("enum")) return OfEnum(schema);
  const auto type = schema["type"].asString();
  const auto format = schema["format"].asString();
  if (type == "integer") return OfInteger(schema);
  if (type == "boolean") {
    return {{"true", "false"}, {"", "1", "0", "True", "yes", "null", "true "}};
  }
  if (format == "uuid") return OfUuid();
  if (format == "date-time") return OfTime();
  if (format == "base64url") return OfBase64Url();
  throw std::logic_error("no samples of " + schema.toStyledString());
}

std::string Encoded(const std::string& text) {
  constexpr auto kHex = "0123456789ABCDEF";
  std::string encoded;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 128 && (std::isalnum(byte) != 0 || c == '-' || c == '_')) {
      encoded += c;
    } else {
      encoded += {'%', kHex[byte >> 4], kHex[byte & 15]};
    }
  }
  return encoded;
}

const Json::Value& Resolved(const Json::Value& document,
                            const Json::Value& value) {
  if (!value.isMember("$ref")) return value;
  const Json::Value* found = &document;
  std::istringstream names(value["$ref"].asString().substr(2));
  for (std::string name; std::getline(names, name, '/');) {
    if (!found->isMember(name)) {
      throw std::runtime_error("nothing is at " + value["$ref"].asString());
    }
    found = &(*found)[name];
  }
  return Resolved(document, *found);
}

std::string TimeOf(std::time_t time) {
  std::tm parts{};
  gmtime_r(&time, &parts);
  std::array<char, 32> text;
  return {text.data(), std::strftime(text.data(), text.size(),
                                     "%Y-%m-%dT%H:%M:%SZ", &parts)};
}

}  // namespace test
