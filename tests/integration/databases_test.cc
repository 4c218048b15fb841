// SPDX-License-Identifier: MIT
// Collectors of every database of a server, and how many series they may have.
#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <memory>
#include <thread>

#include "exporter/scraper.h"
#include "tests/support/process.h"
#include "tests/support/site.h"

namespace {

using namespace std::chrono_literals;
using meshhook::Collector;
using meshhook::DatabaseOptions;
using meshhook::RegexOf;
using meshhook::ScrapeOptions;
using meshhook::Scraper;
using meshhook::pg::Clock;
using test::SampleSum;
using test::Success;

Collector Tables(int limit = 0) {
  return {.name = "tables",
          .summary = "of a test",
          .query =
              "SELECT current_database() AS datname, relname, "
              "relpages + 1 AS pages FROM pg_class "
              "JOIN pg_namespace AS n ON n.oid = relnamespace "
              "WHERE relname LIKE 'tab%' AND relkind = 'r' "
              "AND nspname !~ @excluded_schemas@",
          .labels = {"datname", "relname"},
          .metrics = {{.name = "test_pages",
                       .type = prometheus::MetricType::Gauge,
                       .help = "Of a test.",
                       .column = "pages",
                       .additive = true}},
          .scope = meshhook::Scope::kDatabase,
          .limit = {.rows = limit, .rank = "pages"}};
}

// Three databases, each with two tables; the first is the given one.
class Databases : public testing::Test {
 protected:
  Databases() {
    for (auto* database : {&a_, &b_, &c_}) {
      database->Exec(
          "CREATE TABLE tab_one AS SELECT 1; CREATE SCHEMA aside; "
          "CREATE TABLE aside.tab_aside ()",
          test::kSuperuser);
    }
  }

  Scraper Of(DatabaseOptions databases, Collector collector = Tables()) const {
    databases.discover = true;
    // Other tests have databases in this cluster.
    if (databases.include.empty()) databases.include = {ours_};
    return Scraper(a_.Conninfo(), {std::move(collector)}, nullptr,
                   {.databases = std::move(databases)});
  }

  static std::string Page(Scraper& scraper) {
    return scraper.Scrape(Clock::now() + 10s)->text();
  }

  // The databases that have samples: "abc".
  std::string Seen(const std::string& page) const {
    std::string seen;
    for (const auto& [letter, name] : names_) {
      if (page.find("test_pages{datname=\"" + name + "\"") != page.npos) {
        seen += letter;
      }
    }
    return seen;
  }

  std::string Sessions(const std::string& where = "true") {
    return a_.Exec(
        "SELECT count(*) FROM pg_stat_activity WHERE "
        "usename = 'postgres' AND datname ~ '" +
            RegexOf({ours_}) + "' AND state IS NOT NULL AND " + where,
        test::kSuperuser);
  }

  test::Database a_{test::Template::kFixture};
  test::Database b_{test::Template::kFixture};
  test::Database c_{test::Template::kFixture};
  const std::map<char, std::string> names_{
      {'a', a_.name()}, {'b', b_.name()}, {'c', c_.name()}};
  const std::string ours_ = a_.name().substr(0, a_.name().rfind('_')) + "_*";
};

TEST_F(Databases, AreAllWatchedWhereTheyAreDiscovered) {
  Scraper scraper = Of({});
  const auto page = Page(scraper);
  EXPECT_EQ(Seen(page), "abc");
  EXPECT_EQ(Success(page, "tables"), 1);
  EXPECT_EQ(SampleSum(page, "test_pages{datname=\"" + b_.name() +
                                "\",relname=\"tab_one\"}"),
            1);
}

TEST_F(Databases, AreOnlyTheGivenOneOtherwise) {
  Scraper scraper(a_.Conninfo(), {Tables()}, nullptr);
  EXPECT_EQ(Seen(Page(scraper)), "a");
}

TEST_F(Databases, AreIncludedAndExcludedByPattern) {
  const auto seen = [this](DatabaseOptions options) {
    Scraper scraper = Of(std::move(options));
    return Seen(Page(scraper));
  };
  const auto& c = c_.name();
  EXPECT_EQ(seen({.include = {c}}), "ac");
  EXPECT_EQ(seen({.include = {"x", c.substr(0, c.size() - 1) + "?"}}), "abc");
  EXPECT_EQ(seen({.exclude = {"?" + b_.name().substr(1)}}), "ac");
  EXPECT_EQ(seen({.include = {"*"}, .exclude = {"*"}}), "a");
  EXPECT_EQ(seen({.include = {"."}}), "a");
}

TEST_F(Databases, TakeNoMoreSessionsThanTheBudget) {
  for (const int budget : {1, 2}) {
    Scraper scraper = Of({.connections = budget});
    for (int round = 0; round < 2; ++round) {
      EXPECT_EQ(Seen(Page(scraper)), "abc");
      // Two of them are for the given database.
      EXPECT_TRUE(
          test::Await([&] { return std::stoi(Sessions()) <= 2 + budget; }));
    }
  }
}

TEST_F(Databases, MayComeAndGo) {
  Scraper scraper = Of({});
  Page(scraper);
  const auto series = [&](const std::string& name) {
    const auto page = Page(scraper);
    EXPECT_EQ(Success(page, "tables"), 1);
    return SampleSum(page, "test_pages{datname=\"" + name + "\"");
  };
  std::string name;
  {
    test::Database fresh(test::Template::kFixture);
    name = fresh.name();
    fresh.Exec("CREATE TABLE tab_fresh ()");
    EXPECT_EQ(series(name), 1);
  }
  EXPECT_TRUE(std::isnan(series(name)));
}

TEST_F(Databases, MayGoInMidScrape) {
  auto short_lived = std::make_unique<test::Database>(test::Template::kFixture);
  auto collector = Tables();
  collector.query =
      "SELECT current_database() AS datname, 'x' AS relname, 1 AS pages, "
      "CASE current_database() WHEN '" +
      a_.name() + "' THEN pg_sleep(1) END";
  Scraper scraper = Of({}, collector);
  std::string page;
  std::thread scrape([&] { page = Page(scraper); });
  // The list of databases is asked for right behind it.
  EXPECT_TRUE(test::Await(
      [this] { return Sessions("wait_event = 'PgSleep'") == "1"; }));
  const auto name = short_lived->name();
  short_lived.reset();
  scrape.join();
  EXPECT_EQ(Seen(page), "abc");
  EXPECT_EQ(page.find(name), page.npos);
  EXPECT_EQ(Success(page, "tables"), 1);
}

TEST_F(Databases, ThatFailHurtOnlyThemselvesAndAreNamed) {
  auto collector = Tables();
  collector.query =
      "SELECT current_database() AS datname, 'x' AS relname, "
      "1 / (current_database() <> '" +
      b_.name() + "')::int AS pages";
  Scraper scraper = Of({}, collector);
  const auto page = Page(scraper);
  EXPECT_EQ(Seen(page), "ac");
  EXPECT_EQ(Success(page, "tables"), 0);
  EXPECT_EQ(scraper.Status().collectors[0].reason,
            "database " + b_.name() + ": division by zero");
}

// As one that shuts its door, unlike one that is gone.
TEST_F(Databases, ThatRefuseSessionsAreToldOf) {
  auto collector = Tables();
  collector.query =
      "SELECT current_database() AS datname, 'x' AS relname, 1 AS pages";
  const auto connlimit = "ALTER DATABASE " + b_.name() + " CONNECTION LIMIT ";
  a_.Exec(connlimit + "0", test::kSuperuser);
  auto conninfo = a_.Conninfo();  // superusers have no limit
  Scraper scraper(conninfo, {collector}, nullptr,
                  {.databases = {.discover = true, .include = {ours_}}});
  const auto page = Page(scraper);
  EXPECT_EQ(Seen(page), "ac");
  EXPECT_EQ(Success(page, "tables"), 0);
  EXPECT_NE(scraper.Status().collectors[0].reason.find(
                "too many connections for database"),
            std::string::npos);
}

TEST_F(Databases, LeaveOutExcludedSchemas) {
  Scraper all = Of({});
  EXPECT_NE(Page(all).find("tab_aside"), std::string::npos);
  Scraper some = Of({.excluded_schemas = {"a*de"}});
  EXPECT_EQ(Page(some).find("tab_aside"), std::string::npos);
}

TEST_F(Databases, HaveALimitEach) {
  Scraper scraper = Of({}, Tables(1));
  const auto page = Page(scraper);
  for (const auto& [letter, name] : names_) {
    const auto of = "test_pages{datname=\"" + name + "\",";
    EXPECT_EQ(SampleSum(page, of + "relname=\"other\"}"), 1) << letter;
    EXPECT_EQ(SampleSum(page, of), 2) << letter;
  }
  EXPECT_EQ(
      SampleSum(page, "meshhook_exporter_series_dropped{collector=\"tables\"}"),
      3);
}

TEST_F(Databases, StayWithinTheBudgetOfSeries) {
  Scraper scraper(
      a_.Conninfo(),
      {test::CollectorOf("first", "SELECT 1 AS v"), Tables(),
       test::CollectorOf("last", "SELECT 1 AS v")},
      nullptr,
      {.databases = {.discover = true, .include = {ours_}}, .max_series = 4});
  const auto page = Page(scraper);
  const auto dropped = [&page](const std::string& collector) {
    return SampleSum(page, "meshhook_exporter_series_dropped{collector=\"" +
                               collector + "\"}");
  };
  EXPECT_EQ(SampleSum(page, "test_first"), 1);
  EXPECT_EQ(SampleSum(page, "test_pages"), 3);
  EXPECT_EQ(page.find("\ntest_last "), page.npos);
  EXPECT_EQ(dropped("first"), 0);
  EXPECT_EQ(dropped("tables"), 3);
  EXPECT_EQ(dropped("last"), 1);
}

TEST(RegexOf, FitsWhatThePatternsDo) {
  EXPECT_EQ(RegexOf({}), "^$");
  EXPECT_EQ(RegexOf({"a", "b_?*"}), "^(a|b_..*)$");
  EXPECT_EQ(RegexOf({"a.b (c)"}), "^(a\\.b\\ \\(c\\))$");
}

}  // namespace
