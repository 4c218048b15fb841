// SPDX-License-Identifier: MIT
// What the exporter says while the database is away, and that it comes back by
// itself.
#include <gtest/gtest.h>

#include <chrono>
#include <thread>

#include "tests/support/process.h"
#include "tests/support/server.h"
#include "tests/support/site.h"

namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;
using meshhook::Collector;
using test::Await;
using test::CollectorOf;
using test::Database;
using test::SampleSum;
using test::Server;
using test::Site;
using test::Success;

std::vector<Collector> Two() {
  return {CollectorOf("one", "SELECT 1 AS v"),
          CollectorOf("two", "SELECT 2 AS v")};
}

double Up(const Site& site) { return SampleSum(site.Page(), "pg_up"); }

// Nothing of the database is there, and nothing is made up in its place.
void ExpectDown(const std::string& page) {
  EXPECT_EQ(SampleSum(page, "pg_up"), 0) << page;
  EXPECT_EQ(Success(page, "one"), 0);
  EXPECT_EQ(Success(page, "two"), 0);
  EXPECT_EQ(SampleSum(page, "pg_exporter_last_scrape_error"), 1);
  EXPECT_EQ(page.find("test_"), page.npos);
  EXPECT_EQ(page.find("pg_static"), page.npos);
}

TEST(Outage, AnswersWithPgUp0WhereNothingListens) {
  const Site site("postgresql://nobody@127.0.0.1:1/nothing", Two());
  const auto response = site.Get("/metrics");
  EXPECT_EQ(response.status, 200);
  ExpectDown(response.body);
}

TEST(Outage, EndsByItselfWhenAKilledServerIsBack) {
  Server server;
  const Site site(server.Url(), Two());
  EXPECT_EQ(Up(site), 1);
  server.Stop();
  ExpectDown(site.Page());
  ExpectDown(site.Page());
  server.Start();
  EXPECT_TRUE(Await([&] { return Up(site) == 1; }));
  EXPECT_EQ(SampleSum(site.Page(), "test_two"), 2);
}

TEST(Outage, IsToldWithinTheScrapesTimeWhenTheServerIsFrozen) {
  Server server;
  Site site(server.Url(), Two());
  EXPECT_EQ(Up(site), 1);
  server.Freeze();
  // The kept session first, then a new one.
  for (int i = 0; i < 3; ++i) {
    const auto started = Clock::now();
    ExpectDown(site.Page("1"));
    EXPECT_LT(Clock::now() - started, 1s);
    std::this_thread::sleep_for(600ms);
  }
  EXPECT_NE(site.scraper().Status().reason.find("no answer within the time"),
            std::string::npos);

  // One who can wait long does not make those wait who cannot.
  std::thread patient([&] { site.Page("4"); });
  std::this_thread::sleep_for(300ms);
  const auto started = Clock::now();
  ExpectDown(site.Page("1"));
  EXPECT_LT(Clock::now() - started, 1200ms);
  patient.join();

  server.Thaw();
  EXPECT_TRUE(Await([&] { return Up(site) == 1; }, 15s));
}

TEST(Outage, IsNotWhatASessionThatWasTerminatedIs) {
  Database db;
  const Site site(db.Url(test::kExporter), Two());
  for (int i = 0; i < 3; ++i) {
    const auto page = site.Page();
    EXPECT_EQ(SampleSum(page, "pg_up"), 1);
    EXPECT_EQ(SampleSum(page, "pg_exporter_last_scrape_error"), 0);
    EXPECT_EQ(db.Exec("SELECT count(pg_terminate_backend(pid, 5000)) "
                      "FROM pg_stat_activity "
                      "WHERE usename = 'meshhook_exporter' "
                      "AND datname = current_database()",
                      test::kSuperuser),
              "1");
  }
  EXPECT_EQ(Up(site), 1);
}

TEST(Outage, EndsReadinessThoughNobodyScrapes) {
  Server server;
  const Site site(server.Url(), Two());
  EXPECT_EQ(site.Get("/readyz").status, 200);
  server.Stop();
  EXPECT_TRUE(Await([&] { return site.Get("/readyz").status == 503; }, 5s));
  EXPECT_EQ(site.Get("/healthz").status, 200);
  server.Start();
  EXPECT_TRUE(Await([&] { return site.Get("/readyz").status == 200; }));
}

// Who can wait longer than the scrape that is under way does not take its word.
TEST(Outage, IsNotToldToOneWithTimeLeftByOneWithout) {
  Server server;
  const Site site(server.Url(), Two());
  EXPECT_EQ(Up(site), 1);
  server.Freeze();
  std::thread hasty([&] { ExpectDown(site.Page("1")); });
  std::this_thread::sleep_for(200ms);
  std::string page;
  std::thread patient([&] { page = site.Page("10"); });
  hasty.join();
  server.Thaw();
  patient.join();
  EXPECT_EQ(SampleSum(page, "pg_up"), 1) << page;
  EXPECT_EQ(Success(page, "two"), 1);
}

TEST(Outage, IsSeenEvenWithoutACollector) {
  Server server;
  const Site site(server.Url(), {});
  EXPECT_EQ(Up(site), 1);
  server.Stop();
  EXPECT_EQ(Up(site), 0);
}

}  // namespace
