// SPDX-License-Identifier: MIT
// How many runs of each workflow finished, how they ended and how long they
// took, since the beginning.
//
// Reads the database's own exact totals, never the runs, so a scrape costs the
// same at any history. Every known workflow is there from the start, at 0. The
// exemplars, of runs slower than a second, are of the last hour's newest runs.
#include "collectors/all.h"

namespace meshhook::collectors {

using prometheus::MetricType;

Collector WorkflowRuns() {
  constexpr auto kName = "meshhook_workflow_runs_total";
  constexpr auto kHelp = "Runs that finished, by how they ended.";
  constexpr auto kCreated = "created";
  return {
      .name = "workflow_runs",
      .summary = "finished runs and their durations, by workflow",
      .query = R"(
        SELECT project_id, workflow_id, success_count, failure_count,
               canceled_count, duration_sum_ms / 1000 AS duration_sum,
               duration_buckets, bounds,
               CASE WHEN @created@::boolean
                    THEN extract(epoch FROM created_at) END AS created,
               run_ids, durations, finished
        FROM metrics.workflow_counters
        CROSS JOIN (SELECT array_agg(ms / 1000.0 ORDER BY ms) AS bounds
                    FROM unnest(metrics.duration_bounds_ms()) AS ms)
            AS histogram
        LEFT JOIN (SELECT workflow_id, array_agg(run_id) AS run_ids,
                          array_agg(duration_ms / 1000.0) AS durations,
                          array_agg(extract(epoch FROM finished_at))
                              AS finished
                   FROM metrics.slow_runs() WHERE @exemplars@::boolean
                   GROUP BY workflow_id) AS slow USING (workflow_id))",
      .labels = {"project_id", "workflow_id"},
      .metrics =
          {{.name = kName,
            .type = MetricType::Counter,
            .help = kHelp,
            .column = "success_count",
            .labels = {{"status", "succeeded"}},
            .created_column = kCreated},
           {.name = kName,
            .type = MetricType::Counter,
            .help = kHelp,
            .column = "failure_count",
            .labels = {{"status", "failed"}},
            .created_column = kCreated},
           {.name = kName,
            .type = MetricType::Counter,
            .help = kHelp,
            .column = "canceled_count",
            .labels = {{"status", "canceled"}},
            .created_column = kCreated},
           {.name = "meshhook_workflow_run_duration_seconds",
            .type = MetricType::Histogram,
            .help = "Time from start to finish of succeeded and failed runs.",
            .column = "duration_buckets",
            .bounds_column = "bounds",
            .sum_column = "duration_sum",
            .created_column = kCreated,
            .exemplars = {{.label = "run_id",
                           .label_column = "run_ids",
                           .value_column = "durations",
                           .time_column = "finished"}}}},
      .settings = {{"created", "true",
                    "whether OpenMetrics has the time of each workflow's "
                    "beginning, four series a workflow; true or false"},
                   {"exemplars", "false",
                    "whether OpenMetrics names a recent run in each bucket "
                    "beyond a second; true or false"}},
  };
}

}  // namespace meshhook::collectors
