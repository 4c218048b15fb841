// SPDX-License-Identifier: MIT
// Bloat measured by the extension pgstattuple, in the greatest tables and
// B-trees that are not beyond a size. It reads them: a table's pages that are
// not all visible, and an index whole. That is dear, so it is off unless asked
// for.
#include "collectors/all.h"
#include "collectors/metric.h"
#include "collectors/relations.h"

namespace meshhook::collectors {

Collector Pgstattuple() {
  return {
      .name = "pgstattuple",
      .summary = "bloat of tables and indexes, measured",
      .query = "WITH " + kLocked + R"(,
        large AS MATERIALIZED (
            SELECT r.oid, r.relkind, nspname, c.relname, r.relpages,
                   CASE WHEN r.relkind = 'i' THEN r.relname ELSE '' END
                       AS indexrelname
            FROM pg_class AS r
            LEFT JOIN pg_index AS x ON indexrelid = r.oid
            JOIN pg_class AS c ON c.oid = coalesce(indrelid, r.oid)
            JOIN pg_namespace AS n ON n.oid = c.relnamespace
            JOIN pg_am AS a ON a.oid = r.relam
            WHERE (r.relkind IN ('r', 'm') AND amname = 'heap'
                   OR r.relkind = 'i' AND amname = 'btree' AND indisvalid)
              AND c.relkind IN ('r', 'm') AND r.relpersistence = 'p'
              AND r.relpages > 10
              AND r.relpages::bigint * current_setting('block_size')::int
                  <= @max_bytes@::numeric
              AND nspname NOT IN ('pg_catalog', 'information_schema')
              AND nspname !~ @excluded_schemas@
              AND r.oid NOT IN (TABLE locked)
            ORDER BY r.relpages DESC LIMIT @most_rows@)
        SELECT current_database() AS datname, nspname AS schemaname, relname,
               indexrelname, relpages, dead_tuple_len, approx_free_space,
               leaf / 100 AS density
        FROM large
        CROSS JOIN LATERAL @extschema@.pgstattuple_approx(
            CASE WHEN relkind <> 'i' THEN oid::regclass END)
        CROSS JOIN LATERAL (
            SELECT nullif(avg_leaf_density, 'NaN') AS leaf
            FROM @extschema@.pgstatindex(
                CASE WHEN relkind = 'i' THEN oid::regclass END)) AS i)",
      .labels = {"datname", "schemaname", "relname", "indexrelname"},
      .metrics = {Gauge("meshhook_table_dead_rows_bytes",
                        "Size of the table's dead rows, measured.",
                        "dead_tuple_len"),
                  Gauge("meshhook_table_free_space_bytes",
                        "Free space within the table, measured.",
                        "approx_free_space"),
                  Gauge("meshhook_index_leaf_density_ratio",
                        "How full the index's leaf pages are, measured; 0.9 "
                        "when new.",
                        "density")},
      .extension = "pgstattuple",
      .needs = {"EXISTS (SELECT FROM pg_extension "
                "WHERE extname = 'pgstattuple')",
                "extension pgstattuple is not installed"},
      .scope = Scope::kDatabase,
      .limit = {.rows = 20, .rank = "relpages"},
      .settings = {{"max_bytes", "1073741824",
                    "Tables and indexes greater than this are not read."}},
      .interval = std::chrono::minutes(15),
      .on = false,
  };
}

}  // namespace meshhook::collectors
