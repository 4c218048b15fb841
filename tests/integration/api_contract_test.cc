// SPDX-License-Identifier: MIT
// The server against the document that it serves: every path, method,
// parameter, status and body. What is right is judged by openapi.py, as that
// shares nothing with the server.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>

#include "tests/support/judged_api.h"
#include "tests/support/samples.h"

namespace {

using meshhook::api::ServerOptions;
using test::Encoded;
using test::HttpResponse;
using test::JsonOf;
using test::JudgedApi;
using test::Operation;
using test::Resolved;

constexpr auto kNobodys = "99999999-0000-4000-8000-000000000000";
void ExpectRefusal(const HttpResponse& response, int status,
                   const std::string& parameter, const std::string& request) {
  EXPECT_EQ(response.status, status) << request << ": " << response.body;
  if (response.status != status) return;
  EXPECT_EQ(JsonOf(response)["parameter"].asString(), parameter)
      << request << ": " << response.body;
}

// The statuses that the document gives an operation, but for `default`.
std::set<int> Declared(const Operation& operation) {
  std::set<int> declared;
  for (const auto& status :
       (*operation.described)["responses"].getMemberNames()) {
    if (status != "default") declared.insert(std::stoi(status));
  }
  return declared;
}

TEST(ApiContract, IsJudgedByOneThatFindsFaults) {
  const test::Folder folder;
  auto document = JsonOf(
      R"({"openapi": "3.1.0", "info": {"title": "T", "version": "1"},
          "tags": [], "security": [],
          "components": {"securitySchemes": {}, "schemas": {}},
          "paths": {"/a": {"get": {
            "operationId": "a", "summary": "A.",
            "responses": {
              "200": {"description": "Fine.", "content": {"application/json": {
                "schema": {"type": "object", "additionalProperties": false,
                           "properties": {"n": {"type": "integer"}}}}}},
              "400": {"description": "Bad.", "content": {
                "application/problem+json": {"schema": {}}}},
              "default": {"description": "Bad.", "content": {
                "application/problem+json": {"schema": {}}}}}}}}})");
  const auto judge = [&](const std::string& answer) {
    return test::Judgement(folder.Write("document", test::Text(document)),
                           folder.Write("answers", answer));
  };
  const auto answer = [](const std::string& status, const std::string& type,
                         const std::string& body) {
    return R"({"method": "GET", "path": "/a", "status": )" + status +
           R"(, "headers": {"content-type": ")" + type + R"("}, "body": ")" +
           body + "\"}\n";
  };
  const std::string json = "application/json";
  EXPECT_EQ(judge(answer("200", json, R"({\"n\": 1})")), "");
  const std::vector<std::string> wrong{
      answer("200", json, R"({\"n\": 1.5})"),
      answer("200", json, R"({\"m\": 1})"),
      answer("200", json, "{"),
      answer("200", json, R"({\"n\": 1, \"n\": 1})"),
      answer("200", "text/plain", R"({\"n\": 1})"),
      answer("403", "application/problem+json", "{}")};
  std::string all;
  for (const auto& one : wrong) all += one;
  const auto faults = judge(all);
  EXPECT_EQ(static_cast<size_t>(std::count(faults.begin(), faults.end(), '\n')),
            wrong.size())
      << faults;
  document["paths"]["/a"]["get"]["parameters"][0]["$ref"] =
      "#/components/parameters/lost";
  EXPECT_NE(judge(""), "");
}

TEST(ApiContract, ServesWhatItDescribesAndNothingElse) {
  JudgedApi api;
  std::map<std::string, std::set<std::string>> described;
  for (const auto& operation : api.operations) {
    described[operation.path].insert(operation.method);
  }
  for (const auto& [path, methods] : described) {
    std::string allowed;
    for (const auto& method : methods) {
      allowed += (allowed.empty() ? "" : ", ") + method;
    }
    auto asked = path;
    if (const auto at = path.find('{'); at != path.npos) {
      asked.replace(at, path.find('}') - at + 1, test::kImport);
    }
    for (const std::string method : {"GET", "POST", "PUT", "PATCH", "DELETE"}) {
      const auto response = api.Ask(method, asked, api.Operator());
      EXPECT_EQ(response.status == 405, !methods.contains(method))
          << method << " " << path << ": " << response.status;
      if (response.status != 405) continue;
      EXPECT_EQ(response.headers.at("allow"), allowed) << path;
    }
    EXPECT_EQ(api.Ask("OPTIONS", asked, "").headers.at("allow"), allowed);
  }
  for (const std::string path :
       {"/", "/api", "/api/", "/metrics", "/healthz", "/readyz",
        "/api/metrics/", "/api/metrics/workflow", "/api/metrics/workflow/",
        "/api/v1/statistics", "/API/metrics", "/api//metrics",
        "/api/metrics/../metrics", "/api/metrics/workflow/a/b",
        "/api/metrics%2Falerts"}) {
    EXPECT_EQ(api.Get(path, api.Operator()).status, 404) << path;
  }
}

TEST(ApiContract, HasAFunctionOfTheDatabaseForEachOperation) {
  JudgedApi api;
  std::set<std::string> called;
  for (const auto& operation : api.operations) {
    std::string name = "api_";
    for (const char c : operation.id()) {
      if (std::isupper(static_cast<unsigned char>(c)) != 0) name += '_';
      name += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    }
    called.insert(name);
  }
  for (const std::string not_sql : {"api_openapi", "api_stream"}) {
    EXPECT_EQ(called.erase(not_sql), 1U);
  }
  std::string names;
  for (const auto& name : called) names += (names.empty() ? "" : " ") + name;
  EXPECT_EQ(api.db.Exec("SELECT string_agg(proname, ' ' ORDER BY proname "
                        "COLLATE \"C\") FROM pg_proc "
                        "WHERE pronamespace = 'metrics'::regnamespace "
                        "AND proname LIKE 'api\\_%' "
                        "AND proargtypes = '3802'"),  // (jsonb)
            names);
}

// Every status that an operation declares, but those of a database that is away
// and of one who asks too often.
TEST(ApiContract, AnswersEachStatusThatItDeclares) {
  JudgedApi api;
  for (const auto& operation : api.operations) {
    const auto id = operation.id();
    std::set<int> seen;
    const auto see = [&](const HttpResponse& response) {
      seen.insert(response.status);
    };
    const std::string body = id == "setAlert" ? test::kThreshold : "";
    see(api.Call(operation));
    see(api.Call(operation, "unknown=1"));
    see(api.Call(operation, "", "", body));
    const auto nobodys = std::string("project_id=") + kNobodys;
    if (id == "workflow") {
      see(api.Call(operation, "", api.Ada(), "", kNobodys));
    } else if (id == "setAlert") {
      auto others = JsonOf(test::kThreshold);
      others["project_id"] = test::kBakery;
      see(api.Call(operation, "", api.Ada(), test::Text(others)));
      see(api.Call(operation, "", api.Ada(),
                   R"({"scope": "global", "metric": "stuck_runs",
                       "warning": 2})"));
      see(api.Call(operation, "", api.Ada(), std::string(16385, ' ')));
      see(api.Call(operation, "", api.Ada(), test::kThreshold, "",
                   "text/plain"));
    } else if (id == "removeAlert") {
      see(api.Call(operation, std::string("threshold_id=") + kNobodys));
      const auto global = JsonOf(api.Post("/api/metrics/alerts", api.Operator(),
                                          R"({"scope": "global",
                                              "metric": "stuck_runs",
                                              "warning": 2})"));
      see(api.Call(operation,
                   "threshold_id=" + global["threshold_id"].asString()));
    } else if (Declared(operation).contains(404)) {
      see(api.Call(operation, nobodys));
    } else if (operation.for_operators()) {
      see(api.Call(operation, "", api.Ada(), ""));
    }
    auto expected = Declared(operation);
    expected.erase(429);
    expected.erase(503);
    EXPECT_EQ(seen, expected) << id;
  }
}

TEST(ApiContract, AnswersWhoAsksTooOftenAsDeclared) {
  JudgedApi api(
      [](ServerOptions& options) { options.requests_per_second = 0.1; });
  api.Get("/api/metrics", api.Ada());
  api.Get("/api/metrics", api.Operator());
  for (const auto& operation : api.operations) {
    const auto response = api.Call(operation, "", api.TokenFor(operation), "");
    EXPECT_EQ(response.status == 429, Declared(operation).contains(429))
        << operation.id() << ": " << response.status;
  }
}

TEST(ApiContract, AnswersAsDeclaredWhileTheDatabaseIsAway) {
  JudgedApi api;
  api.db.Exec("REVOKE CONNECT ON DATABASE " + api.db.name() +
              " FROM PUBLIC, meshhook_api");
  for (const auto& operation : api.operations) {
    const auto query = operation.id() == "removeAlert"
                           ? std::string("threshold_id=") + kNobodys
                           : "";
    const auto response =
        api.Call(operation, query, api.TokenFor(operation),
                 operation.id() == "setAlert" ? test::kThreshold : "");
    EXPECT_EQ(response.status == 503, Declared(operation).contains(503))
        << operation.id() << ": " << response.status;
  }
}

TEST(ApiContract, AnswersWhatMayComeOfAnyRequestAsDeclared) {
  JudgedApi api;
  const std::string long_query(4097, '&');
  for (const auto& operation : api.operations) {
    EXPECT_EQ(api.Call(operation, long_query).status, 414) << operation.id();
    EXPECT_EQ(
        api.Call(operation, "", api.Ada(), std::string(16385, ' ')).status, 413)
        << operation.id();
  }
}

TEST(ApiContract, FaultsOfTheServerAreAsDeclared) {
  JudgedApi api;
  api.db.Exec("DROP FUNCTION metrics.api_overview(jsonb)");
  EXPECT_EQ(api.Call(api.Called("overview")).status, 500);
}

// In the schema's own order; what a parameter needs beside it comes along.
TEST(ApiContract, TakesEachParameterAsDescribedAndNamesWhatIsWrong) {
  JudgedApi api;
  int parameters = 0;
  for (const auto& operation : api.operations) {
    if (operation.id() == "stream") continue;  // takes none, and takes its time
    for (const auto& reference : (*operation.described)["parameters"]) {
      const auto& parameter = Resolved(api.document, reference);
      const auto name = parameter["name"].asString();
      const auto& schema = Resolved(api.document, parameter["schema"]);
      const auto samples = test::SamplesOf(schema);
      ++parameters;
      const auto call = [&](const std::string& value) {
        if (parameter["in"] == "path") {
          return api.Call(operation, "", api.Ada(), "", Encoded(value));
        }
        auto query = name + "=" + Encoded(value);
        if (name == "resolved") {
          query += std::string("&workflow_id=") + test::kImport;
        }
        return api.Call(operation, query);
      };
      for (const auto& bad : samples.bad) {
        if (parameter["in"] == "path" && bad.empty()) continue;
        ExpectRefusal(call(bad), 400, name, operation.id() + " " + bad);
      }
      if (name == "cursor") continue;
      for (auto good : samples.good) {
        if (name == "project_id") good = test::kShop;
        if (name == "workflow_id") good = test::kImport;
        if (name == "threshold_id") good = api.Threshold();
        const auto response = call(good);
        EXPECT_TRUE(response.status == 200 || response.status == 204)
            << operation.id() << " " << name << "=" << good << ": "
            << response.body;
      }
      if (parameter["in"] == "path") continue;
      const auto once = name + "=" + Encoded(samples.good.front());
      ExpectRefusal(api.Call(operation, once + "&" + once), 400, name,
                    operation.id() + " twice " + name);
    }
    ExpectRefusal(api.Call(operation, "wanted=1"), 400, "wanted",
                  operation.id());
  }
  EXPECT_GT(parameters, 30);
  ExpectRefusal(api.Call(api.Called("removeAlert"), "", api.Ada(), ""), 400,
                "threshold_id", "removeAlert without it");
}

TEST(ApiContract, TakesEachMemberOfABodyAsDescribedAndNamesWhatIsWrong) {
  JudgedApi api;
  const auto& set = api.Called("setAlert");
  const auto& schema = Resolved(
      api.document,
      (*set.described)["requestBody"]["content"]["application/json"]["schema"]);
  const auto values = JsonOf(
      R"([null, "", "nonsense", 1.5, -1, 1e300, true, [], {}, ["global"]])");
  int refused = 0;
  for (const auto& name : schema["properties"].getMemberNames()) {
    const auto type =
        Resolved(api.document, schema["properties"][name])["type"];
    for (const auto& value : values) {
      const bool may_be =
          (type.isArray() && (value.isNull() || value == 1.5)) ||
          (type == "boolean" && value.isBool());
      if (may_be) continue;
      auto body = JsonOf(test::kThreshold);
      body[name] = value;
      ExpectRefusal(api.Call(set, "", api.Ada(), test::Text(body)), 400, name,
                    name + " is " + test::Text(value));
      ++refused;
    }
  }
  EXPECT_GT(refused, 60);
  for (const std::string missing : {"scope", "metric"}) {
    auto body = JsonOf(test::kThreshold);
    body.removeMember(missing);
    ExpectRefusal(api.Call(set, "", api.Ada(), test::Text(body)), 400, missing,
                  "without " + missing);
  }
}

}  // namespace
