// SPDX-License-Identifier: MIT
// Where steps fail, and of what: the 50 worst of the last 24 hours.
#include "collectors/all.h"

namespace meshhook::collectors {

using prometheus::MetricType;

Collector FailureHotspots() {
  constexpr auto kHotspots = "meshhook_failure_hotspot_failures";
  constexpr auto kHotspotsHelp =
      "Failed attempts within the window, where there were most.";
  return {
      .name = "failure_hotspots",
      .summary = "the 50 nodes and kinds of error with the most failures",
      .query = R"(
        SELECT project_id, workflow_id, node_id AS node, error_class,
               failures_1h, failures_24h, share
        FROM metrics.mv_failure_hotspots
        ORDER BY failures_24h DESC, workflow_id, node_id, error_class
        LIMIT 50)",
      .labels = {"project_id", "workflow_id", "node", "error_class"},
      .metrics = {{.name = kHotspots,
                   .type = MetricType::Gauge,
                   .help = kHotspotsHelp,
                   .column = "failures_1h",
                   .labels = {{"window", "1h"}}},
                  {.name = kHotspots,
                   .type = MetricType::Gauge,
                   .help = kHotspotsHelp,
                   .column = "failures_24h",
                   .labels = {{"window", "24h"}}},
                  {.name = "meshhook_failure_hotspot_ratio",
                   .type = MetricType::Gauge,
                   .help = "Its share of the workflow's failed attempts in "
                           "24 hours.",
                   .column = "share"}},
  };
}

}  // namespace meshhook::collectors
