// SPDX-License-Identifier: MIT
#include <gtest/gtest.h>

#include <random>
#include <set>
#include <stdexcept>

#include "exporter/api/contract.h"

namespace {

using meshhook::api::Contract;

constexpr auto kSmall = R"({
  "paths": {
    "/a/{one}/b": {
      "get": {
        "operationId": "readOneThing",
        "parameters": [
          {"$ref": "#/components/parameters/one"},
          {"name": "limit", "in": "query", "schema": {"type": "integer"}}
        ],
        "responses": {"200": {}}
      },
      "delete": {"operationId": "drop", "responses": {"204": {}}}
    },
    "/a": {
      "post": {
        "operationId": "make",
        "security": [],
        "requestBody": {"content": {"application/json": {
            "schema": {"$ref": "#/components/schemas/New"}}}},
        "responses": {"200": {}}
      }
    }
  },
  "components": {
    "parameters": {"one": {
        "name": "one", "in": "path", "required": true,
        "schema": {"$ref": "#/components/schemas/Id"}}},
    "schemas": {"Id": {"type": "string"}, "New": {"type": "object"}}
  }
})";

TEST(Contract, HasTheDocumentsOperations) {
  const Contract contract(kSmall);
  ASSERT_EQ(contract.operations().size(), 3U);
  const auto* read = contract.Find("GET", "/a/x/b").operation;
  ASSERT_NE(read, nullptr);
  EXPECT_EQ(read->id, "readOneThing");
  EXPECT_EQ(read->method, "GET");
  EXPECT_EQ(read->path, "/a/{one}/b");
  EXPECT_EQ(read->function, "metrics.api_read_one_thing");
  EXPECT_EQ(read->body, nullptr);
  EXPECT_FALSE(read->public_);
  EXPECT_TRUE(read->has_answer);
  ASSERT_EQ(read->parameters.size(), 2U);
  EXPECT_EQ(read->parameters[0].name, "one");
  EXPECT_TRUE(read->parameters[0].in_path);
  EXPECT_TRUE(read->parameters[0].required);
  EXPECT_EQ((*read->parameters[0].schema)["type"], "string");
  EXPECT_FALSE(read->parameters[1].in_path);
  EXPECT_FALSE(read->parameters[1].required);

  const auto* make = contract.Find("POST", "/a").operation;
  ASSERT_NE(make, nullptr);
  EXPECT_TRUE(make->public_);
  ASSERT_NE(make->body, nullptr);
  EXPECT_EQ((*make->body)["type"], "object");
  EXPECT_FALSE(contract.Find("DELETE", "/a/x/b").operation->has_answer);
}

TEST(Contract, FindsWhatIsAtAPath) {
  const Contract contract(kSmall);
  const auto match = contract.Find("GET", "/a/1%2F2/b");
  ASSERT_NE(match.operation, nullptr);
  EXPECT_EQ(match.path_values.at("one"), "1%2F2");
  EXPECT_EQ(contract.Find("PUT", "/a/x/b").operation, nullptr);
  EXPECT_EQ(contract.Find("PUT", "/a/x/b").methods, "DELETE, GET");
  EXPECT_EQ(contract.Find("get", "/a/x/b").operation, nullptr);
}

TEST(Contract, FindsNothingAtAPathThatIsNearlyOne) {
  const Contract contract(kSmall);
  for (const std::string path :
       {"", "/", "a", "/A", "/a/", "//a", "/a//b", "/a/x/b/", "/a/x/y/b",
        "/a/x", "/a/x/B", "/a/x/b?", "/./a", "/a/../a", "/%61",
        "/a/{one}/b/c"}) {
    EXPECT_EQ(contract.Find("GET", path).methods, "") << path;
  }
}

TEST(Contract, RefusesWhatIsNoDocument) {
  EXPECT_THROW(Contract(""), std::logic_error);
  EXPECT_THROW(Contract("{"), std::logic_error);
  EXPECT_THROW(Contract(R"({"paths": {"/a": {"get": {
      "parameters": [{"$ref": "#/components/parameters/lost"}]}}}})"),
               std::logic_error);
}

TEST(Contract, OfThisProgramHasItsPathsOnce) {
  const auto& contract = Contract::Own();
  EXPECT_EQ(&contract, &Contract::Own());
  std::set<std::string> ids;
  std::set<std::string> calls;
  for (const auto& operation : contract.operations()) {
    EXPECT_TRUE(ids.insert(operation.id).second) << operation.id;
    calls.insert(operation.method + " " + operation.path);
  }
  EXPECT_EQ(calls,
            (std::set<std::string>{
                "GET /api/metrics", "GET /api/metrics/workflow/{workflow_id}",
                "GET /api/metrics/workflows/summary",
                "GET /api/metrics/workflows/trend",
                "GET /api/v1/statistics/execution-times",
                "GET /api/metrics/alerts", "POST /api/metrics/alerts",
                "DELETE /api/metrics/alerts", "GET /api/metrics/queue-depth",
                "GET /api/metrics/stream", "GET /api/openapi.json"}));
}

// Whatever is asked for, what is found is what the path says, and nobody else
// reads it otherwise.
TEST(Contract, FindsOnlyWhatMatchesTheTemplate) {
  const auto& contract = Contract::Own();
  std::mt19937 random(1);
  const std::vector<std::string> pieces{
      "/",      "api",     "metrics", "workflow",   "workflows", "summary",
      "alerts", "trend",   "v1",      "..",         ".",         "%2f",
      "{",      "}",       "\xFF",    "?",          "x",         "openapi.json",
      "",       "/stream", " ",       "queue-depth"};
  for (int i = 0; i < 20'000; ++i) {
    std::string path = random() % 2 == 0 ? "/api/metrics" : "";
    for (auto left = random() % 6; left > 0; --left) {
      path += pieces[random() % pieces.size()];
      if (random() % 2 == 0) path += "/";
    }
    const auto match = contract.Find("GET", path);
    if (match.operation == nullptr) continue;
    auto expected = match.operation->path;
    for (const auto& [name, value] : match.path_values) {
      expected.replace(expected.find("{" + name + "}"), name.size() + 2, value);
      EXPECT_FALSE(value.empty());
      EXPECT_EQ(value.find('/'), value.npos);
    }
    EXPECT_EQ(expected, path);
  }
}

}  // namespace
