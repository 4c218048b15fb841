// SPDX-License-Identifier: MIT
// Locks by database and mode, zeros included, as in postgres_exporter.
#include "collectors/all.h"

namespace meshhook::collectors {

using prometheus::MetricType;

Collector Locks() {
  return {
      .name = "locks",
      .summary = "locks by database and mode",
      .query = R"(
        SELECT d.datname, m.mode, count(l.mode) AS count
        FROM pg_database AS d
        CROSS JOIN (VALUES ('accesssharelock'), ('rowsharelock'),
                           ('rowexclusivelock'), ('shareupdateexclusivelock'),
                           ('sharelock'), ('sharerowexclusivelock'),
                           ('exclusivelock'), ('accessexclusivelock'),
                           ('sireadlock')) AS m (mode)
        LEFT JOIN pg_lock_status() AS l
            ON l.database = d.oid AND lower(l.mode) = m.mode
        GROUP BY d.datname, m.mode)",
      .labels = {"datname", "mode"},
      .metrics = {{.name = "pg_locks_count",
                   .type = MetricType::Gauge,
                   .help = "Locks held or awaited.",
                   .column = "count"}},
  };
}

}  // namespace meshhook::collectors
