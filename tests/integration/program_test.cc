// SPDX-License-Identifier: MIT
// The program as it serves: how it ends, and what outlives it.
#include <gtest/gtest.h>
#include <signal.h>

#include <atomic>
#include <chrono>
#include <optional>
#include <sstream>
#include <thread>

#include "collectors/all.h"
#include "tests/support/database.h"
#include "tests/support/exporter.h"
#include "tests/support/runs.h"
#include "tests/support/server.h"

namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;
using test::Await;
using test::Database;
using test::Exporter;
using test::SampleSum;

constexpr auto kRun = R"(
    INSERT INTO workflow_runs (project_id, workflow_id, status, finished_at)
    SELECT project_id, id, 'failed', now() FROM workflow_definitions)";
constexpr auto kSessions =
    "SELECT count(*) FROM pg_stat_activity "
    "WHERE usename = 'meshhook_exporter' AND datname = current_database()";

void ExpectAQuickEnd(Exporter& exporter, int signal) {
  const auto started = Clock::now();
  exporter.Signal(signal);
  EXPECT_EQ(exporter.Wait(), 0) << exporter.err();
  EXPECT_LT(Clock::now() - started, 5s) << "a scrape may take 10 s";
}

TEST(Program, EndsBySigtermAndSigintWithStatus0AndLeavesNoSession) {
  Database db;
  for (const int signal : {SIGTERM, SIGINT}) {
    Exporter exporter(db.Url(test::kExporter));
    EXPECT_EQ(SampleSum(exporter.Page(), "pg_up"), 1);
    ExpectAQuickEnd(exporter, signal);
    EXPECT_TRUE(Await([&] { return db.Exec(kSessions) == "0"; }));
    EXPECT_EQ(exporter.out(), "");
    EXPECT_NE(exporter.err().find("msg=stopping"), std::string::npos);
  }
}

// Prometheus keeps its connection.
TEST(Program, EndsWhileAClientKeepsItsConnection) {
  Database db;
  Exporter exporter(db.Url(test::kExporter));
  const test::HttpConnection client(exporter.port());
  client.Send("GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n");
  ASSERT_TRUE(client.Readable(5000));
  ExpectAQuickEnd(exporter, SIGTERM);
}

TEST(Program, EndsInTheMiddleOfARefreshAndCancelsIt) {
  Database db;
  db.Exec(R"(
      DROP MATERIALIZED VIEW metrics.mv_workflow_metrics CASCADE;
      CREATE MATERIALIZED VIEW metrics.mv_workflow_metrics AS
      SELECT pg_sleep(60) IS NULL AS x WITH NO DATA)");
  Exporter exporter(db.Url(test::kExporter));
  const auto sleeping =
      "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep' "
      "AND datname = current_database()";
  ASSERT_TRUE(
      Await([&] { return db.Exec(sleeping, test::kSuperuser) == "1"; }));
  ExpectAQuickEnd(exporter, SIGTERM);
  EXPECT_TRUE(
      Await([&] { return db.Exec(sleeping, test::kSuperuser) == "0"; }, 3s));
}

TEST(Program, GoesOnAfterSighupAndSaysWhatItDidNotDo) {
  Database db;
  Exporter exporter(db.Url(test::kExporter));
  exporter.Signal(SIGHUP);
  EXPECT_TRUE(Await([&] {
    return exporter.err().find("nothing is reloaded") != std::string::npos;
  }));
  EXPECT_EQ(SampleSum(exporter.Page(), "pg_up"), 1);
  ExpectAQuickEnd(exporter, SIGTERM);
}

TEST(Program, EndsInTheMiddleOfAScrape) {
  test::Server server;
  Exporter exporter(server.Url(), {"--no-worker"});
  EXPECT_EQ(SampleSum(exporter.Page(), "pg_up"), 1);
  server.Freeze();
  const test::HttpConnection client(exporter.port());
  client.Send("GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_FALSE(client.Readable(300));
  ExpectAQuickEnd(exporter, SIGTERM);
  EXPECT_EQ(exporter.err().find("cannot be reached"), std::string::npos)
      << exporter.err();
}

TEST(Program, FinishesAQuickScrapeBeforeItEnds) {
  Database db;
  auto holder = db.Connect();
  test::Exec(holder, "BEGIN; LOCK TABLE metrics.worker_tasks");
  constexpr auto kWaiting =
      "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' "
      "AND datname = current_database()";
  EXPECT_EQ(db.Exec(kWaiting, test::kSuperuser), "0");
  std::vector<std::string> flags{"--no-worker"};
  for (const auto& collector : meshhook::collectors::All()) {
    if (collector.name == "worker" || collector.name == "stat_database") {
      continue;
    }
    flags.push_back("--no-collector." + collector.name);
  }
  Exporter exporter(db.Url(test::kExporter), flags);
  const test::HttpConnection client(exporter.port());
  client.Send(
      "GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
      "X-Prometheus-Scrape-Timeout-Seconds: 2\r\n\r\n");
  ASSERT_TRUE(
      Await([&] { return db.Exec(kWaiting, test::kSuperuser) == "1"; }));
  ExpectAQuickEnd(exporter, SIGTERM);
  EXPECT_EQ(SampleSum(client.ReadToEnd(),
                      "pg_scrape_collector_success{"
                      "collector=\"stat_database\"}"),
            1);
}

TEST(Program, FoldsUnlessItIsToldNotTo) {
  Database db;
  db.Exec(test::kOneWorkflow);
  db.Exec(kRun);
  const auto counted =
      "SELECT coalesce(sum(failure_count), 0) FROM "
      "metrics.workflow_run_metrics";
  {
    const Exporter idle(db.Url(test::kExporter), {"--no-worker"});
    std::this_thread::sleep_for(1500ms);
    EXPECT_EQ(db.Exec(counted), "0");
  }
  const Exporter exporter(db.Url(test::kExporter));
  EXPECT_TRUE(Await([&] { return db.Exec(counted) == "1"; }, 3s));
}

TEST(Program, SaysOnceWhatToDoWhereTheDataLayerIsMissing) {
  Database db(test::Template::kFixture);
  const Exporter exporter(db.Url(test::kOwner));
  const std::string advice =
      "install the data layer: meshhook-exporter migrate";
  const auto tasks = [&exporter, &advice] {
    int count = 0;
    std::istringstream lines(exporter.err());
    for (std::string line; std::getline(lines, line);) {
      if (line.find("task failed") == line.npos) continue;
      EXPECT_NE(line.find(advice), line.npos) << line;
      ++count;
    }
    return count;
  };
  // Once for each of the two sessions that work, whatever is tried again.
  EXPECT_TRUE(Await([&] { return tasks() >= 2; }));
  std::this_thread::sleep_for(1500ms);
  EXPECT_EQ(tasks(), 2);
}

TEST(Program, LogsJsonIfToldTo) {
  Database db;
  Exporter exporter(db.Url(test::kExporter), {"--log.format=json"});
  exporter.Page();
  ExpectAQuickEnd(exporter, SIGTERM);
  std::istringstream lines(exporter.err());
  int count = 0;
  for (std::string line; std::getline(lines, line); ++count) {
    EXPECT_EQ(line.rfind("{\"time\":\"", 0), 0u) << line;
    EXPECT_EQ(line.back(), '}') << line;
  }
  EXPECT_GE(count, 3);
}

TEST(Program, LosesAndDoublesNothingWhenItIsKilledAgainAndAgain) {
  Database db;
  db.Exec(test::kOneWorkflow);
  std::atomic<bool> stop{false};
  std::thread writer([&] {
    auto session = db.Connect();
    while (!stop) test::Exec(session, kRun);
  });
  double counted = 0;
  for (const auto life : {1100ms, 1450ms, 1230ms}) {
    Exporter exporter(db.Url(test::kExporter));
    const auto end = Clock::now() + life;
    while (Clock::now() < end) {
      const double now =
          SampleSum(exporter.Page(), "meshhook_workflow_runs_total");
      EXPECT_GE(now, counted) << "a counter went backwards";
      counted = now;
    }
    exporter.Signal(SIGKILL);
    EXPECT_EQ(exporter.Wait(), 128 + SIGKILL);
  }
  stop = true;
  writer.join();
  EXPECT_GT(counted, 0);
  const Exporter exporter(db.Url(test::kExporter));
  const double runs = std::stod(db.Exec("SELECT count(*) FROM workflow_runs"));
  const auto total = [&] {
    return SampleSum(exporter.Page(), "meshhook_workflow_runs_total");
  };
  EXPECT_TRUE(Await([&] { return total() >= runs; }, 5s)) << total();
  EXPECT_EQ(total(), runs);
}

}  // namespace
