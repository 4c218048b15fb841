// SPDX-License-Identifier: MIT
// Sessions by what they do. As in postgres_exporter, a state that no session
// of a database is in has a row of 0 with empty labels.
#include "collectors/all.h"

namespace meshhook::collectors {

using prometheus::MetricType;

Collector StatActivity() {
  return {
      .name = "stat_activity",
      .summary = "sessions by database, state, user and wait event",
      .query = R"(
        WITH sessions AS (
            SELECT datname, state, usename, application_name, backend_type,
                   wait_event_type, wait_event, count(*) AS count,
                   max(extract(epoch FROM now() - xact_start))
                       AS max_tx_duration
            FROM pg_stat_activity
            WHERE pid <> pg_backend_pid()
            GROUP BY 1, 2, 3, 4, 5, 6, 7)
        SELECT d.datname, s.state, usename, application_name, backend_type,
               wait_event_type, wait_event, coalesce(count, 0) AS count,
               coalesce(max_tx_duration, 0) AS max_tx_duration
        FROM pg_database AS d
        CROSS JOIN (VALUES ('active'), ('idle'), ('idle in transaction'),
                           ('idle in transaction (aborted)'),
                           ('fastpath function call'), ('disabled'))
                   AS s (state)
        LEFT JOIN sessions USING (datname, state))",
      .labels = {"datname", "state", "usename", "application_name",
                 "backend_type", "wait_event_type", "wait_event"},
      .metrics = {{.name = "pg_stat_activity_count",
                   .type = MetricType::Gauge,
                   .help = "Sessions in this state.",
                   .column = "count"},
                  {.name = "pg_stat_activity_max_tx_duration",
                   .type = MetricType::Gauge,
                   .help = "Age of the longest transaction, in seconds.",
                   .column = "max_tx_duration"}},
  };
}

}  // namespace meshhook::collectors
