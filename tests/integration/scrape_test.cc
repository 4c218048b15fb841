// SPDX-License-Identifier: MIT
// That collectors do not hurt each other, and what a scrape costs.
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <set>
#include <thread>

#include "collectors/all.h"
#include "exporter/worker.h"
#include "tests/support/process.h"
#include "tests/support/site.h"

namespace {

using namespace std::chrono_literals;
using meshhook::Collector;
using meshhook::Scraper;
using meshhook::pg::Clock;
using test::CollectorOf;
using test::Database;
using test::SampleSum;
using test::Site;
using test::Success;

constexpr auto kSessions =
    "SELECT count(*) FROM pg_stat_activity "
    "WHERE usename = 'meshhook_exporter' AND datname = current_database()";

size_t Count(const std::string& text, const std::string& part) {
  size_t count = 0;
  for (size_t at = text.find(part); at != text.npos;
       at = text.find(part, at + part.size())) {
    ++count;
  }
  return count;
}

std::string Reason(const Scraper& scraper, const std::string& collector) {
  for (const auto& status : scraper.Status().collectors) {
    if (status.name == collector) return status.reason;
  }
  return "no such collector";
}

TEST(Scrape, LetsASlowAndAFailingCollectorHurtOnlyThemselves) {
  Database db;
  Site site(db.Url(test::kExporter),
            {CollectorOf("first", "SELECT 1 AS v"),
             CollectorOf("failing", "SELECT 1 / 0 AS v"),
             CollectorOf("slow", "SELECT 1 AS v FROM pg_sleep(30)"),
             CollectorOf("broken", "SELEC"),
             CollectorOf("shapeless", "SELECT 1 AS w"),
             CollectorOf("last", "SELECT 2 AS v")});
  const auto started = Clock::now();
  const auto page = site.Page("2");
  EXPECT_LT(Clock::now() - started, 2s);
  EXPECT_EQ(SampleSum(page, "pg_up"), 1);
  EXPECT_EQ(SampleSum(page, "pg_exporter_last_scrape_error"), 1);
  EXPECT_EQ(SampleSum(page, "test_first"), 1);
  EXPECT_EQ(SampleSum(page, "test_last"), 2);
  EXPECT_EQ(Success(page, "first") + Success(page, "last"), 2);
  for (const auto& [collector, reason] :
       {std::pair("failing", "division by zero"),
        std::pair("slow", "canceling statement due to statement timeout"),
        std::pair("broken", "syntax error at or near \"SELEC\""),
        std::pair("shapeless", "the query has no column \"v\"")}) {
    EXPECT_EQ(Success(page, collector), 0) << collector;
    EXPECT_EQ(page.find(std::string("test_") + collector), page.npos);
    EXPECT_EQ(Reason(site.scraper(), collector), reason);
  }
}

TEST(Scrape, GivesWhatWasAnsweredInTimeWhenTheRestIsNot) {
  Database db;
  const std::string slow = "SELECT 1 AS v FROM pg_sleep(30)";
  Site site(db.Url(test::kExporter),
            {CollectorOf("first", "SELECT 1 AS v"), CollectorOf("a", slow),
             CollectorOf("b", slow), CollectorOf("c", slow),
             CollectorOf("last", "SELECT 2 AS v")});
  const auto page_in_time = [&site] {
    const auto started = Clock::now();
    auto page = site.Page("1");
    EXPECT_LT(Clock::now() - started, 1s);
    EXPECT_EQ(SampleSum(page, "pg_up"), 1);
    EXPECT_EQ(SampleSum(page, "pg_exporter_last_scrape_error"), 1);
    EXPECT_EQ(SampleSum(page, "test_first"), 1);
    EXPECT_EQ(Success(page, "first"), 1);
    EXPECT_EQ(Success(page, "a") + Success(page, "b") + Success(page, "c"), 0);
    return page;
  };
  EXPECT_EQ(Success(page_in_time(), "last"), 0);
  EXPECT_EQ(Reason(site.scraper(), "last"),
            "no answer within the time allowed");
  // Those that were late are asked last from then on.
  EXPECT_EQ(SampleSum(page_in_time(), "test_last"), 2);
  EXPECT_EQ(SampleSum(page_in_time(), "test_last"), 2);
}

TEST(Scrape, SaysAsLastKnownWhetherTheDatabaseIsUpToWhomItKeepsWaiting) {
  Database db;
  const Site site(db.Url(test::kExporter),
                  {CollectorOf("slow", "SELECT 1 AS v FROM pg_sleep(1.2)")});
  const auto hasty_page = [&site] {
    std::thread patient([&] { site.Page("10"); });
    std::this_thread::sleep_for(100ms);
    const auto page = site.Page("1");
    patient.join();
    EXPECT_EQ(Success(page, "slow"), 0);
    EXPECT_EQ(SampleSum(page, "pg_exporter_last_scrape_error"), 1);
    return page;
  };
  EXPECT_EQ(hasty_page().find("\npg_up "), std::string::npos);
  EXPECT_EQ(SampleSum(hasty_page(), "pg_up"), 1);
}

TEST(Scrape, WaitsForALockNoLongerThanATenthOfItsTime) {
  Database db;
  auto holder = db.Connect();
  test::Exec(holder, "BEGIN; LOCK TABLE metrics.worker_tasks");
  Site site(db.Url(test::kExporter), meshhook::collectors::All());
  const auto started = Clock::now();
  const auto page = site.Page("5");
  EXPECT_LT(Clock::now() - started, 4s) << "that of the whole scrape is 5 s";
  EXPECT_EQ(Success(page, "worker"), 0);
  EXPECT_EQ(Success(page, "workflow_runs"), 1);
  EXPECT_EQ(Reason(site.scraper(), "worker"),
            "canceling statement due to lock timeout");
}

TEST(Scrape, CanChangeNothing) {
  Database db;
  db.Exec("CREATE SEQUENCE public.s; GRANT ALL ON SEQUENCE public.s TO PUBLIC");
  Site site(db.Url(test::kExporter),
            {CollectorOf("writer", "SELECT nextval('public.s') AS v")});
  EXPECT_EQ(Success(site.Page(), "writer"), 0);
  EXPECT_EQ(Reason(site.scraper(), "writer"),
            "cannot execute nextval() in a read-only transaction");
}

// A schema that others may write to must not stand before pg_catalog.
TEST(Scrape, FindsPostgresOwnFunctionsFirst) {
  Database db;
  db.Exec(
      "CREATE FUNCTION public.upper(text) RETURNS text LANGUAGE sql "
      "AS $$ SELECT '666' $$; CREATE TABLE public.pg_class ()");
  db.Exec("ALTER ROLE meshhook_exporter IN DATABASE " + db.name() +
              " SET search_path = public, pg_catalog",
          test::kSuperuser);
  const Site site(
      db.Url(test::kExporter),
      {CollectorOf("f", "SELECT upper('1') AS v"),
       CollectorOf("t", "SELECT count(oid) > 0 AS v FROM pg_class")});
  const auto page = site.Page();
  EXPECT_EQ(SampleSum(page, "test_f"), 1);
  EXPECT_EQ(SampleSum(page, "test_t"), 1);
}

TEST(Scrape, IsSharedByAllWhoComeWhileItRuns) {
  Database db;
  const Site site(db.Url(test::kExporter),
                  {CollectorOf("slow", "SELECT 1 AS v FROM pg_sleep(0.5)")});
  std::vector<std::thread> clients;
  std::vector<std::string> pages(6);
  for (auto& page : pages) {
    clients.emplace_back([&] { page = site.Page(); });
  }
  for (auto& client : clients) client.join();
  EXPECT_EQ(std::set(pages.begin(), pages.end()).size(), 1u);
  EXPECT_EQ(SampleSum(pages[0], "pg_exporter_scrapes_total"), 1);
  EXPECT_EQ(SampleSum(site.Page(), "pg_exporter_scrapes_total"), 2);
}

TEST(Scrape, LogsAReasonOnceUntilItChanges) {
  Database db;
  auto owner = db.Connect();
  test::Exec(owner,
             "CREATE TABLE public.t (v text); INSERT INTO public.t VALUES "
             "('x'); GRANT SELECT ON public.t TO meshhook_exporter");
  const Site site(db.Url(test::kExporter),
                  {CollectorOf("c", "SELECT v FROM public.t")});
  testing::internal::CaptureStderr();
  for (int i = 0; i < 3; ++i) site.Page();
  test::Exec(owner, "UPDATE public.t SET v = 'y'");
  for (int i = 0; i < 3; ++i) site.Page();
  test::Exec(owner, "UPDATE public.t SET v = '1'");
  site.Page();
  test::Exec(owner, "UPDATE public.t SET v = 'y'");
  for (int i = 0; i < 3; ++i) site.Page();
  const auto log = testing::internal::GetCapturedStderr();
  EXPECT_EQ(Count(log, "collector failed"), 3u) << log;
  EXPECT_EQ(Count(log, R"(reason="not a number: \"x\"")"), 1u) << log;
  EXPECT_EQ(Count(log, R"(reason="not a number: \"y\"")"), 2u) << log;
}

TEST(Scrape, LogsAnOutageOnceAndItsEndOnce) {
  Database db;
  testing::internal::CaptureStderr();
  {
    const Site site("postgresql://nobody@127.0.0.1:1/nothing", {});
    for (int i = 0; i < 3; ++i) site.Page();
    const Site up(db.Url(test::kExporter), {});
    for (int i = 0; i < 3; ++i) up.Page();
  }
  const auto log = testing::internal::GetCapturedStderr();
  EXPECT_EQ(Count(log, "cannot be reached"), 1u) << log;
  EXPECT_EQ(Count(log, "connected to the database"), 1u) << log;
}

TEST(Scrape, DoesWithoutAnExtensionAndAsksForItNoMore) {
  Database db;
  auto collectors = meshhook::collectors::All();
  for (auto& collector : collectors) collector.interval = 0s;
  Site site(db.Url(test::kExporter), collectors);
  EXPECT_EQ(Success(site.Page(), "stat_statements"), 1);
  db.Exec("DROP EXTENSION pg_stat_statements", test::kSuperuser);
  const std::string took =
      "pg_scrape_collector_duration_seconds{collector=\"stat_statements\"}";
  auto page = site.Page();
  EXPECT_EQ(Success(page, "stat_statements"), 0);
  EXPECT_GT(SampleSum(page, took), 0);
  page = site.Page();
  EXPECT_EQ(Success(page, "stat_statements"), 0);
  EXPECT_EQ(SampleSum(page, took), 0);
  EXPECT_EQ(page.find("pg_stat_statements_calls"), page.npos);
  EXPECT_EQ(Success(page, "stat_database"), 1);

  // One that was never there is not asked for at all.
  Site fresh(db.Url(test::kExporter), meshhook::collectors::All());
  page = fresh.Page();
  EXPECT_EQ(Success(page, "stat_statements"), 0);
  EXPECT_EQ(SampleSum(page, took), 0);
  EXPECT_EQ(
      Reason(fresh.scraper(), "stat_statements"),
      "extension pg_stat_statements is not installed in database " + db.name());
}

TEST(Scrape, AsksACollectorWithAnIntervalOnceInIt) {
  Database db;
  auto seldom = CollectorOf(
      "seldom", "SELECT extract(epoch FROM clock_timestamp()) AS v");
  auto failing = CollectorOf("failing", "SELECT 1 / 0 AS v");
  seldom.interval = failing.interval = 1h;
  Site site(db.Url(test::kExporter),
            {seldom, failing,
             CollectorOf("always",
                         "SELECT extract(epoch FROM clock_timestamp()) AS v")});
  const std::string age = "meshhook_exporter_collector_age_seconds";
  const std::string took = "pg_scrape_collector_duration_seconds{collector=";
  const auto first = site.Page();
  const auto second = site.Page();
  EXPECT_EQ(SampleSum(first, "test_seldom"), SampleSum(second, "test_seldom"));
  EXPECT_NE(SampleSum(first, "test_always"), SampleSum(second, "test_always"));
  EXPECT_GT(SampleSum(second, age + "{collector=\"seldom\"}"),
            SampleSum(first, age + "{collector=\"seldom\"}"));
  EXPECT_EQ(second.find(age + "{collector=\"always\"}"), second.npos);
  EXPECT_EQ(Success(second, "seldom"), 1);
  // Nor is one that fails asked again at once.
  EXPECT_EQ(Success(second, "failing"), 0);
  for (const auto* name : {"\"failing\"}", "\"seldom\"}"}) {
    EXPECT_GT(SampleSum(first, took + name), 0);
    EXPECT_EQ(SampleSum(second, took + name), SampleSum(first, took + name));
  }
}

TEST(Scrape, FindsAnExtensionWhereverItIs) {
  Database db;
  db.Exec(
      "CREATE SCHEMA \"odd name\"; GRANT USAGE ON SCHEMA \"odd name\" TO "
      "meshhook_exporter; "
      "ALTER EXTENSION pg_stat_statements SET SCHEMA \"odd name\"",
      test::kSuperuser);
  const Site site(db.Url(test::kExporter), meshhook::collectors::All());
  EXPECT_EQ(Success(site.Page(), "stat_statements"), 1);
}

// One for each lane, and one for each of the worker's threads.
TEST(Sessions, AreNeverMoreThanFour) {
  Database db;
  meshhook::pg::Stop interrupt;
  std::atomic<long> most{0};
  std::atomic<bool> stop{false};
  {
    meshhook::Worker folder(db.Conninfo(test::kExporter), meshhook::FoldTasks(),
                            &interrupt);
    meshhook::Worker upkeeper(db.Conninfo(test::kExporter),
                              meshhook::UpkeepTasks(), &interrupt);
    const Site site(db.Url(test::kExporter), meshhook::collectors::All());
    std::thread watcher([&] {
      auto session = db.Connect(test::kSuperuser);
      while (!stop) {
        most = std::max<long>(most, std::stol(test::Exec(session, kSessions)));
      }
    });
    for (int round = 0; round < 3; ++round) {
      std::vector<std::thread> clients;
      for (int i = 0; i < 20; ++i) {
        clients.emplace_back([&] { site.Get("/metrics"); });
      }
      for (auto& client : clients) client.join();
    }
    EXPECT_TRUE(test::Await([&] { return most >= 4; }));
    stop = true;
    watcher.join();
    interrupt.Fire();
  }
  EXPECT_EQ(most, 4);
  EXPECT_TRUE(test::Await([&] { return db.Exec(kSessions) == "0"; }));
}

}  // namespace
