// SPDX-License-Identifier: MIT
// The server as a whole: who waits for whom, what holds vacuum back, what
// sessions do. The cluster is shared, so each test looks at a database of its
// own.
#include <gtest/gtest.h>

#include <future>

#include "collectors/all.h"
#include "tests/support/collect.h"

namespace {

namespace collectors = meshhook::collectors;
using test::Await;
using test::Collect;
using test::Collecting;
using test::Database;
using test::Exec;
using test::kSuperuser;
using test::SampleSum;

// Sessions that run a statement each and wait; release what they wait for
// before this goes.
class Waiters {
 public:
  explicit Waiters(Database& db) : db_(db) {}

  // Returns once the statement waits for a lock.
  void Add(const std::string& sql) {
    running_.push_back(std::async(std::launch::async, [this, sql] {
      auto session = db_.Connect();
      Exec(session, sql);
    }));
    const auto wanted = std::to_string(running_.size());
    ASSERT_TRUE(Await([&] {
      return db_.Exec(
                 "SELECT count(*) FROM pg_stat_activity WHERE datname = "
                 "current_database() AND wait_event_type = 'Lock'",
                 kSuperuser) == wanted;
    })) << sql;
  }

 private:
  Database& db_;
  std::vector<std::future<void>> running_;
};

std::string Of(const Database& db, const std::string& metric,
               const std::string& more = "") {
  return metric + "{datname=\"" + db.name() + "\"" + more;
}

void MakeTables(Database& db) {
  db.Exec("CREATE TABLE a (n int); CREATE TABLE b (n int)");
}

TEST(Blocking, FollowsAChainToTheSessionAtItsRoot) {
  Database db;
  MakeTables(db);
  EXPECT_EQ(SampleSum(Collect(db, collectors::Blocking()),
                      Of(db, "meshhook_blocked_sessions")),
            0);
  Waiters waiters(db);
  auto root = db.Connect();
  Exec(root, "BEGIN; LOCK TABLE a");
  waiters.Add("BEGIN; LOCK TABLE b; LOCK TABLE a");
  waiters.Add("SELECT count(*) FROM b");
  const auto page = Collect(db, collectors::Blocking());
  EXPECT_EQ(SampleSum(page, Of(db, "meshhook_blocked_sessions")), 2);
  EXPECT_EQ(SampleSum(page, Of(db, "meshhook_root_blocker_sessions",
                               ",state=\"idle in transaction\"}")),
            1);
  EXPECT_EQ(SampleSum(page, Of(db, "meshhook_root_blocker_sessions")), 1);
  EXPECT_GE(SampleSum(page, "meshhook_blocking_chain_depth"), 2);
  const auto waited =
      SampleSum(page, Of(db, "meshhook_lock_wait_longest_seconds"));
  EXPECT_GT(waited, 0);
  EXPECT_LT(waited, 60);
}

// Those that queue for one lock wait for each other, on all paths there are.
TEST(Blocking, CountsAQueueAndEndsWithItsRelease) {
  Database db;
  MakeTables(db);
  {
    Waiters waiters(db);
    auto root = db.Connect();
    Exec(root, "BEGIN; LOCK TABLE a");
    for (int i = 0; i < 12; ++i) waiters.Add("BEGIN; LOCK TABLE a");
    const auto page = Collect(db, collectors::Blocking());
    EXPECT_EQ(SampleSum(page, Of(db, "meshhook_blocked_sessions")), 12);
    EXPECT_GE(SampleSum(page, "meshhook_blocking_chain_depth"), 12);
    EXPECT_EQ(SampleSum(page, Of(db, "meshhook_root_blocker_sessions")), 1);
  }
  const auto page = Collect(db, collectors::Blocking());
  EXPECT_EQ(SampleSum(page, Of(db, "meshhook_blocked_sessions")), 0);
  EXPECT_EQ(SampleSum(page, Of(db, "meshhook_lock_wait_longest_seconds")), 0);
  EXPECT_EQ(page.find(Of(db, "meshhook_root_blocker_sessions")), page.npos);
}

// No session holds its locks, so none can be found at the root.
TEST(Blocking, FindsAPreparedTransactionAtTheRoot) {
  Database db;
  MakeTables(db);
  const auto id = "'" + db.name() + "'";
  db.Exec("BEGIN; LOCK TABLE a; PREPARE TRANSACTION " + id);
  {
    Waiters waiters(db);
    waiters.Add("SELECT count(*) FROM a");
    const auto page = Collect(db, collectors::Blocking());
    EXPECT_GE(SampleSum(page,
                        "meshhook_root_blocker_sessions{datname=\"\","
                        "state=\"prepared transaction\"}"),
              1);
    EXPECT_EQ(SampleSum(page, Of(db, "meshhook_blocked_sessions")), 1);
    db.Exec("COMMIT PREPARED " + id);
  }
}

TEST(LockWaits, TellsHeldFromAwaitedAndKnowsSharedObjects) {
  Database db;
  MakeTables(db);
  const auto page_before = Collect(db, collectors::LockWaits());
  EXPECT_EQ(
      page_before.find(Of(db, "meshhook_held_locks", ",locktype=\"relation\"")),
      page_before.npos);
  Waiters waiters(db);
  auto holder = db.Connect(kSuperuser);
  Exec(holder,
       "BEGIN; LOCK TABLE a; LOCK TABLE pg_seclabel IN SHARE MODE;"
       "COMMENT ON DATABASE " +
           db.name() + " IS 'x'");
  waiters.Add("SELECT count(*) FROM a");
  const auto page = Collect(db, collectors::LockWaits());
  const std::string relation = ",locktype=\"relation\",mode=\"";
  EXPECT_EQ(SampleSum(page, Of(db, "meshhook_held_locks",
                               relation + "accessexclusivelock\"}")),
            1);
  EXPECT_EQ(SampleSum(page, Of(db, "meshhook_awaited_locks",
                               relation + "accessexclusivelock\"}")),
            0);
  EXPECT_EQ(SampleSum(page, Of(db, "meshhook_awaited_locks",
                               relation + "accesssharelock\"}")),
            1);
  EXPECT_GE(SampleSum(page,
                      "meshhook_held_locks{datname=\"\","
                      "locktype=\"object\""),
            1);
  // Of no database, but of a session of this one.
  EXPECT_GE(SampleSum(page, Of(db, "meshhook_held_locks",
                               ",locktype=\"transactionid\"")),
            1);
}

TEST(WaitEvents, CountSessionsByWhatTheyWaitFor) {
  Database db;
  auto sleeping = std::async(std::launch::async, [&db] {
    auto session = db.Connect();
    Exec(session, "SELECT pg_sleep(0.7)");
  });
  Collecting events(db, collectors::WaitEvents());
  EXPECT_TRUE(events.Becomes(
      "meshhook_wait_event_sessions{backend_type=\"client backend\",state="
      "\"active\",wait_event_type=\"Timeout\",wait_event=\"PgSleep\"}",
      [](double now) { return now >= 1; }));
  EXPECT_GE(events.Sum("meshhook_wait_event_sessions{backend_type="
                       "\"checkpointer\",state=\"\""),
            1);
}

TEST(Transactions, KnowTheOldestAndWhetherItIsIdle) {
  Database db;
  const std::string idle = ",state=\"idle in transaction\"}";
  auto page = Collect(db, collectors::Transactions());
  EXPECT_EQ(SampleSum(page, Of(db, "meshhook_open_transactions", idle)), 0);
  EXPECT_EQ(SampleSum(page, Of(db,
                               "meshhook_idle_in_transaction_longest_"
                               "seconds")),
            0);
  auto first = db.Connect();
  auto second = db.Connect();
  Exec(first, "BEGIN; SELECT pg_sleep(0.3)");
  Exec(second, "BEGIN");
  EXPECT_EQ(test::Refusal(second, "SELECT 1 / 0"), "22012");  // idle as well
  page = Collect(db, collectors::Transactions());
  EXPECT_EQ(SampleSum(page, Of(db, "meshhook_open_transactions", idle)), 2);
  const auto oldest =
      SampleSum(page, Of(db, "meshhook_oldest_transaction_age_seconds", idle));
  const auto longest =
      SampleSum(page, Of(db, "meshhook_idle_in_transaction_longest_seconds"));
  EXPECT_GE(oldest, 0.3);
  EXPECT_GT(longest, 0);
  EXPECT_LE(longest, oldest - 0.3);
  EXPECT_EQ(SampleSum(page, Of(db, "meshhook_longest_statement_age_seconds")),
            0);
}

TEST(Transactions, MeasureTheStatementThatRuns) {
  Database db;
  auto running = std::async(std::launch::async, [&db] {
    auto session = db.Connect();
    Exec(session, "SELECT pg_sleep(0.8)");
  });
  Collecting transactions(db, collectors::Transactions());
  EXPECT_TRUE(
      transactions.Becomes(Of(db, "meshhook_longest_statement_age_seconds"),
                           [](double now) { return now > 0.1; }));
  EXPECT_EQ(transactions.Sum(
                Of(db, "meshhook_open_transactions", ",state=\"active\"}")),
            1);
}

TEST(XminHorizon, NamesASessionAndAPreparedTransaction) {
  Database db;
  MakeTables(db);
  Collecting horizon(db, collectors::XminHorizon());
  const auto Age = [&](const std::string& kind) {
    return horizon.Sum("meshhook_xmin_holder_age_transactions{kind=\"" + kind +
                       "\",datname=\"" + db.name() + "\"}");
  };
  EXPECT_TRUE(std::isnan(Age("session")));
  {
    auto reader = db.Connect();
    Exec(reader,
         "BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM a");
    for (int i = 0; i < 3; ++i) db.Exec("INSERT INTO a VALUES (1)");
    EXPECT_GE(Age("session"), 3);
  }
  {  // without a snapshot, but with an id that none after it may pass
    auto writer = db.Connect();
    Exec(writer, "BEGIN; INSERT INTO b VALUES (1)");
    for (int i = 0; i < 3; ++i) db.Exec("INSERT INTO a VALUES (1)");
    EXPECT_GE(Age("session"), 3);
  }
  const auto id = "'" + db.name() + "'";
  db.Exec("BEGIN; INSERT INTO a VALUES (1); PREPARE TRANSACTION " + id);
  db.Exec("INSERT INTO a VALUES (1)");
  EXPECT_GE(Age("prepared transaction"), 1);
  const auto page = horizon.Page();
  EXPECT_GE(SampleSum(page, "meshhook_xmin_horizon_age_transactions"),
            Age("prepared transaction"));
  const auto held = SampleSum(
      page,
      "meshhook_xmin_holder_age_seconds{kind=\"prepared transaction\","
      "datname=\"" +
          db.name() + "\"}");
  EXPECT_GT(held, 0);
  EXPECT_LT(held, 60);
  const auto prepared = Collect(db, collectors::PreparedTransactions());
  EXPECT_EQ(SampleSum(prepared, Of(db, "meshhook_prepared_transactions")), 1);
  EXPECT_GT(SampleSum(prepared, Of(db,
                                   "meshhook_prepared_transaction_oldest_"
                                   "age_seconds")),
            0);
  db.Exec("ROLLBACK PREPARED " + id);
  EXPECT_TRUE(std::isnan(Age("prepared transaction")));
  EXPECT_EQ(SampleSum(Collect(db, collectors::PreparedTransactions()),
                      Of(db,
                         "meshhook_prepared_transaction_oldest_age_"
                         "seconds")),
            0);
}

}  // namespace
