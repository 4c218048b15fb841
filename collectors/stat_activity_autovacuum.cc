// SPDX-License-Identifier: MIT
// Autovacuums under way, by table.
#include "collectors/all.h"
#include "collectors/metric.h"

namespace meshhook::collectors {

Collector StatActivityAutovacuum() {
  return {
      .name = "stat_activity_autovacuum",
      .summary = "autovacuums under way",
      .query = R"(
        SELECT relname, min(started) AS started
        FROM (SELECT coalesce(substring(query FROM
                         '^autovacuum: (?:VACUUM|ANALYZE|VACUUM ANALYZE) [^.]+[.]([^ ]+)'),
                         split_part(query, '.', 2)) AS relname,
                     extract(epoch FROM xact_start) AS started
              FROM pg_stat_activity
              WHERE query LIKE 'autovacuum:%') AS workers
        GROUP BY relname)",
      .labels = {"relname"},
      .metrics = {Gauge("pg_stat_activity_autovacuum_timestamp_seconds",
                        "When the autovacuum of the table began, as Unix time.",
                        "started")},
      .on = false,
  };
}

}  // namespace meshhook::collectors
