// SPDX-License-Identifier: MIT
// Block reads and cache hits of each table, the greatest by the catalogue's
// pages.
#include "collectors/all.h"
#include "collectors/relations.h"

namespace meshhook::collectors {

using prometheus::MetricType;

Collector StatioUserTables() {
  return {
      .name = "statio_user_tables",
      .summary = "block reads and cache hits of each table",
      .query = "WITH " + kLocked + ", " + kTables + R"(
        SELECT current_database() AS datname, t.schemaname, t.relname,
               table_pages + index_pages AS pages,
               heap_blks_read, heap_blks_hit, idx_blks_read, idx_blks_hit,
               toast_blks_read, toast_blks_hit, tidx_blks_read, tidx_blks_hit
        FROM tables AS t
        LEFT JOIN (SELECT * FROM pg_statio_user_tables
                   WHERE relid = ANY (ARRAY(SELECT relid FROM tables
                                            WHERE place <= @most_rows@)))
            AS s USING (relid))",
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
