// SPDX-License-Identifier: MIT
// How many runs of each workflow finished, how they ended and how long they
// took, since the beginning.
//
// Reads the database's own exact totals, never the runs, so a scrape costs the
// same at any history. Every known workflow is there from the start, at 0.
#include "collectors/all.h"

namespace meshhook::collectors {

using prometheus::MetricType;

Collector WorkflowRuns() {
  constexpr auto kName = "meshhook_workflow_runs_total";
  constexpr auto kHelp = "Runs that finished, by how they ended.";
  return {
      .name = "workflow_runs",
      .summary = "finished runs and their durations, by workflow",
      .query = R"(
        SELECT project_id, workflow_id, success_count, failure_count,
               canceled_count, duration_sum_ms / 1000 AS duration_sum,
               duration_buckets, bounds
        FROM metrics.workflow_counters,
             (SELECT array_agg(ms / 1000.0 ORDER BY ms) AS bounds
              FROM unnest(metrics.duration_bounds_ms()) AS ms) AS histogram)",
      .labels = {"project_id", "workflow_id"},
      .metrics =
          {{.name = kName,
            .type = MetricType::Counter,
            .help = kHelp,
            .column = "success_count",
            .labels = {{"status", "succeeded"}}},
           {.name = kName,
            .type = MetricType::Counter,
            .help = kHelp,
            .column = "failure_count",
            .labels = {{"status", "failed"}}},
           {.name = kName,
            .type = MetricType::Counter,
            .help = kHelp,
            .column = "canceled_count",
            .labels = {{"status", "canceled"}}},
           {.name = "meshhook_workflow_run_duration_seconds",
            .type = MetricType::Histogram,
            .help = "Time from start to finish of succeeded and failed runs.",
            .column = "duration_buckets",
            .bounds_column = "bounds",
            .sum_column = "duration_sum"}},
  };
}

}  // namespace meshhook::collectors
