// SPDX-License-Identifier: MIT
// Every finished run is counted exactly once, whatever the order of commits.
#include <gtest/gtest.h>

#include <atomic>
#include <random>
#include <string>
#include <thread>

#include "tests/support/database.h"
#include "tests/support/runs.h"

namespace {

using test::Database;
using test::kCounted;
using test::kDifferences;
using test::kFinishedRuns;
using test::kRun;
using test::kWorkflows;

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

// Such as a batch of the backfill, which is longer than a turn of the steps.
TEST(Fold, TakesATransactionThatIsLongerThanATurnWhole) {
  Database db;
  db.Exec(kWorkflows);
  db.Exec(std::string("DO $$ BEGIN FOR i IN 1 .. 25 LOOP ") + kRun +
          "; END LOOP; END $$");
  for (int i = 0; i < 5; ++i) db.Exec(kRun);
  EXPECT_EQ(db.Exec("SELECT metrics.fold(10)"), "25");
  EXPECT_EQ(db.Exec("SELECT metrics.fold(10)"), "5");
  EXPECT_EQ(db.Exec(kCounted), "30");
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

}  // namespace
