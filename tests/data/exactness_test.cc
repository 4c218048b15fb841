// SPDX-License-Identifier: MIT
// verify() finds what is wrong and nothing else, rebuild() mends it, and runs
// from before the installation are counted though they are replayed.
#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "exporter/migrations.h"
#include "tests/support/database.h"
#include "tests/support/runs.h"

namespace {

using namespace std::chrono_literals;
using test::Database;
using test::kCounted;
using test::kDifferences;
using test::kFinishedRuns;
using test::kRun;
using test::Template;

void FoldAll(Database& db) {
  while (db.Exec("SELECT metrics.fold() + metrics.fold_trends()") != "0") {
    continue;
  }
}

// What verify() finds: aggregate, figure, expected and found, a line each.
std::string Findings(Database& db) {
  return db.Exec(
      "SELECT string_agg(concat_ws(' ', aggregate, id, bucket_start, figure, "
      "expected, found), E'\\n' ORDER BY v::text) FROM metrics.verify() AS v");
}

class Verify : public testing::Test {
 protected:
  Verify() {
    db_.Exec(test::kOneWorkflow);
    db_.Exec(R"(
        INSERT INTO workflow_runs
            (project_id, workflow_id, status, started_at, finished_at)
        SELECT project_id, id, s, date_trunc('hour', now())
                   - h * interval '1 hour' - interval '1500 ms',
               date_trunc('hour', now()) - h * interval '1 hour'
        FROM workflow_definitions,
             unnest('{succeeded,failed,canceled}'::text[]) AS s,
             generate_series(1, 48) AS h)");
    FoldAll(db_);
    workflow_ = db_.Exec("SELECT id FROM workflow_definitions");
    hour_ = db_.Exec("SELECT date_trunc('hour', now()) - interval '5 hours'");
    day_ = db_.Exec("SELECT date_trunc('day', now(), 'UTC')");
  }
  void ExpectMended() {
    EXPECT_EQ(db_.Exec("SELECT metrics.rebuild()"), db_.Exec(kFinishedRuns));
    EXPECT_EQ(Findings(db_), "");
    EXPECT_EQ(db_.Exec(kDifferences), "0");
  }

  Database db_;
  std::string workflow_, hour_, day_;
};

TEST_F(Verify, FindsNothingWhereAllIsRight) {
  EXPECT_EQ(Findings(db_), "");
  db_.Exec(kRun);  // not folded yet, so not expected yet
  EXPECT_EQ(Findings(db_), "");
  db_.Exec("SELECT metrics.fold()");  // the one is ahead of the other
  EXPECT_EQ(Findings(db_), "");
  FoldAll(db_);
  EXPECT_EQ(Findings(db_), "");
}

TEST_F(Verify, NamesTheFigureOfATotalThatDiffers) {
  const auto total = "workflow_run_metrics " + workflow_ + " ";
  const struct {
    const char* change;
    std::string finding;
  } kCases[] = {
      {"success_count = success_count + 1", "success_count 48 49"},
      {"failure_count = failure_count - 2", "failure_count 48 46"},
      {"canceled_count = 0", "canceled_count 48 0"},
      {"duration_sum_ms = duration_sum_ms + 0.5",
       "duration_sum_ms 144000 144000.5"},
      {"duration_buckets[4] = 95", "duration_buckets[4] 96 95"},
  };
  for (const auto& c : kCases) {
    db_.Exec(std::string("BEGIN; UPDATE metrics.workflow_run_metrics SET ") +
             c.change);
    EXPECT_EQ(Findings(db_), total + c.finding);
    db_.Exec("ROLLBACK");
  }
}

TEST_F(Verify, NamesTheBucketAndTheFigureOfATrendThatDiffers) {
  const struct {
    const char* change;
    std::string finding;
  } kCases[] = {
      {"success_count = 7", "success_count 1 7"},
      {"failure_count = 7", "failure_count 1 7"},
      {"canceled_count = 7", "canceled_count 1 7"},
      {"duration_sum_ms = 7", "duration_sum_ms 3000 7"},
      {"duration_min_ms = 7", "duration_min_ms 1500 7"},
      {"duration_max_ms = NULL", "duration_max_ms 1500"},
      {"durations = '({},{})'", "buckets of durations that differ 0 1"},
      {"durations = ROW('{366,367}', '{1,2}')::metrics.sketch",
       "buckets of durations that differ 0 2"},
  };
  for (const auto& c : kCases) {
    db_.Exec(std::string("BEGIN; UPDATE metrics.workflow_metrics_hourly SET ") +
             c.change + " WHERE bucket_start = '" + hour_ + "'");
    EXPECT_EQ(Findings(db_), "workflow_metrics_hourly " + workflow_ + " " +
                                 hour_ + " " + c.finding);
    db_.Exec("ROLLBACK");
  }
}

TEST_F(Verify, NamesWhatIsMissingAndWhatShouldNotBeThere) {
  db_.Exec(
      "BEGIN; DELETE FROM metrics.project_metrics_daily "
      "WHERE bucket_start = '" +
      day_ + "'::timestamptz - interval '1 d'");
  EXPECT_EQ(db_.Exec("SELECT concat_ws(' ', min(aggregate), count(*), "
                     "count(found), max(expected) FILTER (WHERE figure = "
                     "'success_count')) FROM metrics.verify()"),
            "project_metrics_daily 7 1 24");
  db_.Exec(
      "ROLLBACK; BEGIN; INSERT INTO metrics.workflow_run_metrics "
      "SELECT gen_random_uuid(), project_id, 1, 0, 0, 5, "
      "duration_buckets, now() FROM metrics.workflow_run_metrics");
  EXPECT_EQ(db_.Exec("SELECT bool_and(expected IS NULL) AND count(*) = 14 "
                     "FROM metrics.verify()"),
            "t");
  db_.Exec(
      "ROLLBACK; DELETE FROM metrics.execution_time_statistics "
      "WHERE run_id = (SELECT id FROM workflow_runs LIMIT 1)");
  EXPECT_NE(Findings(db_), "");
}

TEST_F(Verify, IsContentAfterARebuild) {
  db_.Exec(
      "UPDATE metrics.workflow_run_metrics SET success_count = 0, "
      "duration_buckets = '{}'");
  db_.Exec("DELETE FROM metrics.workflow_metrics_hourly WHERE random() < 0.5");
  db_.Exec("UPDATE metrics.workflow_metrics_daily SET durations = '({},{})'");
  db_.Exec(
      "UPDATE metrics.project_metrics_daily "
      "SET bucket_start = bucket_start + interval '1 hour'");
  db_.Exec(kRun);
  EXPECT_NE(Findings(db_), "");
  ExpectMended();
  FoldAll(db_);
  EXPECT_EQ(db_.Exec(kCounted), db_.Exec(kFinishedRuns));
}

TEST_F(Verify, IsContentAfterARebuildWhileRunsFinish) {
  std::atomic<bool> stop{false};
  std::atomic<long> shrunk{0};
  std::vector<std::thread> threads;
  threads.emplace_back([&] {
    auto session = db_.Connect();
    while (!stop) test::Exec(session, kRun);
  });
  threads.emplace_back([&] {
    auto session = db_.Connect(test::kExporter);
    while (!stop) {
      test::Exec(session, "SELECT metrics.fold(), metrics.fold_trends()");
    }
  });
  threads.emplace_back([&] {
    auto session = db_.Connect(test::kExporter);
    long last = 0;
    while (!stop) {
      const long now = std::stol(test::Exec(
          session,
          "SELECT sum(success_count + failure_count + canceled_count) "
          "FROM metrics.workflow_counters"));
      shrunk += now < last ? 1 : 0;
      last = now;
    }
  });
  for (int i = 0; i < 5; ++i) {
    db_.Exec("SELECT metrics.rebuild()");
    db_.Exec("SELECT pg_sleep(0.05)");
    EXPECT_EQ(Findings(db_), "");
  }
  stop = true;
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(shrunk, 0);
  FoldAll(db_);
  EXPECT_EQ(Findings(db_), "");
  EXPECT_EQ(db_.Exec(kCounted), db_.Exec(kFinishedRuns));
  EXPECT_EQ(db_.Exec(kDifferences), "0");
}

TEST_F(Verify, CountsAllAnewThoughOneTransactionWroteManyFacts) {
  db_.Exec(
      "INSERT INTO metrics.execution_time_statistics (project_id, "
      "workflow_id, run_id, status, execution_time_ms, created_at) "
      "SELECT project_id, id, gen_random_uuid(), 'failed', i, now() "
      "FROM workflow_definitions, generate_series(1, 200100) AS i");
  db_.Exec(kRun);
  EXPECT_EQ(db_.Exec("SELECT metrics.rebuild()"), "200245");
  EXPECT_EQ(Findings(db_), "");
}

// Runs that finished before the installation and are taken up again before
// backfill has come to them.
class EarlyReplays : public testing::Test {
 protected:
  EarlyReplays() {
    db_.Exec(test::kWorkflows);
    db_.Exec(R"(
        INSERT INTO workflow_runs
            (project_id, workflow_id, status, started_at, finished_at)
        SELECT project_id, id, 'failed', now() - interval '2 days',
               now() - interval '2 days' + i * interval '1 s'
        FROM workflow_definitions, generate_series(1, 100) AS i)");
    meshhook::Migrate(db_.Conninfo(), meshhook::EmbeddedMigrations(), 60s,
                      [](const std::string&) {});
  }
  void Backfill(int batch) {
    auto session = db_.Connect();
    const auto next = "SELECT metrics.backfill(" + std::to_string(batch) + ")";
    while (test::Exec(session, next) != "0") continue;
  }
  // Both finishes of those that were replayed, one of all others.
  void ExpectFinishes(const std::string& finishes, const std::string& failed) {
    FoldAll(db_);
    EXPECT_EQ(db_.Exec(kCounted), finishes);
    EXPECT_EQ(db_.Exec("SELECT sum(failure_count) "
                       "FROM metrics.workflow_run_metrics"),
              failed);
    EXPECT_EQ(Findings(db_), "");
  }

  Database db_{Template::kFixture};
};

constexpr auto kResume =
    "UPDATE workflow_runs SET status = 'running', "
    "finished_at = NULL";
constexpr auto kSucceed =
    "UPDATE workflow_runs SET status = 'succeeded', "
    "finished_at = now()";

TEST_F(EarlyReplays, HaveBothFinishesCounted) {
  db_.Exec(kResume);
  db_.Exec(kSucceed);
  Backfill(70);
  ExpectFinishes("1000", "500");
}

TEST_F(EarlyReplays, ThatGoOnHaveTheFirstCountedAndThenTheNext) {
  db_.Exec(kResume);
  Backfill(70);
  ExpectFinishes("500", "500");
  db_.Exec(kSucceed);
  ExpectFinishes("1000", "500");
}

TEST_F(EarlyReplays, ThatGoStraightToTheNextFinishAreCounted) {
  db_.Exec(kSucceed);
  Backfill(70);
  ExpectFinishes("1000", "500");
}

TEST_F(EarlyReplays, DoNotMixWithABackfillUnderWay) {
  std::atomic<bool> stop{false};
  std::atomic<int> replayed{0};
  std::vector<std::thread> threads;
  for (int writer = 0; writer < 2; ++writer) {
    threads.emplace_back([&, writer] {
      auto session = db_.Connect();
      for (int i = writer; i < 500 && !stop; i += 2) {
        const auto which =
            " WHERE id = (SELECT id FROM workflow_runs ORDER BY "
            "md5(id::text) OFFSET " +
            std::to_string(i) + " LIMIT 1)";
        test::Exec(session, "BEGIN");
        test::Exec(session, kResume + which);
        if (i % 7 < 2) test::Exec(session, "SELECT pg_sleep(0.005)");
        test::Exec(session, "COMMIT");
        test::Exec(session, kSucceed + which);
        ++replayed;
      }
    });
  }
  Backfill(3);
  stop = true;
  for (auto& thread : threads) thread.join();
  EXPECT_GT(replayed, 20);
  ExpectFinishes(std::to_string(500 + replayed), "500");
}

}  // namespace
