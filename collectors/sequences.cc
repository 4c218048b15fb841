// SPDX-License-Identifier: MIT
// How much of its values each sequence has used, up to its own end or that of
// the column it serves, whichever comes first.
//
// Reading a sequence takes SELECT on it, which pg_monitor does not bring: those
// that may not be read are counted. It also takes a lock, so one that is being
// altered is left out.
#include "collectors/all.h"
#include "collectors/metric.h"

namespace meshhook::collectors {

Collector Sequences() {
  return {
      .name = "sequences",
      .summary = "sequences that run out of values",
      .query = R"(
        WITH locked AS MATERIALIZED (
            SELECT relation FROM pg_locks
            WHERE locktype = 'relation'
              AND mode IN ('ShareLock', 'ShareRowExclusiveLock',
                           'ExclusiveLock', 'AccessExclusiveLock')
              AND database = (SELECT oid FROM pg_database
                              WHERE datname = current_database())),
        limits AS MATERIALIZED (
            SELECT seqrelid, nspname, s.relname, seqincrement > 0 AS rises,
                   has_sequence_privilege(seqrelid, 'USAGE, SELECT')
                       AS readable,
                   greatest(seqmin, CASE atttypid WHEN 'int2'::regtype THEN
                       -32768 WHEN 'int4'::regtype THEN -2147483648 END)
                       ::numeric AS low,
                   least(seqmax, CASE atttypid WHEN 'int2'::regtype THEN 32767
                       WHEN 'int4'::regtype THEN 2147483647 END)
                       ::numeric AS high
            FROM pg_sequence
            JOIN pg_class AS s ON s.oid = seqrelid
            JOIN pg_namespace AS n ON n.oid = s.relnamespace
            LEFT JOIN pg_depend AS d
                ON d.classid = 'pg_class'::regclass AND d.objid = seqrelid
                   AND d.refclassid = 'pg_class'::regclass
                   AND d.refobjsubid > 0 AND d.deptype IN ('a', 'i')
            LEFT JOIN pg_attribute AS a
                ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
            WHERE NOT seqcycle
              AND (relpersistence = 'p'
                   OR relpersistence = 'u' AND NOT pg_is_in_recovery())
              AND nspname NOT IN ('pg_catalog', 'information_schema')
              AND nspname !~ @excluded_schemas@),
        used AS (
            SELECT nspname, relname, rises, low, high,
                   CASE WHEN readable AND seqrelid NOT IN (TABLE locked)
                        THEN pg_sequence_last_value(seqrelid) END AS last
            FROM limits)
        SELECT current_database() AS datname, nspname AS schemaname,
               relname AS sequencename,
               (CASE WHEN rises THEN last - low ELSE high - last END
                / nullif(high - low, 0))::float8 AS ratio,
               (CASE WHEN rises THEN last - low ELSE high - last END
                / nullif(high - low, 0))::float8 AS rank,
               NULL::bigint AS unreadable
        FROM used WHERE last IS NOT NULL
        UNION ALL
        SELECT current_database(), NULL, NULL, NULL, 'infinity', count(*)
        FROM limits WHERE NOT readable)",
      .labels = {"datname", "schemaname", "sequencename"},
      .metrics = {Gauge("meshhook_sequence_used_ratio",
                        "Share of the sequence's values that are used, up to "
                        "its end or that of the column's type.",
                        "ratio"),
                  By({"datname"},
                     Gauge("meshhook_unreadable_sequences",
                           "Sequences that this role may not SELECT.",
                           "unreadable"))},
      .scope = Scope::kDatabase,
      .limit = {.rows = 50, .rank = "rank"},
      .interval = std::chrono::minutes(1),
  };
}

}  // namespace meshhook::collectors
