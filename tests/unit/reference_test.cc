// SPDX-License-Identifier: MIT
#include "exporter/reference.h"

#include <gtest/gtest.h>

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

TEST(MetricsReference, SaysTypeLabelsCollectorAndHelp) {
  const auto table = MetricsReference(meshhook::collectors::All());
  EXPECT_NE(table.find("| `meshhook_workflow_runs_total` | counter | "
                       "`project_id`, `workflow_id`, `status` | workflow_runs "
                       "| Runs that finished, by how they ended. |\n"),
            table.npos);
  EXPECT_NE(table.find("| `pg_up` | gauge |  | the exporter itself |"),
            table.npos);
}

TEST(MetricsReference, IsAWellFormedTable) {
  std::istringstream lines(MetricsReference(meshhook::collectors::All()));
  for (std::string line; std::getline(lines, line);) {
    EXPECT_EQ(std::count(line.begin(), line.end(), '|'), 6) << line;
  }
}

}  // namespace
