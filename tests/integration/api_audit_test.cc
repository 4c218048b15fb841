// SPDX-License-Identifier: MIT
// Who looked at what is written down, once, and nobody waits for that.
#include <gtest/gtest.h>

#include <chrono>
#include <string>

#include "tests/support/api.h"
#include "tests/support/process.h"
#include "tests/support/proxy.h"

namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;
using meshhook::api::ServerOptions;
using test::Api;
using test::Await;

constexpr auto kThreshold = R"({"scope": "project", "metric": "stuck_runs",
    "project_id": "10000000-0000-4000-8000-0000000000a1", "window": "1h",
    "warning": 5})";

std::string Rows(Api& api) {
  return api.db.Exec(
      "SELECT coalesce(string_agg(concat_ws(' ', method, endpoint, status, "
      "subject, role, nullif(scope, '')), E'\\n' ORDER BY at), '') "
      "FROM metrics.api_audit",
      test::kSuperuser);
}
long Count(Api& api) {
  return std::stol(
      api.db.Exec("SELECT count(*) FROM metrics.api_audit", test::kSuperuser));
}

TEST(ApiAudit, HasEveryAccessInTheTableAndInTheLog) {
  testing::internal::CaptureStderr();
  Api api;
  const std::string workflow = "/api/metrics/workflow/";
  const auto began = api.db.Exec("SELECT clock_timestamp()");
  api.Get("/api/metrics", api.Ada());
  api.Get(std::string("/api/metrics?project_id=") + test::kShop, api.Ada());
  api.Get(workflow + test::kBake, api.Bob());
  api.Get(workflow + test::kBake, api.Ada());  // 404
  api.Get("/api/metrics?secret_name=secret_value", api.Ada());
  api.Get("/api/metrics/queue-depth", api.Operator());
  api.Get("/api/metrics/queue-depth", api.Bob());
  api.Post("/api/metrics/alerts", api.Ada(), kThreshold);
  api.Post("/api/metrics/alerts", api.Ada(), R"({"secret_name": "secret"})");
  api.Delete(std::string("/api/metrics/alerts?threshold_id=") + test::kBake,
             api.Ada());
  api.Ask("HEAD", "/api/metrics", api.Ada());
  // No accesses.
  api.Get("/api/metrics", "");
  api.Get("/api/metrics", api.Ada() + "x");
  api.Get("/api/openapi.json", "");
  api.Get("/nothing", api.Ada());
  api.Ask("OPTIONS", "/api/metrics", api.Ada());
  const auto ada = std::string(" ") + test::kAda + " authenticated";
  const auto bob = std::string(" ") + test::kBob + " authenticated";
  const auto of = [](const char* name, const char* id) {
    return std::string(" ") + name + "=" + id;
  };
  const std::string expected =
      "GET /api/metrics 200" + ada + "\nGET /api/metrics 200" + ada +
      of("project_id", test::kShop) +
      "\nGET /api/metrics/workflow/{workflow_id} 200" + bob +
      of("workflow_id", test::kBake) +
      "\nGET /api/metrics/workflow/{workflow_id} 404" + ada +
      of("workflow_id", test::kBake) + "\nGET /api/metrics 400" + ada +
      "\nGET /api/metrics/queue-depth 200 service_role service_role"
      "\nGET /api/metrics/queue-depth 403" +
      bob + "\nPOST /api/metrics/alerts 200" + ada +
      of("project_id", test::kShop) + "\nPOST /api/metrics/alerts 400" + ada +
      "\nDELETE /api/metrics/alerts 404" + ada +
      of("threshold_id", test::kBake) + "\nHEAD /api/metrics 200" + ada;
  EXPECT_TRUE(Await([&] { return Count(api) >= 11; }));
  api.Stop();
  EXPECT_EQ(Rows(api), expected);
  EXPECT_EQ(api.db.Exec("SELECT bool_and(at BETWEEN '" + began +
                            "' AND now() AND duration_ms BETWEEN 0.001 AND "
                            "60000) FROM metrics.api_audit",
                        test::kSuperuser),
            "t");
  const auto log = testing::internal::GetCapturedStderr();
  long lines = 0;
  for (size_t at = 0; (at = log.find("msg=\"api access\"", at)) != log.npos;
       ++at) {
    ++lines;
  }
  EXPECT_EQ(lines, 11) << log;
  EXPECT_NE(log.find("endpoint=/api/metrics/workflow/{workflow_id} "
                     "scope=\"workflow_id=" +
                     std::string(test::kBake) + "\" status=404"),
            log.npos)
      << log;
  for (const auto& text :
       {log, api.db.Exec("SELECT jsonb_agg(a) FROM metrics.api_audit AS a",
                         test::kSuperuser)}) {
    EXPECT_EQ(text.find("secret_"), text.npos) << text;
    EXPECT_EQ(text.find("stuck_runs"), text.npos) << text;
    EXPECT_EQ(text.find("eyJ"), text.npos) << text;
  }
}

TEST(ApiAudit, HasAListenerOfTheStreamOnce) {
  Api api;
  {
    const test::HttpConnection listener(api.port());
    listener.Send(
        "GET /api/metrics/stream HTTP/1.1\r\nHost: x\r\n"
        "Authorization: Bearer " +
        api.Ada() + "\r\n\r\n");
    ASSERT_TRUE(listener.Readable(5000));
    EXPECT_TRUE(Await([&] { return Count(api) == 1; }));
  }
  api.Stop();
  EXPECT_EQ(Rows(api), std::string("GET /api/metrics/stream 200 ") +
                           test::kAda + " authenticated");
}

TEST(ApiAudit, HoldsNobodyUpWhileItsTableIsLocked) {
  Api api([](ServerOptions& options) {
    options.pool = {.connections = 1, .waiting = 0};
  });
  auto holder = api.db.Connect(test::kSuperuser);
  test::Exec(holder, "BEGIN; LOCK TABLE metrics.api_audit");
  constexpr int kRequests = 40;
  api.Get("/api/metrics", api.Ada());
  ASSERT_TRUE(Await([&] {
    return api.db.Exec(
               "SELECT count(*) FROM pg_stat_activity "
               "WHERE usename = 'meshhook_api' "
               "AND wait_event_type = 'Lock' "
               "AND datname = current_database()",
               test::kSuperuser) == "1";
  }));
  for (int i = 1; i < kRequests; ++i) {
    EXPECT_EQ(api.Get("/api/metrics", api.Ada()).status, 200) << i;
  }
  test::Exec(holder, "ROLLBACK");
  EXPECT_TRUE(Await([&] { return Count(api) >= kRequests; }));
  api.Stop();
  EXPECT_EQ(Count(api), kRequests);
  EXPECT_EQ(api.db.Exec("SELECT count(DISTINCT at) FROM metrics.api_audit",
                        test::kSuperuser),
            std::to_string(kRequests));
}

TEST(ApiAudit, HasEveryAccessOnceAfterTheDatabaseWasAway) {
  Api api;
  test::Proxy network(test::ClusterPort());
  api.Serve(test::ConninfoOf(
      "postgresql://meshhook_api@127.0.0.1:" + std::to_string(network.port()) +
      "/" + api.db.name()));
  long asked = 0;
  const auto ask = [&] {
    ++asked;
    return api.Get("/api/metrics", api.Ada()).status;
  };
  EXPECT_EQ(ask(), 200);
  EXPECT_TRUE(Await([&] { return Count(api) == asked; }));
  network.Refuse();
  for (int i = 0; i < 5; ++i) {
    const auto began = Clock::now();
    EXPECT_EQ(ask(), 503);
    EXPECT_LT(Clock::now() - began, 1s);
  }
  EXPECT_EQ(Count(api), 1);
  network.Heal();
  EXPECT_TRUE(Await([&] { return ask() == 200; }));
  EXPECT_TRUE(Await([&] { return Count(api) >= asked; }));
  api.Stop();
  EXPECT_EQ(Count(api), asked);
  EXPECT_GE(std::stol(api.db.Exec(
                "SELECT count(*) FROM metrics.api_audit WHERE status = 503",
                test::kSuperuser)),
            5);
}

TEST(ApiAudit, IsWrittenDownBeforeTheServerIsGone) {
  Api api;
  for (int i = 0; i < 10; ++i) api.Get("/api/metrics", api.Ada());
  api.Stop();
  EXPECT_EQ(Count(api), 10);
}

}  // namespace
