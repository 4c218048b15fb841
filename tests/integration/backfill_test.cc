// SPDX-License-Identifier: MIT
// Runs from before the installation are brought in exactly once.
#include <gtest/gtest.h>
#include <signal.h>

#include <atomic>
#include <thread>

#include "exporter/migrations.h"
#include "tests/support/database.h"
#include "tests/support/process.h"
#include "tests/support/runs.h"

namespace {

using namespace std::chrono_literals;
using test::Await;
using test::Database;
using test::Template;

constexpr auto kAdded = "SELECT runs_added FROM metrics.backfill_state";

void Quiet(const std::string& /*line*/) {}

// MeshHook's schema with finished and unfinished runs, and no data layer yet.
class Backfill : public testing::Test {
 protected:
  Backfill() { db_.Exec(test::kWorkflows); }

  void AddRuns(int count) {
    db_.Exec(R"(
        INSERT INTO workflow_runs
            (project_id, workflow_id, status, started_at, finished_at)
        SELECT project_id, w.id,
               CASE WHEN i % 10 < 6 THEN 'succeeded'
                    WHEN i % 10 < 8 THEN 'failed' ELSE 'canceled' END,
               now() - interval '1 day' - i * interval '1 second',
               now() - interval '1 day'
        FROM generate_series(1, )" +
             std::to_string(count) + R"() AS i
        JOIN (SELECT id, project_id, row_number() OVER () AS n
              FROM workflow_definitions) AS w ON w.n = 1 + i % 5;
        INSERT INTO workflow_runs (project_id, workflow_id, status)
        SELECT project_id, id, 'running' FROM workflow_definitions)");
  }
  void Install() {
    meshhook::Migrate(db_.Conninfo(), meshhook::EmbeddedMigrations(), 60s,
                      Quiet);
  }
  // Small batches, as many as there are.
  void RunInBatchesOf(int size) {
    auto session = db_.Connect();
    const auto batch = "SELECT metrics.backfill(" + std::to_string(size) + ")";
    while (test::Exec(session, batch) != "0") continue;
  }
  void ExpectExact() {
    while (db_.Exec("SELECT metrics.fold()") != "0") continue;
    EXPECT_EQ(db_.Exec(test::kCounted), db_.Exec(test::kFinishedRuns));
    EXPECT_EQ(db_.Exec(test::kDifferences), "0");
  }

  Database db_{Template::kFixture};
};

TEST_F(Backfill, CountsEachRunFromBeforeOnceThoughItIsRepeated) {
  AddRuns(500);
  Install();
  std::string said;
  for (int i = 0; i < 3; ++i) {
    meshhook::Backfill(db_.Conninfo(),
                       [&](const std::string& line) { said = line; });
    EXPECT_EQ(said,
              "backfill is complete: 500 runs from before the installation");
  }
  ExpectExact();
  EXPECT_EQ(db_.Exec(test::kCounted), "500");
}

TEST_F(Backfill, IsDoneAtOnceWhereThereIsNothing) {
  Install();
  meshhook::Backfill(db_.Conninfo(), Quiet);
  EXPECT_EQ(db_.Exec("SELECT finished_at IS NOT NULL "
                     "FROM metrics.backfill_state"),
            "t");
  ExpectExact();
}

TEST_F(Backfill, IsExactWhileRunsFinish) {
  AddRuns(2000);
  Install();
  std::atomic<bool> stop{false};
  std::thread writer([&] {
    auto session = db_.Connect();
    while (!stop) {
      test::Exec(session, test::kRun);
      // One that began before the installation.
      test::Exec(session, R"(
          UPDATE workflow_runs SET status = 'failed', finished_at = now()
          WHERE id = (SELECT id FROM workflow_runs
                      WHERE status = 'running' LIMIT 1))");
    }
  });
  std::thread folder([&] {
    auto session = db_.Connect(test::kExporter);
    while (!stop) test::Exec(session, "SELECT metrics.fold()");
  });
  RunInBatchesOf(50);
  stop = true;
  writer.join();
  folder.join();
  EXPECT_EQ(db_.Exec(kAdded), "2000");
  ExpectExact();
}

TEST_F(Backfill, GoesOnWhereItWasInterrupted) {
  AddRuns(300);
  Install();
  db_.Exec("SELECT metrics.backfill(100)");
  db_.Exec("BEGIN; SELECT metrics.backfill(100); ROLLBACK");
  {
    auto lost = db_.Connect();
    test::Exec(lost, "BEGIN; SELECT metrics.backfill(100)");
  }
  RunInBatchesOf(70);
  EXPECT_EQ(db_.Exec(kAdded), "300");
  ExpectExact();
}

TEST_F(Backfill, GoesOnAfterMigrateWasKilled) {
  AddRuns(40000);
  test::Process migrate({MESHHOOK_EXPORTER, "migrate"},
                        {{"DATABASE_URL", db_.Url()}});
  EXPECT_TRUE(Await([&] {
    return db_.Exec(
               "SELECT to_regclass('metrics.backfill_state') IS NOT NULL "
               "AND to_regclass("
               "'metrics.execution_time_statistics_backfilled') "
               "IS NOT NULL") == "t" &&
           db_.Exec(kAdded) != "0";
  }));
  migrate.Signal(SIGKILL);
  EXPECT_EQ(migrate.Wait(), 128 + SIGKILL);
  const auto ended =
      test::Run({MESHHOOK_EXPORTER, "migrate"}, {{"DATABASE_URL", db_.Url()}});
  EXPECT_EQ(ended.status, 0) << ended.err;
  EXPECT_NE(ended.out.find("backfill is complete: 40000 runs"),
            std::string::npos)
      << ended.out;
  ExpectExact();
}

TEST_F(Backfill, TakesTurnsWithAnother) {
  AddRuns(1000);
  Install();
  std::vector<std::thread> threads;
  for (int i = 0; i < 3; ++i) {
    threads.emplace_back([this] { RunInBatchesOf(30); });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(db_.Exec(kAdded), "1000");
  ExpectExact();
}

TEST_F(Backfill, CountsOnceARunWhoseClockRanBehind) {
  Install();
  // Finished after the installation, by a clock that is an hour slow: the
  // trigger has counted it.
  db_.Exec(R"(
      INSERT INTO workflow_runs
          (project_id, workflow_id, status, started_at, finished_at)
      SELECT project_id, id, 'failed', now() - interval '2 hours',
             now() - interval '1 hour'
      FROM workflow_definitions)");
  RunInBatchesOf(2);
  EXPECT_EQ(db_.Exec(kAdded), "0");
  ExpectExact();
}

TEST_F(Backfill, TakesARunWithoutTimesAsOfNoDuration) {
  db_.Exec(R"(
      INSERT INTO workflow_runs (project_id, workflow_id, status)
      SELECT project_id, id, 'succeeded' FROM workflow_definitions)");
  Install();
  RunInBatchesOf(100);
  EXPECT_EQ(db_.Exec(kAdded), "5");
  EXPECT_EQ(db_.Exec("SELECT count(*) FROM metrics.execution_time_statistics "
                     "WHERE execution_time_ms >= 0"),
            "5");
}

TEST_F(Backfill, CanBeLeftForLater) {
  AddRuns(10);
  const auto ended = test::Run({MESHHOOK_EXPORTER, "migrate", "--no-backfill"},
                               {{"DATABASE_URL", db_.Url()}});
  EXPECT_EQ(ended.status, 0) << ended.err;
  EXPECT_EQ(db_.Exec(kAdded), "0");
  EXPECT_EQ(db_.Exec("SELECT finished_at IS NULL FROM metrics.backfill_state"),
            "t");
}

TEST_F(Backfill, CountsOnceARunWhoseClockRanAhead) {
  db_.Exec(R"(
      INSERT INTO workflow_runs
          (project_id, workflow_id, status, started_at, finished_at)
      SELECT project_id, id, 'failed', now(), now() + interval '1 hour'
      FROM workflow_definitions)");
  Install();
  RunInBatchesOf(2);
  ExpectExact();
}

}  // namespace
