// SPDX-License-Identifier: MIT
// Queries that take long: their collectors alone pay for it.
#include <gtest/gtest.h>

#include <algorithm>

#include "tests/faults/page.h"
#include "tests/faults/watched.h"
#include "tests/support/database.h"
#include "tests/support/sessions.h"

namespace {

using namespace std::chrono_literals;
using test::Await;
using test::Custom;
using test::Database;
using test::Failed;
using test::SampleSum;
using test::Watched;
using Names = std::set<std::string>;

constexpr auto kForAMinute = "SELECT 1 AS v FROM pg_sleep(60)";
const Custom kOne{"app_one", "SELECT 1 AS v"};
const Custom kTwo{"app_two", "SELECT 2 AS v"};

// Those that sleep fail, all others give what they always do. From the second
// scrape on nobody waits for them; in the first, what stands behind several may
// have no time left.
void ExpectToHurtNobody(Database& db, const Names& sleepers) {
  Watched awake(db.Url(test::kExporter), {kOne, kTwo});
  const auto all = test::Succeeded(awake.Page());
  EXPECT_TRUE(all.contains("stat_database"));
  std::vector<Custom> custom{kOne};
  for (const auto& name : sleepers) custom.push_back({name, kForAMinute});
  custom.push_back(kTwo);
  Watched exporter(db.Url(test::kExporter), custom);
  for (int i = 0; i < 3; ++i) {
    const auto page = exporter.Page(2s);
    EXPECT_EQ(SampleSum(page, "pg_up"), 1);
    EXPECT_EQ(SampleSum(page, "app_one"), 1);
    if (i == 0 && sleepers.size() > 1) continue;
    EXPECT_EQ(Failed(page), sleepers);
    EXPECT_EQ(SampleSum(page, "app_two"), 2);
    const auto succeeded = test::Succeeded(page);
    EXPECT_TRUE(std::includes(succeeded.begin(), succeeded.end(), all.begin(),
                              all.end()));
    if (i > 0) {
      EXPECT_LT(exporter.took(), 700ms);
    }
  }
  EXPECT_NE(exporter.log().find("collector=" + *sleepers.begin()),
            std::string::npos)
      << exporter.log();
}

TEST(SlowFaults, OneThatSleepsFailsAlone) {
  Database db;
  ExpectToHurtNobody(db, {"app_sleeper"});
}

TEST(SlowFaults, TwoThatSleepFailAlone) {
  Database db;
  ExpectToHurtNobody(db, {"app_a", "app_b"});
}

TEST(SlowFaults, OneThatWakesUpIsBackByItself) {
  Database db;
  db.Exec(
      "CREATE TABLE public.naps (s float8); INSERT INTO public.naps VALUES "
      "(60); GRANT SELECT ON public.naps TO meshhook_exporter");
  Watched exporter(
      db.Url(test::kExporter),
      {kOne, {"app_napper", "SELECT s AS v, pg_sleep(s) FROM public.naps"}},
      test::Only({}));
  EXPECT_EQ(Failed(exporter.Page(1s)), Names{"app_napper"});
  db.Exec("UPDATE public.naps SET s = 0");
  EXPECT_TRUE(
      Await([&] { return SampleSum(exporter.Page(), "app_napper") == 0; }));
  EXPECT_EQ(Failed(exporter.Page()), Names{});
}

// A collector with an interval is nobody's to wait for, not even at first.
TEST(SlowFaults, OneThatIsAskedSeldomDelaysNoScrape) {
  Database db;
  Watched exporter(db.Url(test::kExporter),
                   {kOne, kTwo, {"app_seldom", kForAMinute, false, 3600}},
                   test::Only({}));
  for (int i = 0; i < 3; ++i) {
    const auto page = exporter.Page(2s);
    EXPECT_LT(exporter.took(), 700ms);
    EXPECT_EQ(SampleSum(page, "pg_up"), 1);
    EXPECT_EQ(SampleSum(page, "app_one"), 1);
    EXPECT_EQ(SampleSum(page, "app_two"), 2);
    EXPECT_FALSE(test::Succeeded(page).contains("app_seldom"));
  }
  EXPECT_LE(test::Sessions(db), 2);
}

// It holds its lock until the transaction ends.
TEST(SlowFaults, APlainRefreshHurtsOnlyThoseWhoReadTheView) {
  Database db;
  Watched exporter(db.Url(test::kExporter), {kOne, kTwo});
  EXPECT_TRUE(Await([&] { return Failed(exporter.Page()).empty(); }));
  auto refresher = db.Connect();
  test::Exec(refresher,
             "BEGIN; REFRESH MATERIALIZED VIEW metrics.mv_workflow_metrics");
  for (int i = 0; i < 2; ++i) {
    const auto page = exporter.Page();
    EXPECT_EQ(SampleSum(page, "pg_up"), 1);
    EXPECT_EQ(SampleSum(page, "app_two"), 2);
    EXPECT_EQ(Failed(page), (Names{"alert_thresholds", "workflow_windows"}));
  }
  test::Exec(refresher, "COMMIT");
  EXPECT_TRUE(Await([&] { return Failed(exporter.Page()).empty(); }));
  EXPECT_LE(test::Sessions(db), 2);
}

}  // namespace
