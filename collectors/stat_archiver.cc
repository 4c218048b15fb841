// SPDX-License-Identifier: MIT
// Whether WAL is archived. The time of a failure is what postgres_exporter
// lacks.
#include "collectors/all.h"
#include "collectors/metric.h"

namespace meshhook::collectors {

Collector StatArchiver() {
  return {
      .name = "stat_archiver",
      .summary = "WAL archiving",
      .query = R"(
        SELECT archived_count, failed_count,
               extract(epoch FROM now() - last_archived_time) AS last_archive_age,
               extract(epoch FROM last_failed_time) AS last_failed
        FROM pg_stat_archiver)",
      .labels = {},
      .metrics = {Counter("pg_stat_archiver_archived_count",
                          "WAL files that were archived.", "archived_count"),
                  Counter("pg_stat_archiver_failed_count",
                          "Attempts to archive a WAL file that failed.",
                          "failed_count"),
                  Gauge("pg_stat_archiver_last_archive_age",
                        "Seconds since a WAL file was last archived.",
                        "last_archive_age"),
                  Gauge("pg_stat_archiver_last_failed_timestamp_seconds",
                        "When archiving last failed, as Unix time.",
                        "last_failed")},
  };
}

}  // namespace meshhook::collectors
