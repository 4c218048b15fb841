// SPDX-License-Identifier: MIT
#include "exporter/api/strict_json.h"

#include <json/reader.h>
#include <json/writer.h>

#include <algorithm>
#include <memory>

#include "exporter/utf8.h"

namespace meshhook::api {
namespace {

bool IsUtf8(std::string_view text) {
  while (!text.empty()) {
    const size_t length = Utf8Length(text);
    if (length == 0) return false;
    text.remove_prefix(length);
  }
  return true;
}

// Once its escapes are read. Half a surrogate pair is then no UTF-8.
bool IsText(std::string_view text) {
  return text.find('\0') == text.npos && IsUtf8(text);
}

std::string_view TextOf(const Json::Value& value) {
  const char* begin = nullptr;
  const char* end = nullptr;
  value.getString(&begin, &end);
  return {begin, static_cast<size_t>(end - begin)};
}

bool HoldsText(const Json::Value& value) {
  if (value.isString()) return IsText(TextOf(value));
  if (value.isObject()) {
    const auto names = value.getMemberNames();
    if (!std::all_of(names.begin(), names.end(), IsText)) return false;
  }
  return std::all_of(value.begin(), value.end(), HoldsText);
}

std::unique_ptr<Json::CharReader> StrictReader() {
  Json::CharReaderBuilder builder;
  Json::CharReaderBuilder::strictMode(&builder.settings_);
  builder["stackLimit"] = kDeepestJson;
  builder["skipBom"] = false;
  return std::unique_ptr<Json::CharReader>(builder.newCharReader());
}

}  // namespace

std::optional<Json::Value> ParseJson(std::string_view text) {
  // jsoncpp takes a NUL for the end.
  if (!IsText(text)) return std::nullopt;
  try {
    Json::Value value;
    if (!StrictReader()->parse(text.data(), text.data() + text.size(), &value,
                               nullptr) ||
        !HoldsText(value)) {
      return std::nullopt;
    }
    return value;
  } catch (const Json::Exception&) {  // how it says that it is too deep
    return std::nullopt;
  }
}

std::optional<Json::Value> ParseObject(std::string_view text) {
  auto value = ParseJson(text);
  if (value && !value->isObject()) return std::nullopt;
  return value;
}

std::string ToLine(const Json::Value& value) {
  Json::StreamWriterBuilder builder;
  builder["indentation"] = "";
  builder["commentStyle"] = "None";
  builder["precision"] = 15;  // 0.1 stays 0.1
  return Json::writeString(builder, value);
}

}  // namespace meshhook::api
