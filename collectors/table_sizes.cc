// SPDX-License-Identifier: MIT
// Size of each table, of those that stat_user_tables has. Sizes never wait, see
// relations.h, and those of tables that are cut are the catalogue's: each call
// of a size function looks at the files of the table and of all its indexes,
// which is dear, and sizes change slowly.
#include "collectors/all.h"
#include "collectors/relations.h"

namespace meshhook::collectors {

using prometheus::MetricType;

Collector TableSizes() {
  return {
      .name = "table_sizes",
      .summary = "size of each table and of its indexes",
      .query = "WITH " + kLocked + R"(,
        parts AS MATERIALIZED (
            SELECT indrelid, sum(relpages) AS pages,
                   bool_or(indexrelid IN (TABLE locked)) AS locked
            FROM pg_index JOIN pg_class AS c ON c.oid = indexrelid
            GROUP BY indrelid)
        SELECT current_database() AS datname, schemaname, relname,
               tables.pages,
               CASE WHEN place <= @most_rows@ AND NOT table_locked
                         AND NOT coalesce(x.locked, false)
                    THEN pg_indexes_size(relid)
                    ELSE )" +
               Bytes("x.pages") + R"( END AS index_size,
               CASE WHEN place <= @most_rows@ AND NOT table_locked
                         AND NOT coalesce(toast IN (TABLE locked) OR tx.locked,
                                          false)
                    THEN pg_table_size(relid)
                    ELSE )" +
               Bytes("(tables.pages + coalesce(tx.pages, 0))") +
               R"( END AS table_size
        FROM )" +
               kTables + R"(
        LEFT JOIN parts AS x ON x.indrelid = relid
        LEFT JOIN parts AS tx ON tx.indrelid = toast,
        LATERAL (SELECT relid IN (TABLE locked)) AS l (table_locked))",
      .labels = {"datname", "schemaname", "relname"},
      .metrics = {{.name = "pg_stat_user_tables_index_size_bytes",
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
      .interval = std::chrono::minutes(1),
  };
}

}  // namespace meshhook::collectors
