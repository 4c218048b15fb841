// SPDX-License-Identifier: MIT
// Block reads and cache hits of each table of this database.
#include "collectors/all.h"

namespace meshhook::collectors {

using prometheus::MetricType;

Collector StatioUserTables() {
  return {
      .name = "statio_user_tables",
      .summary = "block reads and cache hits of each table",
      .query = R"(
        SELECT current_database() AS datname, schemaname, relname,
               heap_blks_read, heap_blks_hit, idx_blks_read, idx_blks_hit,
               toast_blks_read, toast_blks_hit, tidx_blks_read, tidx_blks_hit
        FROM pg_statio_user_tables)",
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
  };
}

}  // namespace meshhook::collectors
