// SPDX-License-Identifier: MIT
#include "exporter/api/contract.h"

#include <algorithm>
#include <cctype>
#include <optional>
#include <stdexcept>

#include "exporter/api/openapi.h"
#include "exporter/api/strict_json.h"

namespace meshhook::api {
namespace {

std::string FunctionOf(const std::string& operation) {
  std::string name = "metrics.api_";
  for (const char c : operation) {
    if (std::isupper(static_cast<unsigned char>(c)) != 0) name += '_';
    name += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  }
  return name;
}

std::string UpperCase(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(), [](char c) {
    return static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  });
  return text;
}

std::string_view TakeSegment(std::string_view& path) {
  const auto segment = path.substr(0, path.find('/'));
  path.remove_prefix(std::min(segment.size() + 1, path.size()));
  return segment;
}

// The values of a path's parameters, where it is as the template says.
std::optional<std::map<std::string, std::string>> PathValues(
    std::string_view form, std::string_view path) {
  std::map<std::string, std::string> values;
  if (std::count(form.begin(), form.end(), '/') !=
      std::count(path.begin(), path.end(), '/')) {
    return std::nullopt;
  }
  while (!form.empty()) {
    const auto expected = TakeSegment(form);
    const auto segment = TakeSegment(path);
    if (!expected.empty() && expected.front() == '{') {
      if (segment.empty()) return std::nullopt;
      values.emplace(expected.substr(1, expected.size() - 2), segment);
    } else if (segment != expected) {
      return std::nullopt;
    }
  }
  return values;
}

Json::Value Parsed(const std::string& text) {
  auto document = ParseJson(text);
  if (!document) throw std::logic_error("the API's document is not JSON");
  return *std::move(document);
}

}  // namespace

Contract::Contract(const std::string& document)
    : text_(document), document_(Parsed(document)), schemas_(document_) {
  const auto& paths = document_["paths"];
  for (const auto& path : paths.getMemberNames()) {
    for (const auto& method : paths[path].getMemberNames()) {
      const auto& described = paths[path][method];
      Operation operation{.id = described["operationId"].asString(),
                          .method = UpperCase(method),
                          .path = path,
                          .function = {},
                          .parameters = {}};
      operation.function = FunctionOf(operation.id);
      for (const auto& reference : described["parameters"]) {
        const auto& parameter = schemas_.Resolved(reference);
        operation.parameters.push_back(
            {.name = parameter["name"].asString(),
             .in_path = parameter["in"] == "path",
             .required = parameter["required"].asBool(),
             .schema = &schemas_.Resolved(parameter["schema"])});
      }
      if (described.isMember("requestBody")) {
        operation.body = &schemas_.Resolved(
            described["requestBody"]["content"]["application/json"]["schema"]);
      }
      operation.public_ =
          described.isMember("security") && described["security"].empty();
      operation.has_answer = !described["responses"].isMember("204");
      operations_.push_back(std::move(operation));
    }
  }
}

const Contract& Contract::Own() {
  static const Contract contract(kOpenApi);
  return contract;
}

Contract::Match Contract::Find(std::string_view method,
                               std::string_view path) const {
  Match match;
  for (const auto& operation : operations_) {
    auto values = PathValues(operation.path, path);
    if (!values) continue;
    match.methods += (match.methods.empty() ? "" : ", ") + operation.method;
    if (operation.method != method) continue;
    match.operation = &operation;
    match.path_values = *std::move(values);
  }
  return match;
}

}  // namespace meshhook::api
