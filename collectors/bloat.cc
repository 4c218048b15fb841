// SPDX-License-Identifier: MIT
// Bloat by arithmetic: what a table or B-tree takes beyond what its rows would
// take if packed anew. Nothing is read but the catalogue, of the greatest only.
//
// How wide a value is comes from its type, or from pg_stats where this role may
// SELECT the column; a relation with a column whose width is not known has no
// sample. It is an estimate and no better than the last analyze; pgstattuple
// has it measured.
#include "collectors/all.h"
#include "collectors/metric.h"

namespace meshhook::collectors {

Collector Bloat() {
  Metric bytes = Gauge("meshhook_bloat_bytes",
                       "What the table (its indexrelname is empty) or index "
                       "takes beyond what its rows need, estimated.",
                       "bytes");
  bytes.additive = true;
  return {
      .name = "bloat",
      .summary = "bloat of tables and indexes, estimated",
      .query = R"(
        WITH large AS MATERIALIZED (
            SELECT r.oid, r.relkind, c.oid AS tableid, nspname AS schemaname,
                   c.relname, CASE WHEN r.relkind = 'i' THEN r.relname ELSE ''
                              END AS indexrelname,
                   r.relpages, r.reltuples,
                   CASE WHEN r.relkind = 'i' THEN x.indkey::int2[] END AS keys,
                   coalesce(substring(array_to_string(r.reloptions, ',')
                                      FROM 'fillfactor=(\d+)')::int,
                            CASE WHEN r.relkind = 'i' THEN 90 ELSE 100 END)
                       / 100.0 AS fill
            FROM pg_class AS r
            LEFT JOIN pg_index AS x ON indexrelid = r.oid
            JOIN pg_class AS c ON c.oid = coalesce(indrelid, r.oid)
            JOIN pg_namespace AS n ON n.oid = c.relnamespace
            WHERE r.relkind IN ('r', 'm', 'i') AND c.relkind IN ('r', 'm')
              AND r.relpersistence <> 't' AND r.relpages > 10
              AND r.reltuples > 0
              AND (r.relkind <> 'i'
                   OR r.relam = (SELECT oid FROM pg_am WHERE amname = 'btree')
                      AND indexprs IS NULL)
              AND nspname NOT IN ('pg_catalog', 'information_schema')
              AND nspname !~ @excluded_schemas@
            ORDER BY r.relpages DESC LIMIT @most_rows@),
        widths AS (
            SELECT l.oid,
                   CASE WHEN count(*) = count(w.width) THEN sum(w.width) END
                       AS width,
                   count(*) AS columns, bool_or(NOT attnotnull) AS nullable
            FROM large AS l
            JOIN pg_attribute AS a
                ON a.attrelid = tableid AND attnum > 0
                   AND (keys IS NULL AND NOT attisdropped
                        OR attnum = ANY (keys)),
            LATERAL (SELECT CASE WHEN attlen > 0 THEN attlen ELSE
                         (SELECT avg_width FROM pg_stats AS s
                          WHERE s.schemaname = l.schemaname
                            AND s.tablename = l.relname
                            AND s.attname = a.attname AND NOT inherited)
                         END AS width) AS w
            GROUP BY l.oid),
        rows AS (
            SELECT l.*, current_setting('block_size')::int AS page,
                   CASE WHEN relkind = 'i' THEN 8 ELSE
                       23 + CASE WHEN nullable THEN ceil(columns / 8.0)
                            ELSE 0 END END AS header, width
            FROM large AS l JOIN widths USING (oid))
        SELECT current_database() AS datname, schemaname, relname,
               indexrelname, relpages,
               page::float8 * greatest(0, relpages - ceil(
                   reltuples * (4 + 8 * ceil(header / 8.0)
                                + 8 * ceil(width / 8.0))
                   / ((page - 24 - CASE WHEN relkind = 'i' THEN 16 ELSE 0 END)
                      * fill))) AS bytes
        FROM rows WHERE width IS NOT NULL)",
      .labels = {"datname", "schemaname", "relname", "indexrelname"},
      .metrics = {bytes},
      .scope = Scope::kDatabase,
      .limit = {.rows = 100, .rank = "relpages"},
      .interval = std::chrono::minutes(5),
  };
}

}  // namespace meshhook::collectors
