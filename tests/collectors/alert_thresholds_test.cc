// SPDX-License-Identifier: MIT
#include <gtest/gtest.h>

#include <cmath>

#include "collectors/all.h"
#include "tests/support/collect.h"

namespace {

using test::Collect;
using test::Database;
using test::SampleSum;

class AlertThresholds : public testing::Test {
 protected:
  AlertThresholds() {
    db_.Exec(R"(
        INSERT INTO projects (id, owner, name)
        VALUES ('00000000-0000-0000-0000-0000000000aa', gen_random_uuid(), 'P');
        INSERT INTO workflow_definitions (id, project_id, slug, name)
        SELECT ('00000000-0000-0000-0000-00000000000' || i)::uuid,
               '00000000-0000-0000-0000-0000000000aa', 'w' || i, 'W'
        FROM generate_series(1, 3) AS i;
        INSERT INTO metrics.alert_thresholds (scope, metric, warning, critical)
        VALUES ('global', 'failure_ratio', 0.1, 0.25),
               ('global', 'stuck_runs', 1, NULL))");
  }
  void Set(const std::string& workflow, const std::string& columns,
           const std::string& values) {
    db_.Exec("INSERT INTO metrics.alert_thresholds (scope, workflow_id, " +
             columns + ") VALUES ('workflow', " +
             "'00000000-0000-0000-0000-00000000000" + workflow + "', " +
             values + ")");
  }
  std::string Page() {
    return Collect(db_, meshhook::collectors::AlertThresholds());
  }
  static double Value(const std::string& page, const std::string& workflow,
                      const std::string& metric, const std::string& window,
                      const std::string& severity) {
    return SampleSum(
        page,
        "meshhook_alert_threshold{project_id=\"00000000-0000-0000-0000-"
        "0000000000aa\",workflow_id=\"00000000-0000-0000-0000-00000000000" +
            workflow + "\",metric=\"" + metric + "\",window=\"" + window +
            "\",severity=\"" + severity + "\"}");
  }

  Database db_;
};

TEST_F(AlertThresholds, CostNothingWhereNobodySetAnyAndNothingRuns) {
  EXPECT_EQ(Page().find("meshhook_alert_threshold{"), std::string::npos);
}

TEST_F(AlertThresholds, OfAWorkflowAreThoseThatHoldForIt) {
  Set("1", "metric, warning, \"window\"", "'p95_duration', 1500, '24h'");
  Set("2", "metric, enabled", "'failure_ratio', false");
  const auto page = Page();
  EXPECT_EQ(Value(page, "1", "p95_duration", "24h", "warning"), 1.5);
  EXPECT_TRUE(std::isnan(Value(page, "1", "p95_duration", "24h", "critical")));
  EXPECT_EQ(Value(page, "1", "failure_ratio", "1h", "critical"), 0.25);
  EXPECT_EQ(Value(page, "1", "stuck_runs", "1h", "warning"), 1);
  EXPECT_TRUE(std::isnan(Value(page, "2", "failure_ratio", "1h", "warning")));
  EXPECT_EQ(Value(page, "2", "stuck_runs", "1h", "warning"), 1);
  EXPECT_EQ(page.find("workflow_id=\"00000000-0000-0000-0000-000000000003"),
            page.npos);
}

TEST_F(AlertThresholds, OfEachProjectHaveTheirShareWhereTheLimitCuts) {
  Set("1", "metric, warning", "'p95_duration', 1500");
  db_.Exec(R"(
      INSERT INTO projects (id, owner, name)
      VALUES ('00000000-0000-0000-0000-0000000000bb', gen_random_uuid(), 'Q');
      INSERT INTO workflow_definitions (id, project_id, slug, name)
      SELECT ('00000000-0000-0000-0000-0000000001' || i)::uuid,
             '00000000-0000-0000-0000-0000000000bb', 'w' || i, 'W'
      FROM generate_series(10, 40) AS i;
      INSERT INTO metrics.alert_thresholds
          (scope, workflow_id, metric, warning)
      SELECT 'workflow', id, 'p95_duration', 2
      FROM workflow_definitions
      WHERE project_id = '00000000-0000-0000-0000-0000000000bb')");
  auto collector = meshhook::collectors::AlertThresholds();
  collector.limit.rows = 2;
  const auto page = Collect(db_, collector);
  EXPECT_EQ(Value(page, "1", "p95_duration", "1h", "warning"), 1.5);
  EXPECT_TRUE(std::isnan(Value(page, "1", "stuck_runs", "1h", "warning")));
}

}  // namespace
