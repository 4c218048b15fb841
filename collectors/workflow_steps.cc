// SPDX-License-Identifier: MIT
// The busiest nodes: their attempts since the beginning, and how long their
// steps took in the last 24 hours.
//
// Node names come from tenants' workflows, so there is a limit: the 200 nodes
// with the most attempts ever. Those counts only grow, so who is among them
// changes seldom; what is cut is in the totals of steps.cc.
#include "collectors/all.h"

namespace meshhook::collectors {

using prometheus::MetricType;

Collector WorkflowSteps() {
  constexpr auto kAttempts = "meshhook_workflow_step_attempts_total";
  constexpr auto kAttemptsHelp =
      "Attempts at a node's step, by how they ended; the 200 busiest nodes.";
  constexpr auto kDuration = "meshhook_workflow_step_duration_seconds";
  constexpr auto kDurationHelp =
      "Percentiles of a node's step duration in the last 24 hours, within 1 "
      "percent.";
  return {
      .name = "workflow_steps",
      .summary = "attempts and durations of the 200 busiest nodes",
      .query = R"(
        SELECT s.project_id, s.workflow_id, s.node_id AS node, s.node_type,
               s.success_count, s.failure_count, l.median_duration / 1000
                   AS median, l.p95_duration / 1000 AS p95,
               l.p99_duration / 1000 AS p99
        FROM (SELECT * FROM metrics.step_metrics
              ORDER BY success_count + failure_count DESC, workflow_id, node_id
              LIMIT 200) AS s
        LEFT JOIN metrics.mv_step_latency AS l USING (workflow_id, node_id))",
      .labels = {"project_id", "workflow_id", "node", "node_type"},
      .metrics = {{.name = kAttempts,
                   .type = MetricType::Counter,
                   .help = kAttemptsHelp,
                   .column = "success_count",
                   .labels = {{"status", "succeeded"}}},
                  {.name = kAttempts,
                   .type = MetricType::Counter,
                   .help = kAttemptsHelp,
                   .column = "failure_count",
                   .labels = {{"status", "failed"}}},
                  {.name = kDuration,
                   .type = MetricType::Summary,
                   .help = kDurationHelp,
                   .column = "median",
                   .labels = {{"quantile", "0.5"}}},
                  {.name = kDuration,
                   .type = MetricType::Summary,
                   .help = kDurationHelp,
                   .column = "p95",
                   .labels = {{"quantile", "0.95"}}},
                  {.name = kDuration,
                   .type = MetricType::Summary,
                   .help = kDurationHelp,
                   .column = "p99",
                   .labels = {{"quantile", "0.99"}}}},
  };
}

}  // namespace meshhook::collectors
