// SPDX-License-Identifier: MIT
// The materialized view: right, and refreshed at its own pace.
#include <gtest/gtest.h>

#include "tests/support/database.h"
#include "tests/support/runs.h"

namespace {

using test::Database;
using test::kRun;
using test::kWorkflows;

TEST(Refresh, PacesItselfAndRecordsWhatItDid) {
  Database db;
  db.Exec(kWorkflows);
  for (int i = 0; i < 20; ++i) db.Exec(kRun);
  db.Exec("SELECT metrics.fold()");
  EXPECT_EQ(db.Exec("SELECT metrics.refresh_if_due()"), "mv_workflow_metrics");
  EXPECT_EQ(db.Exec("SELECT metrics.refresh_if_due() IS NULL"), "t");
  EXPECT_EQ(db.Exec("SELECT sum(execution_count) = 20 AND "
                    "sum(execution_count_1h) = 20 "
                    "FROM metrics.mv_workflow_metrics"),
            "t");
  // A refresh that took 3 s may come again after 57 more, but no sooner.
  db.Exec(
      "UPDATE metrics.worker_tasks SET last_duration_ms = 3000, "
      "last_attempt_at = now() - interval '50 seconds'");
  EXPECT_EQ(db.Exec("SELECT metrics.refresh_if_due() IS NULL"), "t");
  db.Exec(
      "UPDATE metrics.worker_tasks "
      "SET last_attempt_at = now() - interval '58 seconds'");
  EXPECT_EQ(db.Exec("SELECT metrics.refresh_if_due()"), "mv_workflow_metrics");
  EXPECT_EQ(db.Exec("SELECT count(*) FROM metrics.refresh_log "
                    "WHERE task = 'mv_workflow_metrics' AND sqlstate IS NULL"),
            "2");
}

TEST(Refresh, MatchesWhatTheRunsSay) {
  Database db;
  db.Exec(kWorkflows);
  for (int i = 0; i < 200; ++i) db.Exec(kRun);
  db.Exec("SELECT metrics.fold(); SELECT metrics.refresh_if_due()");
  EXPECT_EQ(db.Exec(R"(
      SELECT count(*) FROM metrics.mv_workflow_metrics AS m
      JOIN (SELECT workflow_id, count(*) AS runs,
                   avg((status = 'failed')::int)
                       FILTER (WHERE status <> 'canceled') AS failure_rate,
                   percentile_cont(0.95) WITHIN GROUP (ORDER BY
                       metrics.run_duration_ms(started_at, finished_at))
                       FILTER (WHERE status <> 'canceled') AS p95
            FROM workflow_runs GROUP BY 1) AS r USING (workflow_id)
      WHERE execution_count = runs AND execution_count_24h = runs
        AND abs(failure_rate_1h - r.failure_rate) < 1e-9
        AND abs(m.failure_rate - r.failure_rate) < 1e-9
        AND abs(p95_duration - p95) < 1e-6
        AND abs(success_rate + m.failure_rate - 1) < 1e-9)"),
            "5");
}

TEST(Refresh, RecordsAFailureAndGoesOn) {
  Database db;
  db.Exec(
      "ALTER MATERIALIZED VIEW metrics.mv_workflow_metrics "
      "RENAME TO mv_away");
  EXPECT_EQ(db.Exec("SELECT metrics.refresh_if_due()"), "mv_workflow_metrics");
  EXPECT_EQ(db.Exec("SELECT failures_total FROM metrics.worker_tasks "
                    "WHERE task = 'mv_workflow_metrics'"),
            "1");
  EXPECT_EQ(db.Exec("SELECT last_success_at IS NULL FROM metrics.worker_tasks "
                    "WHERE task = 'mv_workflow_metrics'"),
            "t");
}

}  // namespace
