// SPDX-License-Identifier: MIT
// Whether the data layer keeps up: the fold, the refreshes, the housekeeping.
// All of it is the database's own record, the same on every replica.
#include "collectors/all.h"

namespace meshhook::collectors {

using prometheus::MetricType;

Collector Worker() {
  return {
      .name = "worker",
      .summary = "fold, refresh and housekeeping: freshness and cost",
      .query = R"(
        SELECT task, extract(epoch FROM last_success_at) AS last_success,
               last_duration_ms / 1000 AS last_duration,
               extract(epoch FROM now() - last_success_at) AS staleness,
               last_rows, busy_ms_total / 1000 AS busy, runs_total,
               failures_total
        FROM metrics.worker_tasks)",
      .labels = {"task"},
      .metrics = {{.name =
                       "meshhook_worker_task_last_success_timestamp_seconds",
                   .type = MetricType::Gauge,
                   .help = "When the task last succeeded, as Unix time.",
                   .column = "last_success"},
                  {.name = "meshhook_worker_task_staleness_seconds",
                   .type = MetricType::Gauge,
                   .help = "How long ago that was, by the database's clock.",
                   .column = "staleness"},
                  {.name = "meshhook_worker_task_last_rows",
                   .type = MetricType::Gauge,
                   .help = "Rows that the task last folded, refreshed or "
                           "tidied.",
                   .column = "last_rows"},
                  {.name = "meshhook_worker_task_last_duration_seconds",
                   .type = MetricType::Gauge,
                   .help = "How long the task last took.",
                   .column = "last_duration"},
                  {.name = "meshhook_worker_task_busy_seconds_total",
                   .type = MetricType::Counter,
                   .help = "Time the task has taken in all.",
                   .column = "busy"},
                  {.name = "meshhook_worker_task_runs_total",
                   .type = MetricType::Counter,
                   .help = "Times the task was tried.",
                   .column = "runs_total"},
                  {.name = "meshhook_worker_task_failures_total",
                   .type = MetricType::Counter,
                   .help = "Times the task failed.",
                   .column = "failures_total"}},
  };
}

}  // namespace meshhook::collectors
