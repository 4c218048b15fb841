// SPDX-License-Identifier: MIT
// Parts of queries that collectors of tables and indexes share.
//
// Every function that gives a size locks the relation, and so waits behind an
// ACCESS EXCLUSIVE lock, which a plain refresh of a materialized view holds. A
// relation that is so locked, or about to be, is given the size that the
// catalogue has of it: `relpages`, as of the last vacuum, analyze or CREATE
// INDEX.
#pragma once

#include <string>

namespace meshhook::collectors {

// Relations of this database that must not be touched.
inline const std::string kLocked = R"(
        locked AS MATERIALIZED (
            SELECT relation FROM pg_locks
            WHERE locktype = 'relation' AND mode = 'AccessExclusiveLock'
              AND database = (SELECT oid FROM pg_database
                              WHERE datname = current_database())))";

// Tables and materialized views with their place, the greatest first: by the
// catalogue's pages with TOAST, so that no relation is opened. Where `place` is
// beyond @most_rows@ nothing dear is to be asked.
inline const std::string kTables = R"(
       (SELECT c.oid AS relid, nspname AS schemaname, c.relname, c.relkind,
               c.reltoastrelid AS toast, pages,
               row_number() OVER (ORDER BY pages DESC, nspname, c.relname)
                   AS place
        FROM pg_class AS c
        JOIN pg_namespace AS n ON n.oid = c.relnamespace
        LEFT JOIN pg_class AS t ON t.oid = c.reltoastrelid,
        LATERAL (SELECT greatest(c.relpages, 0) + coalesce(t.relpages, 0))
            AS p (pages)
        WHERE (c.relkind IN ('r', 'm') OR c.relkind = 'p'
               AND current_setting('server_version_num')::int >= 140000)
          AND c.relpersistence <> 't'
          AND nspname NOT IN ('pg_catalog', 'information_schema')
          AND nspname !~ @excluded_schemas@) AS tables)";

// Indexes of tables, the greatest first; behind kLocked.
inline const std::string kIndexes = R"(
        indexes AS MATERIALIZED (
            SELECT indexrelid, indrelid, nspname AS schemaname, c.relname,
                   i.relname AS indexrelname, i.relpages AS pages,
                   indexrelid IN (TABLE locked) AS locked,
                   row_number() OVER (ORDER BY i.relpages DESC, nspname,
                                      c.relname, i.relname) AS place
            FROM pg_index AS x
            JOIN pg_class AS i ON i.oid = indexrelid
            JOIN pg_class AS c ON c.oid = indrelid
            JOIN pg_namespace AS n ON n.oid = c.relnamespace
            WHERE c.relkind IN ('r', 'm') AND c.relpersistence <> 't'
              AND nspname NOT IN ('pg_catalog', 'information_schema')
              AND nspname !~ @excluded_schemas@))";

// What an operator should not or cannot change, for an alias `c` of pg_class:
// tables of the host (on Supabase its roles are named supabase_…), those of
// extensions, and our own. They have statistics, and no advice.
inline const std::string kNoAdvice = R"(
        (c.relowner IN (SELECT oid FROM pg_roles
                        WHERE rolname LIKE 'supabase\_%')
         OR c.relnamespace IN (SELECT relnamespace FROM pg_class
                               WHERE oid = to_regclass(
                                         'metrics.schema_migrations'))
         OR c.oid IN (SELECT objid FROM pg_depend
                      WHERE classid = 'pg_class'::regclass
                        AND deptype = 'e')))";

// Foreign keys whose columns are not the first of any index.
inline const std::string kUnindexedKeys = R"(
        unindexed AS MATERIALIZED (
            SELECT conname, conrelid, conkey, nspname AS schemaname, c.relname,
                   c.relkind, c.relpages, c.relnamespace
            FROM pg_constraint
            JOIN pg_class AS c ON c.oid = conrelid
            JOIN pg_namespace AS n ON n.oid = c.relnamespace
            WHERE contype = 'f' AND conparentid = 0
              AND nspname !~ @excluded_schemas@ AND NOT )" +
                                          kNoAdvice + R"(
              AND NOT EXISTS (
                  SELECT FROM pg_index
                  JOIN pg_class AS i ON i.oid = indexrelid
                  JOIN pg_am AS a ON a.oid = i.relam
                  WHERE indrelid = conrelid AND indisvalid
                    AND amname IN ('btree', 'hash')
                    AND indnkeyatts >= cardinality(conkey)
                    AND (indkey::int2[])[0:cardinality(conkey) - 1] @> conkey
                    AND (indpred IS NULL
                         OR substring(indpred::text FROM
                                '^\(?\{NULLTEST :arg \{VAR [^{}]*:varattno (\d+)'
                                ' [^{}]*\} :nulltesttype 1 [^{}]*\}\)?$')::int
                            = ANY (conkey)))))";

// Pages to bytes. None are unknown rather than nothing.
inline std::string Bytes(const std::string& pages) {
  return "nullif(" + pages +
         ", 0)::bigint * current_setting('block_size')::bigint";
}

}  // namespace meshhook::collectors
