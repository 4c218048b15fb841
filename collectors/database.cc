// SPDX-License-Identifier: MIT
// Size and connection limit of each database. A database that this role may
// not connect to has no size, rather than a size of 0.
#include "collectors/all.h"

namespace meshhook::collectors {

using prometheus::MetricType;

Collector Database() {
  return {
      .name = "database",
      .summary = "size and connection limit of each database",
      .query = R"(
        SELECT datname, datconnlimit,
               CASE WHEN has_database_privilege(oid, 'CONNECT')
                         OR pg_has_role('pg_read_all_stats', 'MEMBER')
                    THEN pg_database_size(oid) END AS size
        FROM pg_database)",
      .labels = {"datname"},
      .metrics = {{.name = "pg_database_size_bytes",
                   .type = MetricType::Gauge,
                   .help = "Disk space used by the database.",
                   .column = "size"},
                  {.name = "pg_database_connection_limit",
                   .type = MetricType::Gauge,
                   .help = "Connection limit of the database; -1 is none.",
                   .column = "datconnlimit"}},
      .interval = std::chrono::minutes(1),
  };
}

}  // namespace meshhook::collectors
