// SPDX-License-Identifier: MIT
#include "exporter/reference.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <sstream>

#include "collectors/all.h"
#include "exporter/self_metrics.h"

namespace {

using meshhook::MetricsReference;

TEST(MetricsReference, HasARowForEachMetric) {
  const auto table = MetricsReference(meshhook::collectors::All());
  for (const auto& collector : meshhook::collectors::All()) {
    for (const auto& metric : collector.metrics) {
      const auto row = "\n| `" + metric.name +
                       (metric.name_column.empty() ? "" : "…") + "` |";
      const size_t at = table.find(row);
      ASSERT_NE(at, table.npos) << metric.name;
      EXPECT_EQ(table.find(row, at + 1), table.npos) << metric.name;
    }
  }
  for (const auto& metric : meshhook::SelfMetrics()) {
    EXPECT_NE(table.find("\n| `" + metric.name + "` |"), table.npos)
        << metric.name;
  }
}

TEST(MetricsReference, SaysTypeLabelsAndHelpUnderTheCollector) {
  const auto page = MetricsReference(meshhook::collectors::All());
  EXPECT_LT(page.find("\n## workflow_runs\n"),
            page.find("| `meshhook_workflow_runs_total` | counter | "
                      "`project_id`, `workflow_id`, `status` "
                      "| Runs that finished, by how they ended. |\n"));
  EXPECT_NE(page.find("| `pg_up` | gauge |  | Whether the database answered"),
            page.npos);
}

TEST(MetricsReference, SaysOnWhatTermsACollectorRuns) {
  const meshhook::Collector collector{
      .name = "c",
      .summary = "some rows",
      .query = "",
      .labels = {},
      .metrics = {},
      .extension = "e",
      .min_server_version = 140000,
      .needs = {"false", "there is no moon"},
      .scope = meshhook::Scope::kDatabase,
      .limit = {.rows = 7, .rank = "size"},
      .settings = {{"depth", "3", "how deep"}, {"who", "", "which"}},
      .interval = std::chrono::seconds(60),
      .on = false};
  const auto page = MetricsReference({collector});
  EXPECT_NE(
      page.find("\n## c\n\nSome rows. Off; `--collector.c` switches it on. In "
                "every database. Needs the extension e. Since PostgreSQL 14. "
                "Silent where there is no moon. Asked every 60 seconds at "
                "most. The 7 rows of greatest `size` "
                "have series: `--collector.c.limit`.\n"
                "- `--collector.c.depth` (3): how deep\n"
                "- `--collector.c.who` (empty): which\n"),
      page.npos)
      << page;
}

TEST(MetricsReference, HasWellFormedTables) {
  std::istringstream lines(MetricsReference(meshhook::collectors::All()));
  for (std::string line; std::getline(lines, line);) {
    if (!line.starts_with("|")) continue;
    EXPECT_EQ(std::count(line.begin(), line.end(), '|'), 5) << line;
  }
}

}  // namespace
