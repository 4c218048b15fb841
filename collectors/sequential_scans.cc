// SPDX-License-Identifier: MIT
// Large tables most of whose rows are read by scanning them whole: where an
// index is likely missing. Those that read the most this way.
#include "collectors/all.h"
#include "collectors/metric.h"

namespace meshhook::collectors {

Collector SequentialScans() {
  return {
      .name = "sequential_scans",
      .summary = "large tables that are mostly read whole",
      .query = R"(
        WITH large AS MATERIALIZED (
            SELECT c.oid FROM pg_class AS c
            JOIN pg_namespace AS n ON n.oid = relnamespace
            WHERE relkind IN ('r', 'm') AND relpersistence <> 't'
              AND relpages::bigint * current_setting('block_size')::int
                  >= @min_bytes@::numeric
              AND nspname NOT IN ('pg_catalog', 'information_schema')
              AND nspname !~ @excluded_schemas@)
        SELECT current_database() AS datname, schemaname, relname,
               seq_tup_read::float8
                   / (seq_tup_read + coalesce(idx_tup_fetch, 0)) AS ratio,
               seq_tup_read::float8 / seq_scan AS rows_a_scan, seq_tup_read
        FROM pg_stat_user_tables
        WHERE relid = ANY (ARRAY(SELECT oid FROM large))
          AND seq_scan > 0 AND seq_tup_read > coalesce(idx_tup_fetch, 0))",
      .labels = {"datname", "schemaname", "relname"},
      .metrics = {Gauge("meshhook_table_sequential_read_ratio",
                        "Share of the table's rows read that sequential scans "
                        "read, where it is more than half.",
                        "ratio"),
                  Gauge("meshhook_table_sequential_scan_rows",
                        "Rows that a sequential scan of that table reads on "
                        "average.",
                        "rows_a_scan")},
      .scope = Scope::kDatabase,
      .limit = {.rows = 20, .rank = "seq_tup_read"},
      .settings = {{"min_bytes", "10485760",
                    "Smaller tables are left out: they are best read whole."}},
      .interval = std::chrono::minutes(1),
  };
}

}  // namespace meshhook::collectors
