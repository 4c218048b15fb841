// SPDX-License-Identifier: MIT
// Connections against the limit. pg_stat_activity_count also counts workers of
// the server, which take none of max_connections; pg_client_connections does
// not.
#include "collectors/all.h"

namespace meshhook::collectors {

using prometheus::MetricType;

Collector Connections() {
  return {
      .name = "connections",
      .summary = "client connections against the limit",
      .query = R"(
        SELECT max_connections - reserved - coalesce(
                   current_setting('reserved_connections', true)::int, 0)
                   AS usable,
               (SELECT count(*) FROM pg_stat_get_activity(NULL)
                WHERE backend_type = 'client backend') AS used
        FROM (SELECT current_setting('max_connections')::int,
                     current_setting('superuser_reserved_connections')::int)
             AS settings (max_connections, reserved))",
      .labels = {},
      .metrics = {{.name = "pg_client_connections",
                   .type = MetricType::Gauge,
                   .help = "Sessions of clients, in all databases.",
                   .column = "used"},
                  {.name = "pg_client_connections_limit",
                   .type = MetricType::Gauge,
                   .help = "Connections that ordinary roles can have in all.",
                   .column = "usable"}},
  };
}

}  // namespace meshhook::collectors
