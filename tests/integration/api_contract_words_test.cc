// SPDX-License-Identifier: MIT
// What the API's document says in words, where no schema can.
#include <gtest/gtest.h>

#include <array>
#include <cstdio>
#include <ctime>
#include <map>
#include <random>
#include <set>

#include "exporter/api/schema.h"
#include "tests/support/judged_api.h"
#include "tests/support/process.h"
#include "tests/support/samples.h"

namespace {

using test::Encoded;
using test::HttpResponse;
using test::JsonOf;
using test::JudgedApi;
using test::TimeOf;

constexpr std::time_t kHour = 3600;
constexpr std::time_t kDay = 24 * kHour;

void ExpectBad(const HttpResponse& response, const std::string& parameter) {
  EXPECT_EQ(response.status, 400) << parameter << ": " << response.body;
  EXPECT_EQ(JsonOf(response)["parameter"].asString(), parameter)
      << response.body;
}

std::string Range(std::time_t start, std::time_t end) {
  return "start_date=" + TimeOf(start) + "&end_date=" + TimeOf(end);
}

TEST(ApiRange, IsHalfOpenWidenedAndBounded) {
  JudgedApi api;
  const auto now = std::time(nullptr);
  const auto hour = now / kHour * kHour;
  for (const std::string id :
       {"overview", "workflow", "summary", "trend", "executionTimes"}) {
    const auto& operation = api.Called(id);
    const auto days = id == "trend" ? "&bucket=hour" : "";
    const auto range = [&](std::time_t start, std::time_t end) {
      const auto response = api.Call(operation, Range(start, end) + days);
      EXPECT_EQ(response.status, 200) << response.body;
      const auto covered = JsonOf(response)["range"];
      return covered["start_date"].asString().substr(0, 19) + "Z " +
             covered["end_date"].asString().substr(0, 19) + "Z";
    };
    // What is whole stays, anything else is widened.
    EXPECT_EQ(range(hour - kDay, hour),
              TimeOf(hour - kDay) + " " + TimeOf(hour));
    EXPECT_EQ(range(hour - kDay + 1, hour - kHour + 1),
              TimeOf(hour - kDay) + " " + TimeOf(hour));
    // 400 days and no second more.
    range(hour - 400 * kDay, hour);
    ExpectBad(api.Call(operation, Range(hour - 400 * kDay - 1, hour)),
              "start_date");
    // At least something.
    range(hour - 1, hour);
    ExpectBad(api.Call(operation, Range(hour, hour)), "start_date");
    ExpectBad(api.Call(operation, Range(hour + 1, hour)), "start_date");
    // In years of which there is no doubt.
    ExpectBad(api.Call(operation, "end_date=1999-12-31T23:59:59Z"), "end_date");
    ExpectBad(api.Call(operation, "end_date=2100-01-01T00:00:00Z"), "end_date");
    ExpectBad(api.Call(operation, "start_date=0001-01-01T00:00:00Z"),
              "start_date");
    ExpectBad(api.Call(operation, "start_date=9999-12-31T23:59:59Z"),
              "start_date");
  }
}

TEST(ApiRange, IsThirtyWholeDaysUntilNowWhereNoneIsGiven) {
  JudgedApi api;
  const auto covered = [&](const std::string& query) {
    const auto range =
        JsonOf(api.Call(api.Called("executionTimes"), query))["range"];
    return api.db.Exec("SELECT '" + range["end_date"].asString() +
                       "'::timestamptz - '" + range["start_date"].asString() +
                       "'::timestamptz");
  };
  EXPECT_EQ(covered("end_date=2026-01-31T00:00:00Z"), "30 days");
  EXPECT_EQ(covered("end_date=2026-01-31T04:30:00Z"), "30 days 05:00:00");
  const auto until_now =
      JsonOf(api.Call(api.Called("executionTimes")))["range"];
  EXPECT_EQ(api.db.Exec("SELECT '" + until_now["end_date"].asString() +
                        "'::timestamptz - now() BETWEEN '0' AND '1 hour'"),
            "t");
}

// What PostgreSQL makes of every time that is taken here is a time.
TEST(ApiRange, TakesNoTimeThatPostgresDoesNot) {
  test::Database db;
  std::mt19937 random(3);
  const auto below = [&](unsigned most) {
    return static_cast<int>(random() % most);
  };
  std::set<std::string> taken;
  std::array<char, 64> text;
  while (taken.size() < 2000) {
    std::snprintf(text.data(), text.size(), "%04d-%02d-%02d%c%02d:%02d:%02d",
                  below(10000), below(14), below(33), "Tt"[below(2)], below(25),
                  below(61), below(61));
    std::string time = text.data();
    if (below(2) == 0) time += "." + std::to_string(random());
    if (below(2) == 0) {
      std::snprintf(text.data(), text.size(), "%c%02d:%02d", "+-"[below(2)],
                    below(17), below(61));
      time += text.data();
    } else {
      time += "Zz"[below(2)];
    }
    if (meshhook::api::IsDateTime(time)) taken.insert(time);
  }
  std::string all;
  for (const auto& time : taken) all += (all.empty() ? "" : ",") + time;
  EXPECT_EQ(db.Exec("SELECT count(t::timestamptz) FROM unnest('{" + all +
                    "}'::text[]) AS t"),
            "2000");
}

// Page by page of that many; the values at `member` of each item.
std::multiset<std::string> Walk(JudgedApi& api, const std::string& id,
                                const std::string& query, int limit,
                                const std::vector<std::string>& member) {
  std::multiset<std::string> found;
  std::string cursor;
  for (int pages = 0; pages < 100; ++pages) {
    const auto response = api.Call(
        api.Called(id), query + "&limit=" + std::to_string(limit) +
                            (cursor.empty() ? "" : "&cursor=" + cursor));
    EXPECT_EQ(response.status, 200) << response.body;
    const auto page = JsonOf(response);
    EXPECT_LE(page["items"].size(), static_cast<unsigned>(limit));
    for (const auto& item : page["items"]) {
      const Json::Value* value = &item;
      for (const auto& name : member) value = &(*value)[name];
      found.insert(value->asString());
    }
    if (page["next_cursor"].isNull()) return found;
    EXPECT_FALSE(page["items"].empty());
    cursor = page["next_cursor"].asString();
  }
  ADD_FAILURE() << id << "?" << query << " has no last page";
  return found;
}

TEST(ApiCursor, LeadsThroughEachItemOnce) {
  JudgedApi api;
  for (const std::string metric :
       {"failure_ratio", "minimum_runs", "stuck_runs"}) {
    api.Post("/api/metrics/alerts", api.Ada(),
             R"({"scope": "project", "metric": ")" + metric +
                 R"(", "warning": 1, "project_id": ")" + test::kBlog + "\"}");
  }
  struct Case {
    std::string id;
    std::string query;
    std::vector<std::string> member;
    size_t items;
  };
  std::vector<Case> cases{
      {"trend",
       "bucket=hour&start_date=" + TimeOf(std::time(nullptr) - 8 * kDay) +
           "&end_date=" + TimeOf(std::time(nullptr) - 27 * kHour),
       {"bucket_start"},
       60},
      {"alerts", "", {"threshold_id"}, 3}};
  for (const auto& sort :
       test::Resolved(api.document,
                      (*api.Called("summary")
                            .described)["parameters"][5]["schema"])["enum"]) {
    for (const std::string order : {"asc", "desc"}) {
      cases.push_back({"summary",
                       "sort=" + sort.asString() + "&order=" + order,
                       {"workflow", "workflow_id"},
                       3});
    }
  }
  ASSERT_EQ(cases.size(), 16U);
  for (const auto& [id, query, member, items] : cases) {
    const auto whole = Walk(api, id, query, 200, member);
    EXPECT_EQ(whole.size(), items) << id << "?" << query;
    EXPECT_EQ(Walk(api, id, query, items > 10 ? 7 : 1, member), whole)
        << id << "?" << query;
  }
}

TEST(ApiCursor, IsThatOfTheSameQuestion) {
  JudgedApi api;
  const auto& summary = api.Called("summary");
  const auto cursor =
      JsonOf(api.Call(summary, "limit=1&sort=name"))["next_cursor"].asString();
  EXPECT_EQ(api.Call(summary, "limit=2&sort=name&cursor=" + cursor).status,
            200);
  for (const std::string other :
       {"sort=last_updated", "sort=name&order=asc", "sort=name&status=draft",
        "sort=name&end_date=2026-01-01T00:00:00Z"}) {
    ExpectBad(api.Call(summary, other + "&cursor=" + cursor), "cursor");
  }
  ExpectBad(api.Call(api.Called("trend"), "cursor=" + cursor), "cursor");
  ExpectBad(api.Call(api.Called("alerts"), "cursor=" + cursor), "cursor");
  // Made up, cut off or changed.
  for (const std::string& made_up :
       {std::string("AAAA"), std::string("bnVsbA"), std::string("e30"),
        cursor.substr(1), cursor.substr(0, cursor.size() - 3), cursor + cursor,
        std::string(1024, 'A')}) {
    ExpectBad(api.Call(summary, "sort=name&cursor=" + made_up), "cursor");
  }
}

TEST(ApiThreshold, IsRefusedWhereItMakesNoSense) {
  JudgedApi api;
  const auto shop = std::string(R"("project_id": ")") + test::kShop + "\"";
  const auto imports =
      std::string(R"("workflow_id": ")") + test::kImport + "\"";
  const auto set = [&](const std::string& body) {
    return api.Call(api.Called("setAlert"), "", api.Ada(), "{" + body + "}");
  };
  for (const auto& [body, parameter] :
       {std::pair{R"("scope": "project", "metric": "stuck_runs", "warning": 1)",
                  "project_id"},
        {R"("scope": "workflow", "metric": "stuck_runs", "warning": 1)",
         "workflow_id"}}) {
    ExpectBad(set(body), parameter);
  }
  const auto project = R"("scope": "project", )" + shop + ", ";
  for (const auto& [rest, parameter] :
       std::vector<std::pair<std::string, std::string>>{
           {R"("metric": "stuck_runs", "warning": 1, )" + imports,
            "workflow_id"},
           {R"("metric": "stuck_runs")", "warning"},
           {R"("metric": "stuck_runs", "warning": null, "critical": null)",
            "warning"},
           {R"("metric": "failure_ratio", "warning": 0)", "warning"},
           {R"("metric": "failure_ratio", "critical": 1.01)", "critical"},
           {R"("metric": "failure_ratio", "warning": 0.2, "critical": 0.1)",
            "critical"},
           {R"("metric": "p95_duration", "warning": 0)", "warning"},
           {R"("metric": "minimum_runs", "warning": 0.5)", "warning"},
           {R"("metric": "minimum_runs", "warning": 5, "critical": 6)",
            "critical"},
           {R"("metric": "stuck_runs", "warning": 2, "critical": 1)",
            "critical"}}) {
    ExpectBad(set(project + rest), parameter);
  }
  EXPECT_EQ(api.Read("/api/metrics/alerts?scope=project", api.Ada())["items"],
            Json::Value(Json::arrayValue));
}

TEST(ApiThreshold, OfANarrowerScopeHoldsUntilItIsRemoved) {
  JudgedApi api;
  const auto holds = [&] {
    const auto resolved = JsonOf(api.Call(
        api.Called("alerts"),
        std::string("resolved=true&metric=failure_ratio&workflow_id=") +
            test::kImport));
    EXPECT_EQ(resolved["items"].size(), 1U);
    return resolved["items"][0];
  };
  api.Post("/api/metrics/alerts", api.Operator(),
           R"({"scope": "global", "metric": "failure_ratio", "warning": 0.5})");
  EXPECT_EQ(holds()["scope"], "global");
  const auto project = JsonOf(api.Call(api.Called("setAlert")));
  EXPECT_EQ(holds(), project);
  EXPECT_EQ(project["updated_by"], test::kAda);
  const auto workflow = JsonOf(
      api.Call(api.Called("setAlert"), "", api.Ada(),
               std::string(R"({"scope": "workflow", "metric": "failure_ratio",
                      "critical": 0.9, "window": "7d", "workflow_id": ")") +
                   test::kImport + "\"}"));
  EXPECT_EQ(holds(), workflow);
  EXPECT_EQ(workflow["warning"], Json::Value());
  EXPECT_EQ(workflow["window"], "7d");
  for (const auto& [threshold, then] :
       {std::pair{workflow, "project"}, {project, "global"}}) {
    const auto query = "threshold_id=" + threshold["threshold_id"].asString();
    EXPECT_EQ(api.Call(api.Called("removeAlert"), query).status, 204);
    EXPECT_EQ(api.Call(api.Called("removeAlert"), query).status, 404);
    EXPECT_EQ(holds()["scope"], then);
  }
}

TEST(ApiContractStream, PushesAChangeAsDescribed) {
  JudgedApi api([](meshhook::api::ServerOptions& options) {
    options.stream_life = std::chrono::seconds(20);
  });
  const test::HttpConnection connection(api.port());
  connection.Send(
      "GET /api/metrics/stream HTTP/1.1\r\nHost: localhost\r\n"
      "Authorization: Bearer " +
      api.Ada() + "\r\n\r\n");
  std::string events;
  const auto reads = [&](const std::string& wanted) {
    return test::Await([&] {
      if (connection.Readable(100)) events += connection.ReadSome();
      return events.find(wanted) != events.npos;
    });
  };
  ASSERT_TRUE(reads("event: ready\ndata: {}\n\n")) << events;
  api.db.Exec(
      "INSERT INTO workflow_runs (project_id, workflow_id, status, "
      "finished_at) VALUES ('" +
      std::string(test::kShop) + "', '" + test::kImport +
      "', 'failed', now())");
  api.db.Exec("SELECT metrics.fold()");
  ASSERT_TRUE(reads("event: change\ndata: ")) << events;
  ASSERT_TRUE(reads("}\n\n")) << events;
  const auto begin = events.find("event: change\ndata: ") + 20;
  const auto change =
      JsonOf(events.substr(begin, events.find('\n', begin) - begin));
  api.Judge("#/components/schemas/Change", change);
  EXPECT_EQ(change["workflow_id"], test::kImport);
}

}  // namespace
