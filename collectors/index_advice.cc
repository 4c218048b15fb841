// SPDX-License-Identifier: MIT
// Indexes that cost and do not help: never used, the same as another, a prefix
// of another, or invalid. The greatest by name, all of them counted.
//
// Those that keep a constraint, that are unique or that tell replication its
// rows are never called unused. A partitioned index counts as one, with its
// parts. Expressions and predicates are compared without where they stood in
// the statement, as pg_get_expr() would wait for a locked table.
#include "collectors/all.h"
#include "collectors/metric.h"
#include "collectors/relations.h"

namespace meshhook::collectors {

Collector IndexAdvice() {
  Metric bytes = Gauge("meshhook_index_advice_bytes",
                       "What dropping the index would free, or rebuilding it "
                       "if it is invalid.",
                       "bytes");
  bytes.additive = true;
  return {
      .name = "index_advice",
      .summary = "indexes that are unused, duplicate, redundant or invalid",
      .query = "WITH RECURSIVE " + kLocked + R"(,
        known AS MATERIALIZED (
            SELECT extract(epoch FROM now() - greatest(d.stats_reset,
                                                       b.stats_reset)) AS age
            FROM pg_stat_database AS d, pg_stat_bgwriter AS b
            WHERE d.datname = current_database()),
        family AS (
            SELECT indexrelid AS root, indexrelid AS part
            FROM pg_index JOIN pg_class AS i ON i.oid = indexrelid
            WHERE relkind = 'I' AND NOT relispartition
            UNION ALL
            SELECT root, inhrelid FROM family
            JOIN pg_inherits ON inhparent = part),
        families AS MATERIALIZED (
            SELECT root, sum(pg_stat_get_numscans(part)) AS scans,
                   sum(relpages) AS pages
            FROM family JOIN pg_class AS i ON i.oid = part GROUP BY root),
        indexes AS MATERIALIZED (
            SELECT indexrelid, indrelid, nspname AS schemaname, c.relname,
                   i.relname AS indexrelname, i.relkind, i.relam, indisvalid,
                   indisunique, indnatts, indnkeyatts,
                   indisreplident OR indexrelid IN (
                       SELECT conindid FROM pg_constraint) AS needed,
                   coalesce(scans, pg_stat_get_numscans(indexrelid)) AS scans,
                   coalesce(f.pages, i.relpages) AS pages,
                   indkey::text || ' ' AS keys, indclass::text || ' ' AS classes,
                   indcollation::text || ' ' AS collations,
                   indoption::text || ' ' AS options,
                   coalesce(regexp_replace(indexprs::text,
                                           ':location -?\d+', '', 'g'), '')
                       AS expressions,
                   coalesce(regexp_replace(indpred::text,
                                           ':location -?\d+', '', 'g'), '')
                       AS predicate,
                   CASE WHEN indisunique
                        THEN to_jsonb(x) ->> 'indnullsnotdistinct' END
                       AS nulls_equal
            FROM pg_index AS x
            JOIN pg_class AS i ON i.oid = indexrelid
            JOIN pg_class AS c ON c.oid = indrelid
            JOIN pg_namespace AS n ON n.oid = c.relnamespace
            LEFT JOIN families AS f ON root = indexrelid
            WHERE c.relkind IN ('r', 'm', 'p') AND NOT i.relispartition
              AND c.relpersistence <> 't'
              AND nspname NOT IN ('pg_catalog', 'information_schema')
              AND nspname !~ @excluded_schemas@ AND NOT )" +
               kNoAdvice + R"(),
        advice AS MATERIALIZED (
            SELECT i.*, 'unused' AS advice, '' AS covered_by
            FROM indexes AS i, known
            WHERE scans = 0 AND NOT indisunique AND NOT needed AND indisvalid
              AND known.age >= @unused_after_seconds@::float8
            UNION ALL
            SELECT i.*, 'invalid', '' FROM indexes AS i
            WHERE NOT indisvalid AND indexrelid NOT IN (
                SELECT index_relid FROM pg_stat_progress_create_index
                WHERE datname = current_database())
            UNION ALL
            (SELECT DISTINCT ON (i.indexrelid) i.*,
                    CASE WHEN i.keys = o.keys AND i.indnatts = o.indnatts
                         THEN 'duplicate' ELSE 'redundant' END AS advice,
                    o.indexrelname
             FROM indexes AS i JOIN indexes AS o USING (indrelid, relam)
             WHERE i.indexrelid <> o.indexrelid AND NOT i.needed
               AND i.indisvalid AND o.indisvalid AND i.predicate = o.predicate
               AND CASE WHEN i.keys = o.keys THEN
                       i.indnkeyatts = o.indnkeyatts
                       AND i.classes = o.classes AND i.options = o.options
                       AND i.collations = o.collations
                       AND i.expressions = o.expressions
                       AND (NOT i.indisunique OR o.indisunique
                            AND i.nulls_equal IS NOT DISTINCT FROM o.nulls_equal)
                       AND (o.needed::int, o.indisunique::int,
                            -o.indexrelid::bigint)
                           > (0, i.indisunique::int, -i.indexrelid::bigint)
                   ELSE NOT i.indisunique AND i.expressions = ''
                       AND i.indnatts = i.indnkeyatts
                       AND i.indnkeyatts <= o.indnkeyatts
                       AND relam = (SELECT oid FROM pg_am
                                    WHERE amname = 'btree')
                       AND starts_with(o.keys, i.keys)
                       AND starts_with(o.classes, i.classes)
                       AND starts_with(o.options, i.options)
                       AND starts_with(o.collations, i.collations) END
             ORDER BY i.indexrelid, advice, o.indexrelid)),
        sized AS MATERIALIZED (
            SELECT schemaname, relname, indexrelname, advice, covered_by,
                   CASE WHEN relkind = 'i' AND place <= @most_rows@
                             AND indexrelid NOT IN (TABLE locked)
                        THEN pg_relation_size(indexrelid)
                        ELSE )" +
               Bytes("pages") + R"( END AS bytes
            FROM (SELECT *, row_number() OVER (ORDER BY pages DESC) AS place
                  FROM advice) AS a)
        SELECT current_database() AS datname, schemaname, relname,
               indexrelname, advice, covered_by, bytes::float8 AS bytes,
               bytes::float8 AS rank, NULL::bigint AS found,
               NULL::float8 AS found_bytes, NULL::float8 AS age
        FROM sized
        UNION ALL
        SELECT current_database(), NULL, NULL, NULL, a.advice, NULL, NULL,
               'infinity', count(s.advice),
               CASE WHEN count(s.advice) = 0 THEN 0
                    ELSE sum(bytes)::float8 END, NULL
        FROM (VALUES ('unused'), ('duplicate'), ('redundant'), ('invalid'))
             AS a (advice) LEFT JOIN sized AS s USING (advice)
        GROUP BY a.advice
        UNION ALL
        SELECT current_database(), NULL, NULL, NULL, NULL, NULL, NULL,
               'infinity', NULL, NULL, age FROM known)",
      .labels = {"datname", "schemaname", "relname", "indexrelname", "advice",
                 "covered_by"},
      .metrics =
          {bytes,
           By({"datname", "advice"},
              Gauge("meshhook_index_advice_indexes",
                    "Indexes that are unused on this server, the same as "
                    "another, a prefix of another, or invalid.",
                    "found")),
           By({"datname", "advice"},
              Gauge("meshhook_index_advice_all_bytes",
                    "Size of all those indexes.", "found_bytes")),
           By({"datname"},
              Gauge("meshhook_index_statistics_age_seconds",
                    "How long the use of indexes has been counted.", "age"))},
      .scope = Scope::kDatabase,
      .limit = {.rows = 100, .rank = "rank"},
      .settings = {{"unused_after_seconds", "604800",
                    "How long use must have been counted before an index "
                    "counts as unused."}},
      .interval = std::chrono::minutes(5),
  };
}

}  // namespace meshhook::collectors
