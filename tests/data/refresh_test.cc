// SPDX-License-Identifier: MIT
// The materialized views: right, and refreshed at their own pace.
#include <gtest/gtest.h>

#include <thread>

#include "tests/support/database.h"
#include "tests/support/process.h"
#include "tests/support/runs.h"

namespace {

using test::Database;
using test::kRun;
using test::kWorkflows;

constexpr auto kViews =
    "mv_workflow_metrics mv_step_latency mv_job_tracking "
    "mv_failure_hotspots";

void FoldAll(Database& db) {
  db.Exec(
      "SELECT metrics.fold(), metrics.fold_trends(), "
      "metrics.fold_steps(2000, '0')");
}

// The views that are refreshed when asked `times` times.
std::string Refreshed(Database& db, int times) {
  std::string views;
  for (int i = 0; i < times; ++i) {
    const auto view = db.Exec("SELECT metrics.refresh_if_due()");
    if (!view.empty()) views += (views.empty() ? "" : " ") + view;
  }
  return views;
}

TEST(Refresh, TakesTheViewsInTurnAndRecordsWhatItDid) {
  Database db;
  db.Exec(kWorkflows);
  for (int i = 0; i < 20; ++i) db.Exec(kRun);
  FoldAll(db);
  EXPECT_EQ(Refreshed(db, 5), kViews);
  EXPECT_EQ(db.Exec("SELECT sum(execution_count) = 20 AND "
                    "sum(execution_count_1h) = 20 "
                    "FROM metrics.mv_workflow_metrics"),
            "t");
  db.Exec(
      "UPDATE metrics.worker_tasks "
      "SET last_attempt_at = last_attempt_at - interval '16 seconds'");
  EXPECT_EQ(Refreshed(db, 5), kViews);
  EXPECT_EQ(db.Exec("SELECT count(*) FROM metrics.refresh_log "
                    "WHERE task LIKE 'mv%' AND sqlstate IS NULL"),
            "8");
}

TEST(Refresh, WaitsUntilAllViewsTogetherTookAShareOfTheTime) {
  Database db;
  // A refresh that took 3 s takes a quarter of 5 % of four minutes.
  const auto attempted = [&db](int seconds_ago) {
    db.Exec(
        "UPDATE metrics.worker_tasks SET last_duration_ms = 3000, "
        "last_attempt_at = now() - interval '" +
        std::to_string(seconds_ago) + " seconds'");
  };
  attempted(230);
  EXPECT_EQ(Refreshed(db, 4), "");
  attempted(238);
  EXPECT_EQ(Refreshed(db, 4), kViews);
}

TEST(Refresh, SpendsNoMoreThanItsShareThoughItsViewsDiffer) {
  Database db;
  // How soon each view comes again, after it took so long.
  double spent = 0;
  for (const int duration_ms : {2000, 700, 4000, 1300}) {
    int seconds = 15;
    for (;; ++seconds) {
      db.Exec("BEGIN; UPDATE metrics.worker_tasks SET last_duration_ms = " +
              std::to_string(duration_ms) +
              ", last_attempt_at = clock_timestamp() - interval '" +
              std::to_string(seconds) + " s'");
      const auto due = db.Exec("SELECT metrics.refresh_if_due()");
      db.Exec("ROLLBACK");
      if (!due.empty()) break;
      if (seconds > 15) seconds += 4;
    }
    // From the end of one refresh to the end of the next.
    spent += duration_ms / 1000.0 / (seconds + duration_ms / 1000.0);
  }
  EXPECT_LE(spent, 0.0505);
  EXPECT_GE(spent, 0.045);  // nor is it lazy
}

TEST(Refresh, LetsNoViewGetOlderThanItsBound) {
  Database db;
  db.Exec(
      "UPDATE metrics.worker_tasks SET last_duration_ms = 600000, "
      "last_attempt_at = now() - interval '16 minutes'");
  EXPECT_EQ(Refreshed(db, 4), kViews);
}

TEST(Refresh, MatchesWhatTheRunsSay) {
  Database db;
  db.Exec(kWorkflows);
  for (int i = 0; i < 200; ++i) db.Exec(kRun);
  FoldAll(db);
  Refreshed(db, 1);
  EXPECT_EQ(db.Exec(R"(
      SELECT count(*) FROM metrics.mv_workflow_metrics AS m
      JOIN (SELECT workflow_id, count(*) AS runs,
                   avg((status = 'failed')::int)
                       FILTER (WHERE status <> 'canceled') AS failure_rate,
                   percentile_disc('{0.5,0.95,0.99}'::float8[])
                       WITHIN GROUP (ORDER BY
                       metrics.run_duration_ms(started_at, finished_at))
                       FILTER (WHERE status <> 'canceled') AS p
            FROM workflow_runs GROUP BY 1) AS r USING (workflow_id)
      WHERE execution_count = runs AND execution_count_24h = runs
        AND abs(failure_rate_1h - r.failure_rate) < 1e-9
        AND abs(m.failure_rate - r.failure_rate) < 1e-9
        AND abs(median_duration / p[1] - 1) < 0.0100001
        AND abs(p95_duration_1h / p[2] - 1) < 0.0100001
        AND abs(p99_duration_24h / p[3] - 1) < 0.0100001
        AND abs(success_rate + m.failure_rate - 1) < 1e-9)"),
            "5");
}

TEST(Refresh, RecordsAFailureAndGoesOn) {
  Database db;
  db.Exec(
      "ALTER MATERIALIZED VIEW metrics.mv_workflow_metrics "
      "RENAME TO mv_away");
  EXPECT_EQ(Refreshed(db, 4), kViews);
  EXPECT_EQ(db.Exec("SELECT string_agg(concat_ws(' ', failures_total, "
                    "last_success_at IS NULL), ', ' ORDER BY task DESC) "
                    "FROM metrics.worker_tasks WHERE task LIKE 'mv%'"),
            "1 t, 0 f, 0 f, 0 f");
}

TEST(Refresh, ThatIsKilledHalfwayIsHarmless) {
  Database db;
  db.Exec(kWorkflows);
  for (int i = 0; i < 20; ++i) db.Exec(kRun);
  FoldAll(db);
  auto blocker = db.Connect();
  test::Exec(blocker, "BEGIN; LOCK TABLE metrics.workflow_metrics_daily");
  std::thread refresher([&] {
    auto session = db.Connect(test::kExporter);
    EXPECT_THROW(test::Exec(session, "SELECT metrics.refresh_if_due()"),
                 meshhook::pg::Error);
  });
  EXPECT_TRUE(test::Await([&] {
    return db.Exec(
               "SELECT count(pg_terminate_backend(pid)) "
               "FROM pg_stat_activity WHERE datname = current_database() "
               "AND wait_event_type = 'Lock'",
               test::kSuperuser) == "1";
  }));
  refresher.join();
  test::Exec(blocker, "ROLLBACK");
  EXPECT_EQ(Refreshed(db, 4), kViews);
  EXPECT_EQ(db.Exec("SELECT sum(execution_count_1h) "
                    "FROM metrics.mv_workflow_metrics"),
            "20");
}

}  // namespace
