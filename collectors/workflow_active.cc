// SPDX-License-Identifier: MIT
// Runs that have started and not finished. Histograms of finished runs hide
// those that hang; this shows them while they do.
#include "collectors/all.h"

namespace meshhook::collectors {

using prometheus::MetricType;

Collector WorkflowActive() {
  return {
      .name = "workflow_active",
      .summary = "running and paused runs, and the age of the oldest",
      .query =
          "SELECT project_id, workflow_id, status, runs, "
          "oldest_age_seconds FROM metrics.active_runs",
      .labels = {"project_id", "workflow_id", "status"},
      .metrics = {{.name = "meshhook_workflow_active_runs",
                   .type = MetricType::Gauge,
                   .help =
                       "Runs that have not finished; only workflows with some.",
                   .column = "runs"},
                  {.name = "meshhook_workflow_oldest_active_run_age_seconds",
                   .type = MetricType::Gauge,
                   .help =
                       "Age of the workflow's oldest run that is not finished.",
                   .column = "oldest_age_seconds"}},
  };
}

}  // namespace meshhook::collectors
