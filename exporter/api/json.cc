// SPDX-License-Identifier: MIT
#include "exporter/api/json.h"

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

bool HoldsNul(const std::string& text) {
  return text.find('\0') != std::string::npos;
}

bool HoldsNul(const Json::Value& value) {
  if (value.isString()) return HoldsNul(value.asString());
  if (value.isObject()) {
    const auto names = value.getMemberNames();
    if (std::any_of(names.begin(), names.end(),
                    [](const std::string& name) { return HoldsNul(name); })) {
      return true;
    }
  }
  return (value.isObject() || value.isArray()) &&
         std::any_of(value.begin(), value.end(),
                     [](const Json::Value& inner) { return HoldsNul(inner); });
}

std::unique_ptr<Json::CharReader> Reader() {
  Json::CharReaderBuilder builder;
  Json::CharReaderBuilder::strictMode(&builder.settings_);
  builder["stackLimit"] = 32;
  return std::unique_ptr<Json::CharReader>(builder.newCharReader());
}

}  // namespace

std::optional<Json::Value> ParseJson(std::string_view text) {
  if (!IsUtf8(text)) return std::nullopt;
  Json::Value value;
  std::string errors;
  try {
    if (!Reader()->parse(text.data(), text.data() + text.size(), &value,
                         &errors)) {
      return std::nullopt;
    }
  } catch (const Json::Exception&) {  // nested too deep
    return std::nullopt;
  }
  if (HoldsNul(value)) return std::nullopt;
  return value;
}

std::string ToText(const Json::Value& value) {
  Json::StreamWriterBuilder builder;
  builder["indentation"] = "";
  builder["emitUTF8"] = true;
  builder["precision"] = 15;  // 0.1 stays 0.1
  return Json::writeString(builder, value);
}

}  // namespace meshhook::api
