#error "read LEAD-NOTE.txt in the root of this worktree, then delete this line"
// SPDX-License-Identifier: MIT
// From when on an alert is raised: what rules compare with.
//
// A workflow has rows only where it or its project has a threshold of its own,
// and then for each metric and severity, so that a rule asks nothing but
// whether it has any. One that is to raise no alert has a value that is never
// reached. Global ones, with empty ids, are never among what the limit cuts.
#include "collectors/all.h"

namespace meshhook::collectors {

using prometheus::MetricType;

Collector AlertThresholds() {
  return {
      .name = "alert_thresholds",
      .summary = "from when on an alert is raised, globally and by workflow",
      .query = R"(
        SELECT coalesce(t.project_id::text, '') AS project_id,
               coalesce(t.workflow_id::text, '') AS workflow_id, t.metric,
               t."window", v.severity,
               CASE WHEN v.value IS NOT NULL
                    THEN v.value / CASE t.metric WHEN 'p95_duration' THEN 1000
                                                 ELSE 1 END
                    WHEN t.workflow_id IS NULL THEN NULL
                    WHEN t.metric = 'minimum_runs' THEN 0
                    ELSE 'Infinity' END AS threshold,
               (t.workflow_id IS NULL)::int AS is_global
        FROM metrics.resolved_alert_thresholds AS t,
             LATERAL (VALUES ('warning', t.warning), ('critical', t.critical))
                      AS v (severity, value))",
      .labels = {"project_id", "workflow_id", "metric", "window", "severity"},
      .metrics = {{.name = "meshhook_alert_threshold",
                   .type = MetricType::Gauge,
                   .help = "From when on an alert is raised: a ratio, seconds "
                           "or runs, by the metric; +Inf (of minimum_runs 0) "
                           "is never. Empty ids: for every workflow that has "
                           "no rows here.",
                   .column = "threshold"}},
      .limit = {.rows = 8000, .rank = "is_global"},
  };
}

}  // namespace meshhook::collectors
