// SPDX-License-Identifier: MIT
// Answers that are too big: refused with a reason, not kept in memory.
#include <gtest/gtest.h>

#include <regex>

#include "tests/faults/page.h"
#include "tests/faults/watched.h"
#include "tests/support/database.h"
#include "tests/support/process.h"
#include "tests/support/sessions.h"

namespace {

using namespace std::chrono_literals;
using test::Custom;
using test::Database;
using test::SampleSum;
using test::Watched;
using Names = std::set<std::string>;

constexpr long kMiB = 1024;  // in KiB

const Custom kRows{"app_giant",
                   "SELECT 'a label of a common length ' || n AS l, n AS v "
                   "FROM generate_series(1, 1000000) AS n",
                   true};
const Custom kCell{
    "app_giant", "SELECT repeat(repeat('x', 1000000), 300) AS l, 1 AS v", true};

// It fails alone, says why, and leaves no trace in memory.
void ExpectBounded(const Custom& giant) {
  Database db;
  Watched exporter(
      db.Url(test::kExporter),
      {{"app_one", "SELECT 1 AS v"}, giant, {"app_two", "SELECT 2 AS v"}});
  const long base = exporter.Resident();
  // Its name, how much it gave or may give, and what to do, in one line.
  // What is asked in the background is told with the next page.
  EXPECT_TRUE(test::Await([&] {
    exporter.Page(10s);
    return std::regex_search(
        exporter.log(),
        std::regex("collector=app_giant [^\n]*reason=\"[^\"]*[0-9]+[^\"]*"
                   "(rows|bytes|MB|MiB)[^\n]* remedy=\""));
  })) << exporter.log();
  long after = base;
  for (int i = 0; i < 3; ++i) {
    const auto page = exporter.Page(10s);
    EXPECT_EQ(SampleSum(page, "pg_up"), 1);
    EXPECT_FALSE(test::Succeeded(page).contains("app_giant"));
    EXPECT_EQ(SampleSum(page, "app_one"), 1);
    EXPECT_TRUE(test::Succeeded(page).contains("stat_database"));
    EXPECT_LT(page.size(), 2'000'000u);
    if (i > 0) {  // those behind it, too
      EXPECT_EQ(SampleSum(page, "app_two"), 2);
      EXPECT_LT(exporter.Resident() - after, 8 * kMiB);
    }
    after = exporter.Resident();
  }
  EXPECT_LT(exporter.Peak() - base, 100 * kMiB);
  EXPECT_LT(after - base, 40 * kMiB);
  EXPECT_LE(test::Sessions(db), 2);
}

TEST(GiantFaults, AMillionRowsAreRefused) { ExpectBounded(kRows); }

TEST(GiantFaults, ACellOf300MegabytesIsRefused) { ExpectBounded(kCell); }

TEST(GiantFaults, AMillionRowsAskedForSeldomAreRefusedToo) {
  auto seldom = kRows;
  seldom.interval = 3600;
  ExpectBounded(seldom);
}

}  // namespace
