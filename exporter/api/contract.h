// SPDX-License-Identifier: MIT
// The API's document, exporter/api/openapi.json, as what drives the server:
// there is an operation where the document has one, and it takes what the
// document says.
#pragma once

#include <json/value.h>

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "exporter/api/schema.h"

namespace meshhook::api {

struct Parameter {
  std::string name;
  bool in_path;
  bool required;
  const Json::Value* schema;
};

struct Operation {
  std::string id;
  std::string method;    // "GET"
  std::string path;      // "/api/metrics/workflow/{workflow_id}"
  std::string function;  // of the database: "metrics.api_workflow"
  std::vector<Parameter> parameters;
  const Json::Value* body = nullptr;  // schema, where it takes one
  bool public_ = false;               // needs no token
  bool has_answer = true;             // false: 204
};

// Immutable, so thread-safe.
class Contract {
 public:
  // Throws std::logic_error where it is not a document that can be served.
  explicit Contract(const std::string& document);
  // Of the document that this program was built with.
  static const Contract& Own();

  struct Match {
    const Operation* operation = nullptr;  // null: not by that method
    std::map<std::string, std::string> path_values = {};
    std::string methods = {};  // that the path has: "GET, POST"; "": no path
  };
  Match Find(std::string_view method, std::string_view path) const;

  const std::vector<Operation>& operations() const { return operations_; }
  const Json::Value& document() const { return document_; }
  const Schemas& schemas() const { return schemas_; }
  const std::string& text() const { return text_; }

 private:
  const std::string text_;
  const Json::Value document_;
  const Schemas schemas_;
  std::vector<Operation> operations_;
};

}  // namespace meshhook::api
