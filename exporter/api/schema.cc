// SPDX-License-Identifier: MIT
#include "exporter/api/schema.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <cmath>
#include <set>
#include <sstream>
#include <stdexcept>
#include <vector>

namespace meshhook::api {
namespace {

bool IsDigits(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    return c >= '0' && c <= '9';
  });
}

// Takes what `form` shows off the front of `text`: a 0 stands for a digit,
// anything else for itself.
bool Take(std::string_view& text, std::string_view form) {
  if (text.size() < form.size()) return false;
  for (size_t i = 0; i < form.size(); ++i) {
    if (form[i] == '0' ? !IsDigits(text.substr(i, 1)) : text[i] != form[i]) {
      return false;
    }
  }
  text.remove_prefix(form.size());
  return true;
}

int Number(std::string_view text, size_t at, size_t length) {
  int number = 0;
  std::from_chars(text.data() + at, text.data() + at + length, number);
  return number;
}

bool IsType(const Json::Value& value, const std::string& type) {
  if (type == "string") return value.isString();
  if (type == "boolean") return value.isBool();
  if (type == "null") return value.isNull();
  if (type == "array") return value.isArray();
  if (type == "object") return value.isObject();
  const bool number = value.isNumeric() && std::isfinite(value.asDouble());
  if (type == "number") return number;
  return number && value.asDouble() == std::floor(value.asDouble());
}

std::vector<std::string> Types(const Json::Value& schema) {
  const auto& type = schema["type"];
  std::vector<std::string> types;
  if (type.isString()) types.push_back(type.asString());
  for (const auto& one : type.isArray() ? type : Json::Value()) {
    types.push_back(one.asString());
  }
  return types;
}

std::string Written(const Json::Value& number) {
  std::ostringstream text;
  text.precision(15);
  text << number.asDouble();
  return text.str();
}

// "" where there are no bounds.
std::string Bounds(const Json::Value& schema, const char* least,
                   const char* most) {
  const bool from = schema.isMember(least);
  const bool to = schema.isMember(most);
  if (from && to) {
    return " from " + Written(schema[least]) + " to " + Written(schema[most]);
  }
  if (from) return " of at least " + Written(schema[least]);
  return to ? " of at most " + Written(schema[most]) : "";
}

// What would be right.
std::string Description(const Json::Value& schema) {
  if (schema.isMember("const")) return schema["const"].asString();
  if (schema.isMember("enum")) {
    std::string names;
    for (const auto& name : schema["enum"]) {
      names += (names.empty() ? "" : ", ") + name.asString();
    }
    return "one of " + names;
  }
  const auto types = Types(schema);
  const auto type = types.empty() ? "" : types.front();
  const auto format = schema["format"].asString();
  if (format == "uuid") {
    return "a UUID, as in 4f1c2a9e-0000-4000-8000-000000000001";
  }
  if (format == "date-time") {
    return "a time with its zone, as in 2026-01-31T14:00:00Z (in a URL + is "
           "written %2B)";
  }
  if (format == "base64url") return "a next_cursor of the page before";
  if (type == "boolean") return "true or false";
  if (type == "integer") {
    return "an integer" + Bounds(schema, "minimum", "maximum");
  }
  if (type == "number") {
    return "a number" + Bounds(schema, "minimum", "maximum");
  }
  if (type == "string") {
    const auto length = Bounds(schema, "minLength", "maxLength");
    return length.empty() ? "a string" : "a string" + length + " bytes";
  }
  return type == "array" ? "an array" : "an object";
}

bool HasFormat(const std::string& text, const std::string& format) {
  if (format == "uuid") return IsUuid(text);
  if (format == "date-time") return IsDateTime(text);
  if (format == "base64url") {
    return std::all_of(text.begin(), text.end(), [](char c) {
      return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') ||
             (c >= 'a' && c <= 'z') || c == '-' || c == '_';
    });
  }
  return format.empty();
}

bool IsOneOf(const Json::Value& value, const Json::Value& choices) {
  return std::find(choices.begin(), choices.end(), value) != choices.end();
}

// Apart from what is within it.
bool Fits(const Json::Value& value, const Json::Value& schema) {
  const auto types = Types(schema);
  const auto is_it = [&](const std::string& type) {
    return IsType(value, type);
  };
  if (!types.empty() && std::none_of(types.begin(), types.end(), is_it)) {
    return false;
  }
  if (schema.isMember("const") && value != schema["const"]) return false;
  if (schema.isMember("enum") && !IsOneOf(value, schema["enum"])) return false;
  if (value.isNumeric()) {
    const double number = value.asDouble();
    return !(schema.isMember("minimum") &&
             number < schema["minimum"].asDouble()) &&
           !(schema.isMember("maximum") &&
             number > schema["maximum"].asDouble());
  }
  if (value.isString()) {
    const auto text = value.asString();
    return !(schema.isMember("minLength") &&
             text.size() < schema["minLength"].asUInt64()) &&
           !(schema.isMember("maxLength") &&
             text.size() > schema["maxLength"].asUInt64()) &&
           HasFormat(text, schema["format"].asString());
  }
  return !value.isArray() || !schema.isMember("maxItems") ||
         value.size() <= schema["maxItems"].asUInt();
}

std::string Joined(const std::string& outer, const std::string& inner) {
  return inner.empty() ? outer : outer + "." + inner;
}

// Every schema in the document is below one of these names.
void CheckKeywords(const Json::Value& schema) {
  static const std::set<std::string> known{
      "$ref",        "additionalProperties",
      "const",       "default",
      "enum",        "format",
      "items",       "maxItems",
      "maximum",     "maxLength",
      "minLength",   "minimum",
      "description", "type",
      "properties",  "required"};
  for (const auto& keyword : schema.getMemberNames()) {
    if (!known.contains(keyword)) {
      throw std::logic_error("no schema may say " + keyword +
                             ", as nothing here checks it");
    }
  }
  for (const auto& inner : schema["properties"]) CheckKeywords(inner);
  if (schema.isMember("items")) CheckKeywords(schema["items"]);
}

void CheckSchemasBelow(const Json::Value& value) {
  if (!value.isObject() && !value.isArray()) return;
  if (value.isObject() && value.isMember("schema")) {
    CheckKeywords(value["schema"]);
  }
  for (const auto& inner : value) CheckSchemasBelow(inner);
}

}  // namespace

bool IsUuid(std::string_view text) {
  constexpr std::string_view kForm = "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx";
  return text.size() == kForm.size() &&
         std::equal(
             text.begin(), text.end(), kForm.begin(), [](char c, char form) {
               return form == '-'
                          ? c == '-'
                          : (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') ||
                                (c >= 'A' && c <= 'F');
             });
}

bool IsDateTime(std::string_view text) {
  const std::string_view whole = text;
  if (!Take(text, "0000-00-00")) return false;
  if (!Take(text, "T") && !Take(text, "t")) return false;
  if (!Take(text, "00:00:00")) return false;
  const std::chrono::year_month_day date{
      std::chrono::year(Number(whole, 0, 4)),
      std::chrono::month(static_cast<unsigned>(Number(whole, 5, 2))),
      std::chrono::day(static_cast<unsigned>(Number(whole, 8, 2)))};
  if (!date.ok() || date.year() < std::chrono::year(1) ||
      Number(whole, 11, 2) > 23 || Number(whole, 14, 2) > 59 ||
      Number(whole, 17, 2) > 59) {
    return false;
  }
  if (Take(text, ".")) {
    const size_t digits =
        std::min(text.find_first_not_of("0123456789"), text.size());
    if (digits == 0 || digits > 9) return false;
    text.remove_prefix(digits);
  }
  if (text == "Z" || text == "z") return true;
  const std::string_view zone = text;
  return (Take(text, "+00:00") || Take(text, "-00:00")) && text.empty() &&
         Number(zone, 1, 2) <= 15 && Number(zone, 4, 2) <= 59;
}

Schemas::Schemas(const Json::Value& document) : document_(document) {
  CheckSchemasBelow(document);
  for (const auto& schema : document["components"]["schemas"]) {
    CheckKeywords(schema);
  }
}

const Json::Value& Schemas::Resolved(const Json::Value& schema) const {
  if (!schema.isMember("$ref")) return schema;
  const Json::Value* found = &document_;
  std::istringstream names(schema["$ref"].asString());
  std::string name;
  std::getline(names, name, '/');  // "#"
  while (std::getline(names, name, '/')) found = &(*found)[name];
  if (!found->isObject()) {
    throw std::logic_error("there is no " + schema["$ref"].asString());
  }
  return Resolved(*found);
}

std::optional<Fault> Schemas::FaultOf(const Json::Value& value,
                                      const Json::Value& unresolved) const {
  const auto& schema = Resolved(unresolved);
  if (!Fits(value, schema)) return Fault{"", "must be " + Description(schema)};
  if (value.isArray() && schema.isMember("items")) {
    for (Json::ArrayIndex i = 0; i < value.size(); ++i) {
      if (auto fault = FaultOf(value[i], schema["items"])) {
        fault->where = Joined("[" + std::to_string(i) + "]", fault->where);
        return fault;
      }
    }
  }
  if (!value.isObject()) return std::nullopt;
  for (const auto& name : schema["required"]) {
    if (!value.isMember(name.asString())) {
      const auto& missing = schema["properties"][name.asString()];
      return Fault{name.asString(),
                   "is missing; it must be " + Description(Resolved(missing))};
    }
  }
  const auto& properties = schema["properties"];
  for (const auto& name : value.getMemberNames()) {
    if (properties.isMember(name)) {
      if (auto fault = FaultOf(value[name], properties[name])) {
        fault->where = Joined(name, fault->where);
        return fault;
      }
    } else if (schema.isMember("additionalProperties")) {
      std::string names;
      for (const auto& known : properties.getMemberNames()) {
        names += (names.empty() ? "" : ", ") + known;
      }
      return Fault{name, "is not known here; there are " + names};
    }
  }
  return std::nullopt;
}

Json::Value Schemas::FromText(const std::string& text,
                              const Json::Value& unresolved) const {
  const auto& schema = Resolved(unresolved);
  const auto types = Types(schema);
  const auto type = types.empty() ? "" : types.front();
  if (type == "boolean" && (text == "true" || text == "false")) {
    return text == "true";
  }
  if (type == "integer") {
    Json::Int64 number = 0;
    const auto [end, error] =
        std::from_chars(text.data(), text.data() + text.size(), number);
    if (error == std::errc() && end == text.data() + text.size()) return number;
  }
  return text;
}

}  // namespace meshhook::api
