// SPDX-License-Identifier: MIT
// Access, churn, vacuum and size of each table, the greatest by the catalogue's
// pages. Sizes never wait, see relations.h, and those of tables that are cut
// are the catalogue's too: 10,000 calls of the size functions take half a
// second.
#include "collectors/all.h"
#include "collectors/relations.h"

namespace meshhook::collectors {

using prometheus::MetricType;

Collector StatUserTables() {
  return {
      .name = "stat_user_tables",
      .summary = "access, churn, vacuum and size of each table",
      .query = "WITH " + kLocked + ", " + kTables + R"(
        SELECT current_database() AS datname, t.schemaname, t.relname,
               table_pages + index_pages AS pages,
               seq_scan, seq_tup_read, idx_scan, idx_tup_fetch,
               n_tup_ins, n_tup_upd, n_tup_del, n_tup_hot_upd,
               pg_stat_get_live_tuples(relid) AS n_live_tup,
               pg_stat_get_dead_tuples(relid) AS n_dead_tup,
               pg_stat_get_mod_since_analyze(relid) AS n_mod_since_analyze,
               coalesce(extract(epoch FROM last_vacuum), 0) AS last_vacuum,
               coalesce(extract(epoch FROM last_autovacuum), 0)
                   AS last_autovacuum,
               coalesce(extract(epoch FROM last_analyze), 0) AS last_analyze,
               coalesce(extract(epoch FROM last_autoanalyze), 0)
                   AS last_autoanalyze,
               vacuum_count, autovacuum_count, analyze_count,
               autoanalyze_count,
               CASE WHEN place <= @most_rows@ AND NOT indexes_locked
                    THEN pg_indexes_size(relid)
                    ELSE )" +
               Bytes("index_pages") + R"( END AS index_size,
               CASE WHEN place <= @most_rows@ AND NOT table_locked
                    THEN pg_table_size(relid)
                    ELSE )" +
               Bytes("table_pages") + R"( END AS table_size
        FROM tables AS t
        LEFT JOIN (SELECT * FROM pg_stat_user_tables
                   WHERE relid = ANY (ARRAY(SELECT relid FROM tables
                                            WHERE place <= @most_rows@)))
            AS s USING (relid))",
      .labels = {"datname", "schemaname", "relname"},
      .metrics = {{.name = "pg_stat_user_tables_seq_scan",
                   .type = MetricType::Counter,
                   .help = "Sequential scans started.",
                   .column = "seq_scan"},
                  {.name = "pg_stat_user_tables_seq_tup_read",
                   .type = MetricType::Counter,
                   .help = "Rows read by sequential scans.",
                   .column = "seq_tup_read"},
                  {.name = "pg_stat_user_tables_idx_scan",
                   .type = MetricType::Counter,
                   .help = "Index scans started.",
                   .column = "idx_scan"},
                  {.name = "pg_stat_user_tables_idx_tup_fetch",
                   .type = MetricType::Counter,
                   .help = "Rows fetched by index scans.",
                   .column = "idx_tup_fetch"},
                  {.name = "pg_stat_user_tables_n_tup_ins",
                   .type = MetricType::Counter,
                   .help = "Rows inserted.",
                   .column = "n_tup_ins"},
                  {.name = "pg_stat_user_tables_n_tup_upd",
                   .type = MetricType::Counter,
                   .help = "Rows updated.",
                   .column = "n_tup_upd"},
                  {.name = "pg_stat_user_tables_n_tup_del",
                   .type = MetricType::Counter,
                   .help = "Rows deleted.",
                   .column = "n_tup_del"},
                  {.name = "pg_stat_user_tables_n_tup_hot_upd",
                   .type = MetricType::Counter,
                   .help = "Rows updated without touching an index.",
                   .column = "n_tup_hot_upd"},
                  {.name = "pg_stat_user_tables_n_live_tup",
                   .type = MetricType::Gauge,
                   .help = "Live rows, estimated.",
                   .column = "n_live_tup",
                   .additive = true},
                  {.name = "pg_stat_user_tables_n_dead_tup",
                   .type = MetricType::Gauge,
                   .help = "Dead rows, estimated.",
                   .column = "n_dead_tup",
                   .additive = true},
                  {.name = "pg_stat_user_tables_n_mod_since_analyze",
                   .type = MetricType::Gauge,
                   .help = "Rows changed since the last analyze, estimated.",
                   .column = "n_mod_since_analyze",
                   .additive = true},
                  {.name = "pg_stat_user_tables_last_vacuum",
                   .type = MetricType::Gauge,
                   .help = "Last manual vacuum, as Unix time; 0 is never.",
                   .column = "last_vacuum"},
                  {.name = "pg_stat_user_tables_last_autovacuum",
                   .type = MetricType::Gauge,
                   .help = "Last autovacuum, as Unix time; 0 is never.",
                   .column = "last_autovacuum"},
                  {.name = "pg_stat_user_tables_last_analyze",
                   .type = MetricType::Gauge,
                   .help = "Last manual analyze, as Unix time; 0 is never.",
                   .column = "last_analyze"},
                  {.name = "pg_stat_user_tables_last_autoanalyze",
                   .type = MetricType::Gauge,
                   .help = "Last autoanalyze, as Unix time; 0 is never.",
                   .column = "last_autoanalyze"},
                  {.name = "pg_stat_user_tables_vacuum_count",
                   .type = MetricType::Counter,
                   .help = "Manual vacuums.",
                   .column = "vacuum_count"},
                  {.name = "pg_stat_user_tables_autovacuum_count",
                   .type = MetricType::Counter,
                   .help = "Autovacuums.",
                   .column = "autovacuum_count"},
                  {.name = "pg_stat_user_tables_analyze_count",
                   .type = MetricType::Counter,
                   .help = "Manual analyzes.",
                   .column = "analyze_count"},
                  {.name = "pg_stat_user_tables_autoanalyze_count",
                   .type = MetricType::Counter,
                   .help = "Autoanalyzes.",
                   .column = "autoanalyze_count"},
                  {.name = "pg_stat_user_tables_index_size_bytes",
                   .type = MetricType::Gauge,
                   .help = "Size of all indexes of the table; as of the last "
                           "vacuum or analyze while one is locked.",
                   .column = "index_size",
                   .additive = true},
                  {.name = "pg_stat_user_tables_table_size_bytes",
                   .type = MetricType::Gauge,
                   .help =
                       "Size of the table with TOAST, without indexes; as of "
                       "the last vacuum or analyze while it is locked.",
                   .column = "table_size",
                   .additive = true}},
      .scope = Scope::kDatabase,
      .limit = {.rows = 1000, .rank = "pages"},
  };
}

}  // namespace meshhook::collectors
