// SPDX-License-Identifier: MIT
// The alert thresholds that were set by the API: for each workflow the one that
// holds, and what it is compared with, so that a rule need only compare the
// two.
//
// Workflows without a threshold have no series. A global one gives each that is
// alive four or so, and there are no more than 4,000 rows.
#include "collectors/all.h"

namespace meshhook::collectors {

using prometheus::MetricType;

Collector AlertThresholds() {
  constexpr auto kHelp =
      "Limit that was set for the workflow: a ratio, seconds or runs, by the "
      "metric it is for.";
  return {
      .name = "alert_thresholds",
      .summary = "alert thresholds that were set, and what they are for",
      .query = R"(
        SELECT project_id, workflow_id, metric, "window",
               warning / unit AS warning, critical / unit AS critical,
               measured / unit AS measured,
               CASE scope WHEN 'workflow' THEN 2 WHEN 'project' THEN 1
                          ELSE 0 END AS narrowness
        FROM metrics.resolved_alert_thresholds,
             LATERAL (SELECT CASE metric WHEN 'p95_duration' THEN 1000
                                         ELSE 1 END) AS u (unit))",
      .labels = {"project_id", "workflow_id", "metric", "window"},
      .metrics = {{.name = "meshhook_alert_threshold",
                   .type = MetricType::Gauge,
                   .help = kHelp,
                   .column = "warning",
                   .labels = {{"severity", "warning"}}},
                  {.name = "meshhook_alert_threshold",
                   .type = MetricType::Gauge,
                   .help = kHelp,
                   .column = "critical",
                   .labels = {{"severity", "critical"}}},
                  {.name = "meshhook_alert_measured",
                   .type = MetricType::Gauge,
                   .help =
                       "What the limit is for, as it is now; absent where too "
                       "few runs finished for it to mean anything.",
                   .column = "measured"}},
      .limit = {.rows = 4000, .rank = "narrowness"},
  };
}

}  // namespace meshhook::collectors
