// SPDX-License-Identifier: MIT
#include "tests/support/judged_api.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cctype>

#include "tests/support/process.h"

namespace test {

JudgedApi::JudgedApi(
    const std::function<void(meshhook::api::ServerOptions&)>& adjust)
    : Api([&](meshhook::api::ServerOptions& options) {
        options.stream_life = std::chrono::milliseconds(50);
        if (adjust) adjust(options);
      }) {
  const auto text = Get("/api/openapi.json", "").body;
  document = JsonOf(text);
  document_path_ = folder_.Write("openapi.json", text);
  answers_path_ = folder_.Write("answers", "");
  answers_.open(answers_path_, std::ios::app);
  for (const auto& path : document["paths"].getMemberNames()) {
    for (const auto& name : document["paths"][path].getMemberNames()) {
      auto method = name;
      std::transform(method.begin(), method.end(), method.begin(), [](char c) {
        return static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
      });
      operations.push_back({method, path, &document["paths"][path][name]});
    }
  }
}

JudgedApi::~JudgedApi() {
  answers_.flush();
  EXPECT_EQ(Judgement(document_path_, answers_path_), "");
}

const Operation& JudgedApi::Called(const std::string& id) const {
  return *std::find_if(operations.begin(), operations.end(),
                       [&](const auto& one) { return one.id() == id; });
}

HttpResponse JudgedApi::Call(const Operation& operation,
                             const std::string& query, const std::string& token,
                             const std::string& body,
                             const std::string& workflow,
                             const std::string& type) {
  auto path = operation.path;
  if (const auto at = path.find('{'); at != path.npos) {
    path.replace(at, path.find('}') - at + 1, workflow);
  }
  if (!query.empty()) path += "?" + query;
  std::vector<std::string> headers;
  if (!body.empty()) headers.push_back("Content-Type: " + type);
  auto response = Ask(operation.method, path, token, body, headers);
  Json::Value line;
  line["method"] = operation.method;
  line["path"] = operation.path;
  line["request"] = path + " " + body.substr(0, 200);
  line["status"] = response.status;
  line["body"] = response.body;
  line["headers"] = Json::objectValue;
  for (const auto& [name, value] : response.headers) {
    line["headers"][name] = value;
  }
  Note(line);
  return response;
}

HttpResponse JudgedApi::Call(const Operation& operation,
                             const std::string& query) {
  auto whole = query;
  if (operation.id() == "removeAlert" &&
      query.find("threshold_id=") == query.npos) {
    whole += (query.empty() ? "" : "&") + ("threshold_id=" + Threshold());
  }
  return Call(operation, whole, TokenFor(operation),
              operation.id() == "setAlert" ? kThreshold : "");
}

void JudgedApi::Judge(const std::string& schema, const Json::Value& value) {
  Json::Value line;
  line["schema"] = schema;
  line["body"] = value;
  Note(line);
}

std::string JudgedApi::Threshold() {
  const auto set = Post("/api/metrics/alerts", Ada(), kThreshold);
  return JsonOf(set)["threshold_id"].asString();
}

void JudgedApi::Note(const Json::Value& line) {
  answers_ << test::Text(line) << '\n';
}

std::string Judgement(const std::string& document_path,
                      const std::string& answers_path) {
  const auto judged =
      Run({"/usr/bin/python3",
           std::string(MESHHOOK_SOURCE) + "/tests/support/openapi.py",
           document_path, answers_path});
  return judged.status == 0 ? "" : judged.out + judged.err;
}

}  // namespace test
