// SPDX-License-Identifier: MIT
// How each workflow did in the last hour, day and week, from the materialized
// view: exact counts, percentiles within 1 %.
//
// Only workflows that ran within a window have its rows, so the series stay in
// proportion to what is alive; and no more than 3,000 rows, which are 1,000
// workflows: those that ran most in 7 days, with all of their windows.
#include "collectors/all.h"

namespace meshhook::collectors {

using prometheus::MetricType;

Collector WorkflowWindows() {
  constexpr auto kDurationHelp =
      "Percentiles of run duration within the window, within 1 percent.";
  return {
      .name = "workflow_windows",
      .summary = "runs, failure ratio and percentiles of 1 h, 24 h and 7 d",
      .query = R"(
        SELECT project_id, workflow_id, w."window", w.runs, w.failure_rate,
               w.median / 1000 AS median, w.p95 / 1000 AS p95,
               w.p99 / 1000 AS p99, execution_count_7d
        FROM metrics.mv_workflow_metrics,
             LATERAL (VALUES
                 ('1h', execution_count_1h, failure_rate_1h,
                  median_duration_1h, p95_duration_1h, p99_duration_1h),
                 ('24h', execution_count_24h, failure_rate_24h,
                  median_duration_24h, p95_duration_24h, p99_duration_24h),
                 ('7d', execution_count_7d, failure_rate_7d,
                  median_duration_7d, p95_duration_7d, p99_duration_7d))
                 AS w ("window", runs, failure_rate, median, p95, p99)
        WHERE w.runs > 0)",
      .labels = {"project_id", "workflow_id", "window"},
      .metrics = {{.name = "meshhook_workflow_window_runs",
                   .type = MetricType::Gauge,
                   .help = "Runs that finished within the window.",
                   .column = "runs"},
                  {.name = "meshhook_workflow_window_failure_ratio",
                   .type = MetricType::Gauge,
                   .help = "Share of failed among succeeded and failed runs.",
                   .column = "failure_rate"},
                  {.name = "meshhook_workflow_window_duration_seconds",
                   .type = MetricType::Summary,
                   .help = kDurationHelp,
                   .column = "median",
                   .labels = {{"quantile", "0.5"}}},
                  {.name = "meshhook_workflow_window_duration_seconds",
                   .type = MetricType::Summary,
                   .help = kDurationHelp,
                   .column = "p95",
                   .labels = {{"quantile", "0.95"}}},
                  {.name = "meshhook_workflow_window_duration_seconds",
                   .type = MetricType::Summary,
                   .help = kDurationHelp,
                   .column = "p99",
                   .labels = {{"quantile", "0.99"}}}},
      .limit = {.rows = 3000, .rank = "execution_count_7d"},
  };
}

}  // namespace meshhook::collectors
