// SPDX-License-Identifier: MIT
// Every finished run is counted exactly once, whatever the order of commits.
#include <gtest/gtest.h>

#include <atomic>
#include <random>
#include <thread>

#include "tests/support/database.h"

namespace {

using test::Database;

constexpr auto kWorkflows = R"(
    INSERT INTO projects (id, owner, name)
    VALUES ('00000000-0000-0000-0000-00000000000a', gen_random_uuid(), 'P');
    INSERT INTO workflow_definitions
        (id, project_id, slug, version, definition, name, status)
    SELECT gen_random_uuid(), '00000000-0000-0000-0000-00000000000a',
           'w' || i, 1, '{}', 'w' || i, 'published'
    FROM generate_series(1, 5) AS i)";

// A run of some workflow that begins and ends at once.
constexpr auto kRun = R"(
    INSERT INTO workflow_runs
        (project_id, workflow_id, status, started_at, finished_at)
    SELECT project_id, id,
           (ARRAY['succeeded', 'failed', 'canceled'])[1 + floor(random() * 3)],
           now() - random() * interval '20 minutes', now()
    FROM workflow_definitions ORDER BY random() LIMIT 1)";

constexpr auto kFinishedRuns =
    "SELECT count(*) FROM workflow_runs "
    "WHERE status IN ('succeeded', 'failed', 'canceled')";
constexpr auto kCounted =
    "SELECT coalesce(sum(success_count + failure_count + canceled_count), 0) "
    "FROM metrics.workflow_run_metrics";

// Workflows whose totals differ from the runs they count, in any column.
constexpr auto kDifferences = R"(
    SELECT count(*)
    FROM (SELECT workflow_id,
                 count(*) FILTER (WHERE status = 'succeeded') AS succeeded,
                 count(*) FILTER (WHERE status = 'failed') AS failed,
                 count(*) FILTER (WHERE status = 'canceled') AS canceled,
                 coalesce(sum(metrics.run_duration_ms(started_at, finished_at))
                          FILTER (WHERE status <> 'canceled'), 0) AS ms
          FROM workflow_runs WHERE finished_at IS NOT NULL GROUP BY 1) AS runs
    FULL JOIN metrics.workflow_run_metrics AS m USING (workflow_id)
    WHERE (runs.succeeded, runs.failed, runs.canceled, runs.ms,
           runs.succeeded + runs.failed)
          IS DISTINCT FROM
          (m.success_count, m.failure_count, m.canceled_count,
           m.duration_sum_ms, m.duration_buckets[10]))";

TEST(Fold, IsExactWhileWritersCommitInAnyOrderAndTwoFold) {
  Database db;
  db.Exec(kWorkflows);
  std::atomic<bool> stop{false};
  std::vector<std::thread> threads;
  for (unsigned seed = 1; seed <= 4; ++seed) {
    threads.emplace_back([&db, seed] {
      auto session = db.Connect();
      std::minstd_rand random(seed);
      for (int i = 0; i < 60; ++i) {
        test::Exec(session, "BEGIN");
        for (unsigned run = 0; run <= random() % 3; ++run) {
          test::Exec(session, kRun);
        }
        test::Exec(session, "SAVEPOINT s");
        test::Exec(session, kRun);
        if (random() % 2 == 0) test::Exec(session, "ROLLBACK TO s");
        if (random() % 4 == 0) test::Exec(session, "SELECT pg_sleep(0.03)");
        test::Exec(session, random() % 5 == 0 ? "ROLLBACK" : "COMMIT");
      }
    });
  }
  for (int folder = 0; folder < 2; ++folder) {
    threads.emplace_back([&db, &stop] {
      auto session = db.Connect(test::kExporter);
      while (!stop) test::Exec(session, "SELECT metrics.fold(7)");
    });
  }
  for (size_t i = 0; i < 4; ++i) threads[i].join();
  stop = true;
  threads[4].join();
  threads[5].join();
  while (db.Exec("SELECT metrics.fold()") != "0") continue;

  EXPECT_GT(std::stol(db.Exec(kFinishedRuns)), 300);
  EXPECT_EQ(db.Exec(kCounted), db.Exec(kFinishedRuns));
  EXPECT_EQ(db.Exec(kDifferences), "0");
  EXPECT_EQ(db.Exec("SELECT metrics.pending_facts()"), "0");
}

TEST(Fold, DoesNotWaitForAnOpenTransactionAndCountsItWhenItCommits) {
  Database db;
  db.Exec(kWorkflows);
  auto slow = db.Connect();
  test::Exec(slow, std::string("BEGIN;") + kRun);
  for (int i = 0; i < 3; ++i) {
    db.Exec(kRun);
    EXPECT_EQ(db.Exec("SELECT metrics.fold()"), "1");
  }
  EXPECT_EQ(db.Exec(kCounted), "3");
  test::Exec(slow, "COMMIT");
  EXPECT_EQ(db.Exec("SELECT metrics.pending_facts()"), "1");
  EXPECT_EQ(db.Exec("SELECT metrics.fold()"), "1");
  EXPECT_EQ(db.Exec(kCounted), "4");
}

TEST(Fold, CountsTheRunsOfItsOwnTransactionOnceItIsOver) {
  Database db;
  db.Exec(kWorkflows);
  db.Exec(std::string("BEGIN;") + kRun + "; SELECT metrics.fold();" + kRun +
          "; COMMIT");
  EXPECT_EQ(db.Exec(kCounted), "0");
  EXPECT_EQ(db.Exec("SELECT metrics.fold()"), "2");
  EXPECT_EQ(db.Exec(kCounted), "2");
}

TEST(Fold, TakesNoMoreAtATimeThanItIsTold) {
  Database db;
  db.Exec(kWorkflows);
  for (int i = 0; i < 25; ++i) db.Exec(kRun);
  EXPECT_EQ(db.Exec("SELECT metrics.fold(10)"), "10");
  EXPECT_EQ(db.Exec("SELECT metrics.fold(10)"), "10");
  EXPECT_EQ(db.Exec("SELECT metrics.fold(10)"), "5");
  EXPECT_EQ(db.Exec(kCounted), "25");
}

TEST(Fold, LosesNothingWhenItsTransactionIsRolledBack) {
  Database db;
  db.Exec(kWorkflows);
  db.Exec(kRun);
  db.Exec("BEGIN; SELECT metrics.fold(); ROLLBACK");
  EXPECT_EQ(db.Exec(kCounted), "0");
  db.Exec("SELECT metrics.fold()");
  EXPECT_EQ(db.Exec(kCounted), "1");
}

TEST(Fold, TakesTurnsWithAnother) {
  Database db;
  db.Exec(kWorkflows);
  db.Exec(kRun);
  auto other = db.Connect();
  test::Exec(other, "BEGIN; SELECT metrics.fold()");
  EXPECT_EQ(db.Exec("SELECT metrics.fold() IS NULL"), "t");
  test::Exec(other, "COMMIT");
  EXPECT_EQ(db.Exec("SELECT metrics.fold()"), "0");
  EXPECT_EQ(db.Exec(kCounted), "1");
}

// As after pg_dump and restore into a cluster whose transaction ids are lower:
// the ids in the facts and in the state are from another world.
TEST(Fold, StaysExactWhenTransactionIdsStartLower) {
  Database db;
  db.Exec(kWorkflows);
  auto slow = db.Connect();
  test::Exec(slow, std::string("BEGIN;") + kRun);
  for (int i = 0; i < 5; ++i) db.Exec(kRun);
  db.Exec("SELECT metrics.fold()");
  test::Exec(slow, "COMMIT");  // below the highest folded id, yet unfolded
  db.Exec(kRun);               // above it
  db.Exec(R"(
      UPDATE metrics.execution_time_statistics
      SET xact_id = (xact_id::text::numeric + 1000000)::text::xid8;
      UPDATE metrics.fold_state
      SET system_identifier = system_identifier + 1,
          next_xid = (next_xid::text::numeric + 1000000)::text::xid8,
          in_progress = array(
              SELECT (xid::text::numeric + 1000000)::text::xid8
              FROM unnest(in_progress) AS xid))");
  db.Exec(kRun);  // of the new world, before it was noticed
  for (int i = 0; i < 3; ++i) db.Exec("SELECT metrics.fold()");
  EXPECT_EQ(db.Exec(kCounted), "8");
  db.Exec(kRun);
  db.Exec("SELECT metrics.fold()");
  EXPECT_EQ(db.Exec(kCounted), db.Exec(kFinishedRuns));
  EXPECT_EQ(db.Exec(kDifferences), "0");
}

TEST(Capture, CountsEachFinishOfARunThatIsReplayed) {
  Database db;
  db.Exec(kWorkflows);
  db.Exec(kRun);
  db.Exec("UPDATE workflow_runs SET status = 'running', finished_at = NULL");
  db.Exec("UPDATE workflow_runs SET status = 'failed', finished_at = now()");
  db.Exec("UPDATE workflow_runs SET updated_at = now()");
  db.Exec("SELECT metrics.fold()");
  EXPECT_EQ(db.Exec(kCounted), "2");
}

TEST(Capture, NeverFailsMeshHooksOwnWrite) {
  Database db;
  db.Exec(kWorkflows);
  auto session = db.Connect();
  for (const char* times :
       {"now(), NULL", "'infinity', '-infinity'", "now(), 'infinity'",
        "'4713-01-01 BC', '294276-12-31'", "now() + interval '1 year', now()",
        "'1999-12-31', '2000-01-01'"}) {
    EXPECT_EQ(test::Refusal(session,
                            "INSERT INTO workflow_runs (project_id, "
                            "workflow_id, status, started_at, finished_at) "
                            "SELECT project_id, id, 'failed', " +
                                std::string(times) +
                                " FROM workflow_definitions LIMIT 1"),
              "")
        << times;
  }
  db.Exec("SELECT metrics.fold()");
  EXPECT_EQ(db.Exec(kCounted), "6");
  EXPECT_EQ(db.Exec("SELECT min(execution_time_ms) "
                    "FROM metrics.execution_time_statistics"),
            "0");
}

TEST(Capture, SurvivesTheDeletionOfItsProject) {
  Database db;
  db.Exec(kWorkflows);
  db.Exec(kRun);
  db.Exec("DELETE FROM projects");
  db.Exec("SELECT metrics.fold()");
  EXPECT_EQ(db.Exec(kCounted), "1");
  EXPECT_EQ(db.Exec("SELECT count(*) FROM metrics.workflow_counters"), "1");
}

TEST(Partitions, AreMadeAheadWithoutHoldingUpWriters) {
  Database db;
  db.Exec(kWorkflows);
  auto writer = db.Connect();
  test::Exec(writer, std::string("BEGIN;") + kRun);
  db.Exec("SET lock_timeout = '500ms'");
  EXPECT_EQ(db.Exec("SELECT metrics.ensure_partitions(5)"), "3");
  EXPECT_EQ(db.Exec("SELECT metrics.ensure_partitions(5)"), "0");
  test::Exec(writer, "COMMIT");
  EXPECT_EQ(db.Exec("SELECT count(*) "
                    "FROM metrics.execution_time_statistics_default"),
            "0");
}

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
