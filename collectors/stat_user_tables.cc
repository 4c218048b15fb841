// SPDX-License-Identifier: MIT
// Access, churn and vacuum of each table, the greatest by the catalogue's
// pages.
//
// What pg_stat_user_tables says, of the functions that it is made of: the view
// is planned anew for each scrape, and groups the indexes of all tables.
#include "collectors/all.h"
#include "collectors/relations.h"

namespace meshhook::collectors {

using prometheus::MetricType;

Collector StatUserTables() {
  return {
      .name = "stat_user_tables",
      .summary = "access, churn and vacuum of each table",
      .query = R"(
        SELECT current_database() AS datname, schemaname, relname, pages, s.*,
               pg_stat_get_live_tuples(relid) AS n_live_tup,
               pg_stat_get_dead_tuples(relid) AS n_dead_tup,
               pg_stat_get_mod_since_analyze(relid) AS n_mod_since_analyze
        FROM )" +
               kTables + R"(
        LEFT JOIN LATERAL (
            SELECT pg_stat_get_numscans(relid) AS seq_scan,
                   pg_stat_get_tuples_returned(relid) AS seq_tup_read,
                   sum(pg_stat_get_numscans(indexrelid)) AS idx_scan,
                   sum(pg_stat_get_tuples_fetched(indexrelid))
                       + pg_stat_get_tuples_fetched(relid) AS idx_tup_fetch,
                   pg_stat_get_tuples_inserted(relid) AS n_tup_ins,
                   pg_stat_get_tuples_updated(relid) AS n_tup_upd,
                   pg_stat_get_tuples_deleted(relid) AS n_tup_del,
                   pg_stat_get_tuples_hot_updated(relid) AS n_tup_hot_upd,
                   coalesce(extract(epoch FROM
                       pg_stat_get_last_vacuum_time(relid)), 0) AS last_vacuum,
                   coalesce(extract(epoch FROM
                       pg_stat_get_last_autovacuum_time(relid)), 0)
                       AS last_autovacuum,
                   coalesce(extract(epoch FROM
                       pg_stat_get_last_analyze_time(relid)), 0)
                       AS last_analyze,
                   coalesce(extract(epoch FROM
                       pg_stat_get_last_autoanalyze_time(relid)), 0)
                       AS last_autoanalyze,
                   pg_stat_get_vacuum_count(relid) AS vacuum_count,
                   pg_stat_get_autovacuum_count(relid) AS autovacuum_count,
                   pg_stat_get_analyze_count(relid) AS analyze_count,
                   pg_stat_get_autoanalyze_count(relid) AS autoanalyze_count
            FROM pg_index WHERE indrelid = relid
            HAVING place <= @most_rows@) AS s ON true)",
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
                   .column = "autoanalyze_count"}},
      .scope = Scope::kDatabase,
      .limit = {.rows = 1000, .rank = "pages"},
  };
}

}  // namespace meshhook::collectors
