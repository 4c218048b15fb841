// SPDX-License-Identifier: MIT
// Block reads and cache hits of each table, the greatest by the catalogue's
// pages: what pg_statio_user_tables says, without the view, see
// stat_user_tables.
#include "collectors/all.h"
#include "collectors/relations.h"

namespace meshhook::collectors {

using prometheus::MetricType;

Collector StatioUserTables() {
  return {
      .name = "statio_user_tables",
      .summary = "block reads and cache hits of each table",
      .query = R"(
        SELECT current_database() AS datname, schemaname, relname, pages, s.*,
               toast.*
        FROM )" +
               kTables + R"(
        LEFT JOIN LATERAL (
            SELECT pg_stat_get_blocks_fetched(relid)
                       - pg_stat_get_blocks_hit(relid) AS heap_blks_read,
                   pg_stat_get_blocks_hit(relid) AS heap_blks_hit,
                   sum(pg_stat_get_blocks_fetched(indexrelid)
                       - pg_stat_get_blocks_hit(indexrelid)) AS idx_blks_read,
                   sum(pg_stat_get_blocks_hit(indexrelid)) AS idx_blks_hit
            FROM pg_index WHERE indrelid = relid
            HAVING place <= @most_rows@) AS s ON true
        LEFT JOIN LATERAL (
            SELECT pg_stat_get_blocks_fetched(toast)
                       - pg_stat_get_blocks_hit(toast) AS toast_blks_read,
                   pg_stat_get_blocks_hit(toast) AS toast_blks_hit,
                   sum(pg_stat_get_blocks_fetched(indexrelid)
                       - pg_stat_get_blocks_hit(indexrelid)) AS tidx_blks_read,
                   sum(pg_stat_get_blocks_hit(indexrelid)) AS tidx_blks_hit
            FROM pg_index WHERE indrelid = toast
            HAVING place <= @most_rows@ AND toast <> 0) AS toast ON true
        WHERE relkind <> 'p')",
      .labels = {"datname", "schemaname", "relname"},
      .metrics = {{.name = "pg_statio_user_tables_heap_blocks_read",
                   .type = MetricType::Counter,
                   .help = "Blocks of the table read from disk.",
                   .column = "heap_blks_read"},
                  {.name = "pg_statio_user_tables_heap_blocks_hit",
                   .type = MetricType::Counter,
                   .help = "Blocks of the table found in the buffer cache.",
                   .column = "heap_blks_hit"},
                  {.name = "pg_statio_user_tables_idx_blocks_read",
                   .type = MetricType::Counter,
                   .help = "Blocks of its indexes read from disk.",
                   .column = "idx_blks_read"},
                  {.name = "pg_statio_user_tables_idx_blocks_hit",
                   .type = MetricType::Counter,
                   .help = "Blocks of its indexes found in the buffer cache.",
                   .column = "idx_blks_hit"},
                  {.name = "pg_statio_user_tables_toast_blocks_read",
                   .type = MetricType::Counter,
                   .help = "Blocks of its TOAST table read from disk.",
                   .column = "toast_blks_read"},
                  {.name = "pg_statio_user_tables_toast_blocks_hit",
                   .type = MetricType::Counter,
                   .help =
                       "Blocks of its TOAST table found in the buffer cache.",
                   .column = "toast_blks_hit"},
                  {.name = "pg_statio_user_tables_tidx_blocks_read",
                   .type = MetricType::Counter,
                   .help = "Blocks of its TOAST index read from disk.",
                   .column = "tidx_blks_read"},
                  {.name = "pg_statio_user_tables_tidx_blocks_hit",
                   .type = MetricType::Counter,
                   .help =
                       "Blocks of its TOAST index found in the buffer cache.",
                   .column = "tidx_blks_hit"}},
      .scope = Scope::kDatabase,
      .limit = {.rows = 1000, .rank = "pages"},
  };
}

}  // namespace meshhook::collectors
