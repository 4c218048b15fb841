// SPDX-License-Identifier: MIT
// How long idle sessions have been idle.
#include "collectors/all.h"
#include "collectors/metric.h"

namespace meshhook::collectors {

Collector ProcessIdle() {
  return {
      .name = "process_idle",
      .summary = "how long idle sessions have been idle",
      .query = R"(
        SELECT state, application_name,
               ARRAY[count(*) FILTER (WHERE idle <= 1),
                     count(*) FILTER (WHERE idle <= 2),
                     count(*) FILTER (WHERE idle <= 5),
                     count(*) FILTER (WHERE idle <= 15),
                     count(*) FILTER (WHERE idle <= 30),
                     count(*) FILTER (WHERE idle <= 60),
                     count(*) FILTER (WHERE idle <= 90),
                     count(*) FILTER (WHERE idle <= 120),
                     count(*) FILTER (WHERE idle <= 300), count(*)] AS sessions,
               '{1,2,5,15,30,60,90,120,300}'::int[] AS bounds, sum(idle) AS total
        FROM (SELECT state, application_name,
                     greatest(extract(epoch FROM now() - state_change), 0) AS idle
              FROM pg_stat_activity
              WHERE state LIKE 'idle%' AND pid <> pg_backend_pid()) AS sessions
        GROUP BY state, application_name)",
      .labels = {"state", "application_name"},
      .metrics = {{.name = "pg_process_idle_seconds",
                   .type = prometheus::MetricType::Histogram,
                   .help = "How long sessions have been idle.",
                   .column = "sessions",
                   .bounds_column = "bounds",
                   .sum_column = "total"}},
      .on = false,
  };
}

}  // namespace meshhook::collectors
