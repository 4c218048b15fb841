// SPDX-License-Identifier: MIT
// PgBouncer in transaction mode between the exporter and its database.
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <iterator>
#include <set>
#include <thread>

#include "tests/faults/page.h"
#include "tests/faults/watched.h"
#include "tests/support/database.h"
#include "tests/support/pgbouncer.h"
#include "tests/support/runs.h"
#include "tests/support/sessions.h"

namespace {

using namespace std::chrono_literals;
using meshhook::pg::Connection;
using test::Await;
using test::Custom;
using test::Database;
using test::HttpConnection;
using test::PgBouncer;
using test::SampleSum;
using test::Watched;

const Custom kOne{"app_one", "SELECT 1 AS v"};

class PoolerFaults : public testing::Test {
 protected:
  std::string Url() const { return pooler_.Url(test::kExporter, db_.name()); }
  // Another client of the same pool.
  Connection Other() const {
    return Connection::Open(test::ConninfoOf(Url()),
                            meshhook::pg::Clock::now() + 10s);
  }
  // A scrape that is as it should be.
  static void ExpectGood(Watched& exporter) {
    const auto page = exporter.Page();
    EXPECT_EQ(SampleSum(page, "pg_up"), 1) << exporter.log();
    EXPECT_EQ(SampleSum(page, "app_one"), 1) << exporter.log();
    // What is asked in the background comes in later.
    EXPECT_TRUE(Await([&] { return test::Failed(exporter.Page()).empty(); }));
  }

  Database db_;
  PgBouncer pooler_{test::ClusterPort()};
};

// A few families come and go with what others do in the server at the moment.
TEST_F(PoolerFaults, TheWholeCatalogueIsAsItIsWithoutIt) {
  Watched direct(db_.Url(test::kExporter), {kOne});
  Watched pooled(Url(), {kOne});
  std::set<std::string> more;
  std::set<std::string> fewer;
  // What is asked in the background comes in later.
  const auto same = [&] {
    const auto near = direct.Page();
    const auto behind = pooled.Page();
    const auto one = test::Families(near);
    const auto other = test::Families(behind);
    more.clear();
    fewer.clear();
    std::set_difference(other.begin(), other.end(), one.begin(), one.end(),
                        std::inserter(more, more.end()));
    std::set_difference(one.begin(), one.end(), other.begin(), other.end(),
                        std::inserter(fewer, fewer.end()));
    return other.size() > 300 && more.size() + fewer.size() < 10 &&
           test::Succeeded(behind) == test::Succeeded(near) &&
           test::Failed(behind).empty();
  };
  EXPECT_TRUE(Await(same)) << testing::PrintToString(more)
                           << testing::PrintToString(fewer);
}

// What another client finds in either connection of the pool.
TEST_F(PoolerFaults, NoStateIsLeftToOthers) {
  constexpr auto kState =
      "SELECT string_agg(setting, '|' ORDER BY name) "
      "|| (SELECT count(*) FROM pg_prepared_statements) "
      "|| (SELECT count(*) FROM pg_cursors) "
      "|| (SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' "
      "    AND pid = pg_backend_pid()) "
      "|| (SELECT count(*) FROM pg_class "
      "    WHERE relnamespace = pg_my_temp_schema()) "
      "FROM pg_settings WHERE name IN ('statement_timeout', 'lock_timeout', "
      "'transaction_read_only', 'default_transaction_read_only', "
      "'search_path', 'jit', 'idle_in_transaction_session_timeout', "
      "'extra_float_digits', 'datestyle', 'timezone')";
  auto direct = db_.Connect(test::kExporter);
  const auto expected = test::Exec(direct, kState);
  Watched exporter(Url(), {kOne, {"app_failing", "SELECT 1 / 0 AS v"}}, {});
  // One who keeps each connection of the pool in turn leaves the other.
  auto first = Other();
  auto second = Other();
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(test::Failed(exporter.Page()),
              std::set<std::string>{"app_failing"});
    test::Exec(first, "BEGIN");
    test::Exec(second, "BEGIN");
    EXPECT_EQ(test::Exec(first, kState), expected);
    EXPECT_EQ(test::Exec(second, kState), expected);
    test::Exec(first, "COMMIT");
    test::Exec(second, "COMMIT");
  }
}

TEST_F(PoolerFaults, HundredsOfScrapesShareItWithOthersTransactions) {
  Watched exporter(Url(), {kOne},
                   test::Only({"stat_database", "workflow_runs", "locks"}));
  std::atomic<bool> stop{false};
  std::atomic<long> transactions{0};
  std::string wrong;
  std::thread other([&] {
    auto session = Other();
    while (!stop) {
      test::Exec(session, "BEGIN; SET LOCAL search_path = pg_temp");
      // What a scrape sets is not seen here, nor the other way round.
      const auto timeout = test::Exec(session, "SHOW statement_timeout");
      if (timeout != "0") wrong = timeout;
      test::Exec(session, "COMMIT");
      ++transactions;
    }
  });
  // On a starved machine one may run out of time.
  int good = 0;
  for (int i = 0; i < 300; ++i) {
    const auto page = exporter.Page();
    EXPECT_EQ(SampleSum(page, "pg_up"), 1);
    if (SampleSum(page, "app_one") == 1 && test::Failed(page).empty()) ++good;
  }
  EXPECT_GE(good, 240) << exporter.log();
  stop = true;
  other.join();
  EXPECT_EQ(wrong, "");
  EXPECT_GT(transactions, 100);
  EXPECT_LE(test::Sessions(db_), PgBouncer::kPoolSize);
}

TEST_F(PoolerFaults, OneWhoHangsUpLeavesNoWorkBehindIt) {
  Watched exporter(Url(),
                   {kOne, {"app_sleeper", "SELECT 1 AS v FROM pg_sleep(60)"}});
  {
    const HttpConnection client(exporter.port());
    client.Send(test::ScrapeRequest(20s));
    ASSERT_TRUE(Await([this] { return test::Sleeping(db_) == 1; }));
  }
  EXPECT_TRUE(Await([this] { return test::Sleeping(db_) == 0; }, 2s));
  const auto page = exporter.Page();
  EXPECT_EQ(SampleSum(page, "pg_up"), 1);
  EXPECT_EQ(test::Failed(page), std::set<std::string>{"app_sleeper"});
}

TEST_F(PoolerFaults, RunsAreCountedThroughIt) {
  db_.Exec(test::kOneWorkflow);
  Watched exporter(Url(), {kOne}, {});
  for (int runs = 1; runs <= 3; ++runs) {
    db_.Exec(test::kRun);
    EXPECT_TRUE(Await([&] {
      return db_.Exec(test::kCounted) == std::to_string(runs);
    })) << exporter.log();
  }
  EXPECT_EQ(db_.Exec(test::kDifferences), "0");
  EXPECT_TRUE(Await([&] {
    return SampleSum(exporter.Page(), "meshhook_workflow_runs_total") == 3;
  }));
  EXPECT_EQ(exporter.log().find("task failed"), std::string::npos)
      << exporter.log();
}

TEST_F(PoolerFaults, ThatDiesIsAnOutageAndNoMoreThanThat) {
  Watched exporter(Url(), {kOne});
  ExpectGood(exporter);
  pooler_.Stop();
  for (int i = 0; i < 2; ++i) {
    const auto page = exporter.Page(1s);
    EXPECT_EQ(SampleSum(page, "pg_up"), 0);
    EXPECT_EQ(test::Succeeded(page), std::set<std::string>{});
  }
  pooler_.Start();
  EXPECT_TRUE(
      Await([&] { return SampleSum(exporter.Page(), "app_one") == 1; }));
  ExpectGood(exporter);
}

TEST_F(PoolerFaults, ThatIsFullIsAnOutageInTimeAndNoMoreThanThat) {
  Watched exporter(Url(), {kOne});
  ExpectGood(exporter);
  auto first = Other();
  auto second = Other();
  test::Exec(first, "BEGIN; SELECT 1");
  test::Exec(second, "BEGIN; SELECT 1");
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(SampleSum(exporter.Page(1s), "pg_up"), 0);
  }
  test::Exec(first, "COMMIT");
  test::Exec(second, "COMMIT");
  EXPECT_TRUE(
      Await([&] { return SampleSum(exporter.Page(), "app_one") == 1; }));
  ExpectGood(exporter);
}

}  // namespace
