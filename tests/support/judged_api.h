// SPDX-License-Identifier: MIT
// The API, with its answers judged by the document that it serves.
#pragma once

#include <json/value.h>

#include <fstream>
#include <functional>
#include <string>
#include <vector>

#include "tests/support/api.h"

namespace test {

// An operation of the document.
struct Operation {
  std::string method;
  std::string path;
  const Json::Value* described;

  std::string id() const { return (*described)["operationId"].asString(); }
  bool for_operators() const { return id() == "queueDepth"; }
};

// What is right is said by openapi.py, as that shares nothing with the server.
class JudgedApi : public Api {
 public:
  // A stream ends after 50 ms.
  explicit JudgedApi(
      const std::function<void(meshhook::api::ServerOptions&)>& adjust = {});
  // Fails the test where an answer was not as the document says.
  ~JudgedApi();

  const Operation& Called(const std::string& id) const;
  // The one who may.
  std::string TokenFor(const Operation& operation) const {
    return operation.for_operators() ? Operator() : Ada();
  }

  // A body of "" is none.
  HttpResponse Call(const Operation& operation, const std::string& query,
                    const std::string& token, const std::string& body,
                    const std::string& workflow = kImport,
                    const std::string& type = "application/json");
  // As one who may, with all that is required and not in the query.
  HttpResponse Call(const Operation& operation, const std::string& query = "");

  // Judges a value by a schema, as in "#/components/schemas/Change".
  void Judge(const std::string& schema, const Json::Value& value);

  // The id of one of Ada's.
  std::string Threshold();

  Json::Value document;
  std::vector<Operation> operations;

 private:
  void Note(const Json::Value& line);

  const Folder folder_;
  std::string document_path_;
  std::string answers_path_;
  std::ofstream answers_;
};

// A threshold that may be set.
inline constexpr auto kThreshold =
    R"({"scope": "project", "metric": "failure_ratio", "warning": 0.1,)"
    R"( "project_id": "10000000-0000-4000-8000-0000000000a1"})";

// What openapi.py has to say of a document and of answers by it, "" if nothing.
std::string Judgement(const std::string& document_path,
                      const std::string& answers_path);

}  // namespace test
