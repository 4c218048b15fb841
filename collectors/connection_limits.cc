// SPDX-License-Identifier: MIT
// Connections against every limit there is: of the server, without what is
// reserved, and of the roles and databases that have one.
#include "collectors/all.h"
#include "collectors/metric.h"

namespace meshhook::collectors {

Collector ConnectionLimits() {
  return {
      .name = "connection_limits",
      .summary = "connections against the limits of server, roles, databases",
      .query = R"(
        WITH sessions AS MATERIALIZED (
            SELECT usesysid, datid, count(*) AS used FROM pg_stat_get_activity(NULL)
            WHERE backend_type = 'client backend' GROUP BY usesysid, datid),
        limited AS (
            SELECT 'server' AS kind, '' AS name, sum(used) AS used,
                   current_setting('max_connections')::int
                   - current_setting('superuser_reserved_connections')::int
                   - coalesce(current_setting('reserved_connections', true)::int, 0)
                       AS allowed
            FROM sessions
            UNION ALL
            SELECT 'role', rolname::text, coalesce((SELECT sum(used) FROM sessions
                                                    WHERE usesysid = r.oid), 0),
                   rolconnlimit
            FROM pg_roles AS r WHERE rolconnlimit >= 0
            UNION ALL
            SELECT 'database', datname::text, coalesce((SELECT sum(used) FROM sessions
                                                        WHERE datid = d.oid), 0),
                   datconnlimit
            FROM pg_database AS d WHERE datconnlimit >= 0)
        SELECT *, used / greatest(allowed, 1) AS filled FROM limited)",
      .labels = {"kind", "name"},
      .metrics = {Gauge("meshhook_used_connections",
                        "Sessions of clients that count against a limit.",
                        "used"),
                  Gauge("meshhook_allowed_connections",
                        "The limit: of the server for ordinary roles, of a "
                        "role or of a database.",
                        "allowed")},
      .limit = {.rows = 100, .rank = "filled"},
  };
}

}  // namespace meshhook::collectors
