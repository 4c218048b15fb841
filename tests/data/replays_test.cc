// SPDX-License-Identifier: MIT
// A run that finishes more than once has each of its events counted once, for
// the finish that it belongs to; and so do many runs at once.
#include <gtest/gtest.h>

#include <atomic>
#include <random>
#include <thread>

#include "tests/support/process.h"
#include "tests/support/steps.h"

namespace {

using namespace std::chrono_literals;
using test::Node;
using test::Runs;

constexpr auto kCounts = "success_count, failure_count, event_count";

class Replays : public testing::Test, protected Runs {
 protected:
  void Fail() {
    Begin(1);
    Event(1, "step_started", Node("call"));
    Event(1, "step_failed", Node("call", R"("error": "HTTP 503")"));
    Set(1, "failed");
  }
  void Resume() { Set(1, "running", "NULL"); }
  void Succeed() {
    Event(1, "step_started", Node("call"));
    Event(1, "step_succeeded", Node("call"));
    Set(1, "succeeded");
  }
  void ExpectExact() {
    Fold();
    EXPECT_EQ(Figures("call", kCounts), "1 1 4");
    EXPECT_EQ(Differences(), "0");
  }
};

TEST_F(Replays, AreToldApartWithinABatch) {
  Fail();
  Resume();
  Succeed();
  ExpectExact();
}

TEST_F(Replays, AreToldApartInBatchesOfTheirOwn) {
  Fail();
  Fold();
  Resume();
  EXPECT_EQ(Fold(), "0");
  Succeed();
  ExpectExact();
}

TEST_F(Replays, AreToldApartWhenTheFirstIsFoldedWhileTheNextIsUnderWay) {
  Fail();
  Resume();
  Event(1, "step_started", Node("call"));
  Fold();
  EXPECT_EQ(Figures("call", kCounts), "0 1 2");
  Event(1, "step_succeeded", Node("call"));
  Set(1, "succeeded");
  ExpectExact();
}

TEST_F(Replays, GoStraightFromFinishToFinish) {
  Fail();
  Succeed();
  ExpectExact();
}

TEST_F(Replays, GoStraightFromAFoldedFinishToTheNext) {
  Fail();
  Fold();
  Succeed();
  ExpectExact();
}

TEST_F(Replays, GoStraightOnWhileTheFinishBeforeIsFolded) {
  Fail();
  db.Exec("UPDATE workflow_runs SET finished_at = now() - interval '20 s'");
  Event(1, "step_started", Node("call"));
  Fold();  // has seen an event of the finish to come
  Event(1, "step_succeeded", Node("call"));
  Set(1, "succeeded");
  ExpectExact();
}

TEST_F(Replays, BeganBetweenWhatAFoldReadsOfFactsAndOfEvents) {
  Fail();
  auto blocker = db.Connect();
  test::Exec(blocker,
             "BEGIN; LOCK TABLE metrics.execution_time_statistics_default");
  std::thread folder([this] {
    auto session = db.Connect(test::kExporter);
    test::Exec(session, "SELECT metrics.fold_steps(2000, '0')");
  });
  EXPECT_TRUE(test::Await([this] {
    return db.Exec(
               "SELECT count(*) FROM pg_locks WHERE NOT granted AND "
               "database = (SELECT oid FROM pg_database "
               "WHERE datname = current_database())") == "1";
  }));
  Resume();
  Event(1, "step_started", Node("call"));
  test::Exec(blocker, "COMMIT");
  folder.join();
  Event(1, "step_succeeded", Node("call"));
  Set(1, "succeeded");
  ExpectExact();
}

TEST_F(Replays, AreCountedAsOftenAsTheyHappen) {
  Fail();
  for (int i = 0; i < 6; ++i) {
    if (i % 2 == 0) Resume();
    Event(1, "step_started", Node("call"));
    Event(1, "step_failed", Node("call", R"("error": "HTTP 503")"));
    Set(1, i % 2 == 0 ? "failed" : "canceled");
    if (i % 3 == 0) Fold();
  }
  Fold();
  EXPECT_EQ(Figures("call", kCounts), "0 7 14");
  EXPECT_EQ(Differences(), "0");
}

TEST_F(Replays, OfADeletedRunDoNoHarm) {
  Fail();
  Resume();
  Succeed();
  db.Exec("DELETE FROM workflow_runs");
  EXPECT_EQ(Fold(), "2");
  EXPECT_EQ(db.Exec("SELECT count(*) FROM metrics.step_metrics"), "0");
}

// One of four writers: whole runs, some in a transaction held for a while,
// some replayed, some rolled back.
void Write(const test::Database& db, unsigned seed) {
  auto session = db.Connect();
  std::minstd_rand random(seed);
  for (int i = 0; i < 40; ++i) {
    const auto run = test::RunId(static_cast<int>(seed * 1000) + i);
    const auto node = "n" + std::to_string(random() % 3);
    const auto events =
        "INSERT INTO workflow_events (run_id, type, payload) SELECT " + run +
        ", t, $$" + Node(node, R"("status": 503, "error": "HTTP 503")") +
        "$$ FROM unnest('{step_started,http_attempted,step_failed,"
        "step_started,http_attempted,step_succeeded}'::text[]) AS t;";
    const auto set = [&run](const std::string& status) {
      return "UPDATE workflow_runs SET status = '" + status +
             "', finished_at = now() WHERE id = " + run + ";";
    };
    test::Exec(session, "BEGIN");
    test::Exec(session,
               "INSERT INTO workflow_runs (id, project_id, workflow_id, "
               "status) SELECT " +
                   run +
                   ", project_id, id, 'running' FROM workflow_definitions");
    test::Exec(session,
               events + set(random() % 2 == 0 ? "failed" : "succeeded"));
    if (random() % 4 == 0) test::Exec(session, "SELECT pg_sleep(0.03)");
    if (random() % 6 == 0) {
      test::Exec(session, "ROLLBACK");
      continue;
    }
    test::Exec(session, "COMMIT");
    if (random() % 3 != 0) continue;
    test::Exec(session, set("running"));
    test::Exec(session, events);
    test::Exec(session, "BEGIN;" + set("succeeded"));
    if (random() % 2 == 0) test::Exec(session, "SELECT pg_sleep(0.02)");
    test::Exec(session, "COMMIT");
  }
}

TEST_F(Replays, AreExactAmongWritersWhoCommitInAnyOrderWhileTwoFold) {
  std::atomic<bool> stop{false};
  std::vector<std::thread> threads;
  for (unsigned seed = 1; seed <= 4; ++seed) {
    threads.emplace_back([this, seed] { Write(db, seed); });
  }
  for (int folder = 0; folder < 2; ++folder) {
    threads.emplace_back([this, folder, &stop] {
      auto session = db.Connect(test::kExporter);
      const std::string fold = folder == 0
                                   ? "SELECT metrics.fold_steps(7, '20 ms')"
                                   : "SELECT metrics.fold_steps(3, '0')";
      while (!stop) test::Exec(session, fold);
    });
  }
  for (size_t i = 0; i < 4; ++i) threads[i].join();
  stop = true;
  threads[4].join();
  threads[5].join();
  while (Fold() != "0") continue;
  EXPECT_GT(std::stol(db.Exec("SELECT sum(event_count) "
                              "FROM metrics.step_metrics")),
            800);
  EXPECT_EQ(Differences(), "0");
}

}  // namespace
