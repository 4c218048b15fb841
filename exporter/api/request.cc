// SPDX-License-Identifier: MIT
#include "exporter/api/request.h"

#include <algorithm>
#include <cctype>
#include <optional>

#include "exporter/api/problem.h"
#include "exporter/api/strict_json.h"
#include "exporter/utf8.h"

namespace meshhook::api {
namespace {

int HexDigit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

// A name or value of a query string; nullopt where it is malformed.
std::optional<std::string> Decoded(std::string_view text) {
  std::string decoded;
  for (size_t i = 0; i < text.size(); ++i) {
    char c = text[i] == '+' ? ' ' : text[i];
    if (c == '%') {
      const int high = i + 2 < text.size() ? HexDigit(text[i + 1]) : -1;
      const int low = high < 0 ? -1 : HexDigit(text[i + 2]);
      if (low < 0) return std::nullopt;
      c = static_cast<char>(high * 16 + low);
      i += 2;
    }
    if (c == '\0') return std::nullopt;
    decoded += c;
  }
  if (RepairedUtf8(decoded) != decoded) return std::nullopt;
  return decoded;
}

std::string NamesOf(const Operation& operation) {
  std::string names;
  for (const auto& parameter : operation.parameters) {
    if (parameter.in_path) continue;
    names += (names.empty() ? "" : ", ") + parameter.name;
  }
  return names.empty() ? "this call takes none" : "there are " + names;
}

// What a client sent is not repeated to it but for what looks like a name.
std::string Quotable(const std::string& name) {
  const bool plain = !name.empty() && name.size() <= 64 &&
                     std::all_of(name.begin(), name.end(), [](unsigned char c) {
                       return std::isalnum(c) != 0 || c == '_' || c == '-';
                     });
  return plain ? name : "";
}

void AddQuery(const Operation& operation, std::string_view query,
              const Contract& contract, Json::Value& arguments) {
  if (query.size() > kMostQuery) {
    throw Problem(414, "the query is longer than 4096 bytes");
  }
  while (!query.empty()) {
    const auto pair = query.substr(0, query.find('&'));
    query.remove_prefix(std::min(pair.size() + 1, query.size()));
    if (pair.empty()) continue;
    const auto name = Decoded(pair.substr(0, pair.find('=')));
    const auto value =
        Decoded(pair.substr(std::min(pair.find('='), pair.size() - 1) + 1));
    if (!name) {
      throw Problem(400,
                    "the name of a parameter is not percent-encoded UTF-8");
    }
    const auto parameter = std::find_if(
        operation.parameters.begin(), operation.parameters.end(),
        [&](const auto& one) { return !one.in_path && one.name == *name; });
    const auto quoted = Quotable(*name);
    if (parameter == operation.parameters.end()) {
      throw Problem(400,
                    (quoted.empty() ? "a parameter" : quoted) +
                        " is not known here; " + NamesOf(operation),
                    quoted);
    }
    if (arguments.isMember(*name)) {
      throw Problem(400, *name + " is given twice; give it once", *name);
    }
    if (!value) {
      throw Problem(400, *name + " is not percent-encoded UTF-8", *name);
    }
    arguments[*name] = contract.schemas().FromText(*value, *parameter->schema);
  }
}

void CheckParameters(const Operation& operation, const Contract& contract,
                     Json::Value& arguments) {
  for (const auto& parameter : operation.parameters) {
    if (!arguments.isMember(parameter.name)) {
      if (parameter.schema->isMember("default")) {
        arguments[parameter.name] = (*parameter.schema)["default"];
      } else if (parameter.required) {
        throw Problem(400, parameter.name + " is missing", parameter.name);
      }
      continue;
    }
    if (const auto fault = contract.schemas().FaultOf(arguments[parameter.name],
                                                      *parameter.schema)) {
      throw Problem(400, parameter.name + " " + fault->what, parameter.name);
    }
  }
}

bool IsJson(std::string_view content_type) {
  std::string type(content_type.substr(0, content_type.find(';')));
  type.erase(type.find_last_not_of(" \t") + 1);
  std::transform(type.begin(), type.end(), type.begin(), [](unsigned char c) {
    return static_cast<char>(std::tolower(c));
  });
  return type == "application/json";
}

Json::Value Body(const Operation& operation, const Request& request,
                 const Contract& contract) {
  if (request.body.size() > kMostBody) {
    throw Problem(413, "the body is longer than 16 KiB");
  }
  if (!IsJson(request.content_type)) {
    throw Problem(415, "send the body with Content-Type: application/json");
  }
  auto body = ParseObject(request.body);
  if (!body) {
    throw Problem(400,
                  "the body is not a JSON object (UTF-8, no member twice, "
                  "no U+0000)");
  }
  if (const auto fault = contract.schemas().FaultOf(*body, *operation.body)) {
    const auto quoted = Quotable(fault->where);
    throw Problem(
        400,
        (quoted.empty() ? "a member of the body" : quoted) + " " + fault->what,
        quoted);
  }
  const auto& properties = (*operation.body)["properties"];
  for (const auto& name : properties.getMemberNames()) {
    if (!body->isMember(name) && properties[name].isMember("default")) {
      (*body)[name] = properties[name]["default"];
    }
  }
  return *std::move(body);
}

}  // namespace

Json::Value Arguments(const Operation& operation, const Request& request,
                      const Contract& contract) {
  Json::Value arguments(Json::objectValue);
  if (operation.body != nullptr) {
    arguments = Body(operation, request, contract);
  } else if (!request.body.empty()) {
    throw Problem(400, "this call takes no body");
  }
  for (const auto& [name, value] : request.path_values) {
    arguments[name] = value;
  }
  AddQuery(operation, request.query, contract, arguments);
  CheckParameters(operation, contract, arguments);
  return arguments;
}

}  // namespace meshhook::api
