// SPDX-License-Identifier: MIT
// Months come ahead and go when they expire, and lifetime totals never notice.
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <thread>

#include "tests/support/database.h"
#include "tests/support/process.h"
#include "tests/support/runs.h"

namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;
using test::Database;
using test::kCounted;
using test::kRun;

constexpr auto kMaintain = "SELECT metrics.maintain()";

// A year of finished runs, folded by nobody yet, with a partition for each
// month of it.
class Retention : public testing::Test {
 protected:
  Retention() {
    db_.Exec(test::kOneWorkflow);
    db_.Exec("UPDATE metrics.retention SET period = '5 years' WHERE by_month");
    db_.Exec("SELECT metrics.ensure_partitions(2, now() - interval '1 year')");
    db_.Exec(
        "UPDATE metrics.retention SET period = '90 days' "
        "WHERE by_month AND table_name NOT LIKE '%daily'");
    db_.Exec(R"(
        INSERT INTO workflow_runs
            (project_id, workflow_id, status, started_at, finished_at)
        SELECT project_id, id,
               (ARRAY['succeeded', 'failed', 'canceled'])[1 + i % 3],
               at - i * interval '1 s', at
        FROM workflow_definitions, generate_series(1, 365) AS i,
             LATERAL (SELECT now() - i * interval '1 day') AS t (at))");
  }
  void FoldAll() {
    while (db_.Exec("SELECT metrics.fold() + metrics.fold_trends() + "
                    "metrics.fold_steps(2000, '0')") != "0") {
      continue;
    }
  }
  std::string Maintain() { return db_.Exec(kMaintain); }
  void OnlyFactsExpire() {
    db_.Exec(
        "UPDATE metrics.retention SET period = '5 years' "
        "WHERE (table_name LIKE '%hourly' OR table_name = 'api_audit') "
        "AND by_month");
  }
  // Until there is nothing more to do.
  void MaintainAll() {
    while (Maintain() != "0") continue;
  }
  // How many months a table has.
  std::string Months(const std::string& table) {
    return db_.Exec(
        "SELECT count(*) FROM pg_inherits WHERE inhparent = "
        "'metrics." +
        table +
        "'::regclass "
        "AND inhrelid::regclass::text NOT LIKE '%default'");
  }
  void ExpectExact() {
    EXPECT_EQ(db_.Exec("SELECT string_agg(v::text, E'\\n') "
                       "FROM metrics.verify() AS v"),
              "");
    EXPECT_EQ(db_.Exec(test::kDifferences), "0");
  }

  Database db_;
};

TEST_F(Retention, TakesAMonthOffAndDropsItTheNextTime) {
  FoldAll();
  OnlyFactsExpire();
  const long months = std::stol(Months("execution_time_statistics"));
  EXPECT_EQ(Maintain(), "1");
  EXPECT_EQ(Months("execution_time_statistics"), std::to_string(months - 1));
  const auto gone = db_.Exec(
      "SELECT partition "
      "FROM metrics.detached_partitions");
  EXPECT_NE(db_.Exec("SELECT to_regclass('metrics." + gone + "')"), "");
  ExpectExact();
  EXPECT_EQ(Maintain(), "2");  // drops that, and takes the next one off
  EXPECT_EQ(db_.Exec("SELECT to_regclass('metrics." + gone + "') IS NULL"),
            "t");
  ExpectExact();
}

TEST_F(Retention, KeepsLifetimeTotalsThroughARebuild) {
  FoldAll();
  MaintainAll();
  EXPECT_LT(std::stol(db_.Exec("SELECT count(*) "
                               "FROM metrics.execution_time_statistics")),
            125);
  ExpectExact();
  EXPECT_EQ(db_.Exec("SELECT metrics.rebuild()"), "365");
  ExpectExact();
  // With a month that is off its table but still there.
  db_.Exec(
      "UPDATE metrics.retention SET period = '40 days' "
      "WHERE table_name = 'execution_time_statistics'");
  EXPECT_EQ(Maintain(), "1");
  EXPECT_EQ(db_.Exec("SELECT metrics.rebuild()"), "365");
  ExpectExact();
  db_.Exec("UPDATE metrics.workflow_run_metrics SET success_count = 1");
  EXPECT_EQ(db_.Exec("SELECT metrics.rebuild()"), "365");
  ExpectExact();
  EXPECT_EQ(db_.Exec("SELECT sum(success_count + failure_count + "
                     "canceled_count) FROM metrics.workflow_metrics_daily"),
            "365");
}

TEST_F(Retention, KeepsAMonthUntilEveryConsumerHasTakenIt) {
  db_.Exec("SELECT metrics.fold(), metrics.fold_trends()");
  MaintainAll();
  EXPECT_EQ(db_.Exec("SELECT count(*) FROM metrics.execution_time_statistics"),
            "365");
  db_.Exec("SELECT metrics.fold_steps(2000, '0')");
  db_.Exec("SELECT metrics.fold_steps(2000, '0')");
  MaintainAll();
  EXPECT_NE(db_.Exec("SELECT count(*) FROM metrics.execution_time_statistics"),
            "365");
  ExpectExact();
}

TEST_F(Retention, GivesWayToWritersAndHoldsUpNone) {
  FoldAll();
  OnlyFactsExpire();
  std::atomic<bool> stop{false};
  std::atomic<long> longest_ms{0};
  std::thread writer([&] {
    auto session = db_.Connect();
    while (!stop) {
      const auto began = Clock::now();
      test::Exec(session, kRun);
      const long ms = (Clock::now() - began) / 1ms;
      if (ms > longest_ms) longest_ms = ms;
    }
  });
  auto slow = db_.Connect();
  test::Exec(slow, std::string("BEGIN;") + kRun);
  const auto before = Months("execution_time_statistics");
  for (int i = 0; i < 3; ++i) {
    const auto began = Clock::now();
    EXPECT_EQ(Maintain(), "0");
    EXPECT_LT(Clock::now() - began, 2s);
  }
  EXPECT_EQ(Months("execution_time_statistics"), before);
  test::Exec(slow, "COMMIT");
  // Writers come and go, and it finds a gap between them.
  EXPECT_TRUE(test::Await([&] {
    Maintain();
    return Months("execution_time_statistics") != before;
  }));
  stop = true;
  writer.join();
  EXPECT_LT(longest_ms, 1000);
  FoldAll();
  ExpectExact();
}

TEST_F(Retention, CountsWhatComesLateForAMonthThatIsGone) {
  FoldAll();
  MaintainAll();
  db_.Exec(
      "INSERT INTO workflow_runs (project_id, workflow_id, status, "
      "started_at, finished_at) SELECT project_id, id, 'failed', "
      "now() - interval '200 days 7 s', now() - interval '200 days' "
      "FROM workflow_definitions");
  MaintainAll();  // nobody has taken it yet
  EXPECT_EQ(db_.Exec("SELECT count(*) "
                     "FROM metrics.execution_time_statistics_default"),
            "1");
  FoldAll();
  EXPECT_EQ(db_.Exec(kCounted), "366");
  ExpectExact();
  MaintainAll();
  EXPECT_EQ(db_.Exec("SELECT count(*) "
                     "FROM metrics.execution_time_statistics_default"),
            "0");
  ExpectExact();
  EXPECT_EQ(db_.Exec("SELECT metrics.rebuild()"), "366");
  ExpectExact();
}

TEST_F(Retention, DropsNoFactsAmidABackfill) {
  FoldAll();
  db_.Exec("UPDATE metrics.backfill_state SET finished_at = NULL");
  db_.Exec("SELECT metrics.backfill(100)");
  MaintainAll();
  EXPECT_EQ(db_.Exec("SELECT count(*) FROM metrics.execution_time_statistics"),
            "365");
  // What is taken up again now has its fact still.
  db_.Exec(
      "UPDATE workflow_runs SET status = 'running', finished_at = NULL "
      "WHERE finished_at < now() - interval '200 days'");
  while (db_.Exec("SELECT metrics.backfill(100)") != "0") continue;
  FoldAll();
  MaintainAll();
  EXPECT_EQ(db_.Exec(kCounted), "365");
  EXPECT_EQ(db_.Exec("SELECT count(*) FROM metrics.verify()"), "0");
}

TEST_F(Retention, LeavesALateBackfillNothingToCountAgain) {
  FoldAll();
  MaintainAll();
  db_.Exec(
      "UPDATE metrics.backfill_state SET finished_at = NULL, "
      "installed_at = now() - interval '2 years', "
      "last_run_id = '00000000-0000-0000-0000-000000000000'");
  db_.Exec(
      "UPDATE workflow_runs SET status = 'running', finished_at = NULL "
      "WHERE finished_at < now() - interval '300 days'");
  while (db_.Exec("SELECT metrics.backfill(100)") != "0") continue;
  FoldAll();
  EXPECT_EQ(db_.Exec(kCounted), "365");
}

TEST_F(Retention, PrunesManyLateFactsPieceByPiece) {
  FoldAll();
  MaintainAll();
  db_.Exec(
      "INSERT INTO metrics.execution_time_statistics (project_id, "
      "workflow_id, run_id, status, execution_time_ms, created_at) "
      "SELECT project_id, id, gen_random_uuid(), 'failed', i, "
      "now() - interval '300 days' "
      "FROM workflow_definitions, generate_series(1, 25) AS i");
  FoldAll();
  for (const char* more : {"1", "1", "0"}) {
    EXPECT_EQ(db_.Exec("SELECT metrics.prune(10)"), more);
    EXPECT_EQ(db_.Exec("SELECT count(*) FROM metrics.verify()"), "0");
  }
  EXPECT_EQ(db_.Exec(kCounted), "390");
  EXPECT_EQ(db_.Exec("SELECT metrics.rebuild()"), "390");
}

TEST_F(Retention, PrunesLogsAndStepsRowByRow) {
  db_.Exec(R"(
      INSERT INTO metrics.refresh_log
      SELECT now() - i * interval '1 hour', 'fold', 1, 1
      FROM generate_series(0, 100) AS i;
      INSERT INTO metrics.step_failures
      SELECT gen_random_uuid(), 'n', 'other', now() - i * interval '1 hour',
             gen_random_uuid(), 1
      FROM generate_series(0, 100) AS i;
      INSERT INTO metrics.step_metrics_hourly
      SELECT gen_random_uuid(), 'n', now() - i * interval '1 hour',
             gen_random_uuid(), 'delay', 1, 0, 5, 5, 5, '({},{})'
      FROM generate_series(0, 100) AS i)");
  MaintainAll();
  EXPECT_EQ(db_.Exec("SELECT count(*) FILTER (WHERE task = 'fold') "
                     "FROM metrics.refresh_log"),
            "72");
  EXPECT_EQ(db_.Exec("SELECT count(*) FROM metrics.step_failures"), "26");
  EXPECT_EQ(db_.Exec("SELECT count(*) FROM metrics.step_metrics_hourly"), "72");
}

TEST_F(Retention, RefusesToKeepLessThanTheViewsNeed) {
  auto session = db_.Connect();
  EXPECT_EQ(test::Refusal(session,
                          "UPDATE metrics.retention "
                          "SET period = '1 day' WHERE by_month"),
            "23514");
}

TEST_F(Retention, OpensNoNewMonthToWhomDefaultPrivilegesFavour) {
  db_.Exec(
      "ALTER DEFAULT PRIVILEGES GRANT ALL ON TABLES TO anon, "
      "authenticated, service_role, PUBLIC; ALTER DEFAULT PRIVILEGES IN "
      "SCHEMA metrics GRANT ALL ON TABLES TO anon, authenticated");
  EXPECT_EQ(db_.Exec("SELECT metrics.ensure_partitions(4) = 2 * count(*) "
                     "FROM metrics.retention WHERE by_month"),
            "t");
  EXPECT_EQ(db_.Exec("SELECT string_agg(DISTINCT oid::regclass::text, ' ') "
                     "FROM pg_class, aclexplode(relacl) AS a "
                     "WHERE relnamespace = 'metrics'::regnamespace "
                     "AND relname ~ '_y\\d{4}m\\d\\d$' "
                     "AND a.grantee <> relowner"),
            "");
  EXPECT_EQ(db_.Exec("SELECT count(*) FROM pg_class "
                     "WHERE relname ~ '_y\\d{4}m\\d\\d$' AND relnamespace = "
                     "'metrics'::regnamespace AND "
                     "has_table_privilege('anon', oid, 'SELECT')"),
            "0");
}

}  // namespace
