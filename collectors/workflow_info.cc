// SPDX-License-Identifier: MIT
// The names behind the ids. Tenants choose them, so an operator who wants none
// of them in Prometheus switches this collector off; nothing else carries
// names.
#include "collectors/all.h"

namespace meshhook::collectors {

using prometheus::MetricType;

Collector WorkflowInfo() {
  return {
      .name = "workflow_info",
      .summary = "project and workflow names behind the ids",
      .query =
          "SELECT project_id, workflow_id, project, workflow, version, "
          "1 AS present FROM metrics.workflow_names",
      .labels = {"project_id", "workflow_id", "project", "workflow", "version"},
      .metrics = {{.name = "meshhook_workflow_info",
                   .type = MetricType::Gauge,
                   .help = "Names of a workflow and its project; always 1.",
                   .column = "present"}},
  };
}

}  // namespace meshhook::collectors
