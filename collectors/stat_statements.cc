// SPDX-License-Identifier: MIT
// The 100 statements that took the most time. Rows that differ only by being
// called at top level or from a function are summed.
//
// The view is read once. An update of the server leaves the extension at its
// old version, so columns are taken as they are there: what the inner query
// does not find in the view it finds, NULL, in `absent`.
//
// A counter for all other statements would fall whenever one of them gets
// series of its own, hence the gauges of what the view holds: with their row
// `other` they add up to all of it.
#include "collectors/all.h"
#include "collectors/metric.h"

namespace meshhook::collectors {
namespace {

// The server normalises texts, save those of utility statements, which may hold
// passwords, and some that it forgot meanwhile: only texts of these kinds are
// shown, and none with a literal string; comments are left out. A query id of
// several users or databases is shown once.
constexpr auto kQuery = R"(
    SELECT *, CASE WHEN query IS NOT NULL AND 1 = row_number() OVER (
                       PARTITION BY queryid, query IS NULL
                       ORDER BY seconds DESC, "user", datname)
                   THEN 1 END AS query_id
    FROM (
        SELECT pg_get_userbyid(userid) AS "user", datname, queryid,
               sum(calls) AS calls, sum(total_exec_time) / 1000 AS seconds,
               sum(rows) AS rows, sum(read_time) / 1000 AS read_seconds,
               sum(write_time) / 1000 AS write_seconds, sum(plans) AS plans,
               sum(total_plan_time) / 1000 AS plan_seconds,
               sum(wal_records) AS wal_records, sum(wal_fpi) AS wal_fpi,
               sum(wal_bytes) AS wal_bytes,
               sum(shared_blks_hit) * block AS hit_bytes,
               sum(shared_blks_read) * block AS read_bytes,
               sum(shared_blks_dirtied) * block AS dirtied_bytes,
               sum(shared_blks_written) * block AS written_bytes,
               sum(temp_blks_read) * block AS temp_read_bytes,
               sum(temp_blks_written) * block AS temp_written_bytes,
               sum(jit_time) / 1000 AS jit_seconds, min(query) AS query
        FROM (SELECT NULL::float8 AS blk_read_time,
                     NULL::float8 AS blk_write_time,
                     NULL::float8 AS shared_blk_read_time,
                     NULL::float8 AS shared_blk_write_time,
                     NULL::float8 AS local_blk_read_time,
                     NULL::float8 AS local_blk_write_time,
                     NULL::float8 AS jit_generation_time,
                     NULL::float8 AS jit_inlining_time,
                     NULL::float8 AS jit_optimization_time,
                     NULL::float8 AS jit_emission_time,
                     current_setting('block_size')::bigint AS block) AS absent
        CROSS JOIN LATERAL (
            SELECT userid, dbid, queryid, calls, rows, total_exec_time, plans,
                   total_plan_time, wal_records, wal_fpi, wal_bytes,
                   shared_blks_hit, shared_blks_read, shared_blks_dirtied,
                   shared_blks_written, temp_blks_read, temp_blks_written,
                   coalesce(blk_read_time, shared_blk_read_time
                            + local_blk_read_time) AS read_time,
                   coalesce(blk_write_time, shared_blk_write_time
                            + local_blk_write_time) AS write_time,
                   jit_generation_time + jit_inlining_time
                   + jit_optimization_time + jit_emission_time AS jit_time,
                   left(bare, @query_length@::int) AS query
            FROM @extschema@.pg_stat_statements(@include_query@::boolean)
            LEFT JOIN LATERAL (
                SELECT btrim(regexp_replace(regexp_replace(
                           left(query, 10 * @query_length@::int),
                           '/\*.*?(\*/|$)', ' ', 'g'),
                           '(\s|--[^\n]*)+', ' ', 'g'))
                WHERE strpos(query, '''') = 0 OFFSET 0) AS q (bare)
                ON bare !~ '\$\D|\*/' AND bare ~*
                   '^[( ]*(select|insert|update|delete|merge|with)\M') AS s
        JOIN pg_database AS d ON d.oid = dbid
        WHERE queryid IS NOT NULL
          AND datname <> ALL (
              regexp_split_to_array(@exclude_databases@, '\s*,\s*'))
          AND pg_get_userbyid(userid) <> ALL (
              regexp_split_to_array(@exclude_users@, '\s*,\s*'))
        GROUP BY userid, datname, queryid, block) AS statements)";

}  // namespace

Collector StatStatements() {
  const auto held = [](const std::string& what, const std::string& help) {
    Metric metric = Gauge("meshhook_statements_held_" + what, help, what);
    metric.additive = true;
    return metric;
  };
  const auto of_each = [](const std::string& what, const std::string& help,
                          const std::string& column) {
    return Counter("meshhook_statement_" + what + "_total", help, column);
  };
  return {
      .name = "stat_statements",
      .summary = "the statements that took the most time",
      .query = kQuery,
      .labels = {"user", "datname", "queryid"},
      .metrics =
          {Counter("pg_stat_statements_calls_total",
                   "Times the statement was executed.", "calls"),
           Counter("pg_stat_statements_seconds_total",
                   "Time spent executing it.", "seconds"),
           Counter("pg_stat_statements_rows_total",
                   "Rows it retrieved or affected.", "rows"),
           Counter("pg_stat_statements_block_read_seconds_total",
                   "Time it spent reading blocks.", "read_seconds"),
           Counter("pg_stat_statements_block_write_seconds_total",
                   "Time it spent writing blocks.", "write_seconds"),
           By({"queryid", "query"},
              Counter("pg_stat_statements_query_id",
                      "The statement's text, of one user and database; only "
                      "with include_query.",
                      "query_id")),
           held("calls",
                "Calls that pg_stat_statements knows of; `other` are those of "
                "all other statements."),
           held("seconds",
                "Time executing that pg_stat_statements knows of; `other` is "
                "that of all other statements."),
           of_each("plans", "Times it was planned; 0 without track_planning.",
                   "plans"),
           of_each("plan_seconds", "Time spent planning it.", "plan_seconds"),
           of_each("wal_records", "WAL records it wrote.", "wal_records"),
           of_each("wal_full_page_images", "Whole pages it wrote to WAL.",
                   "wal_fpi"),
           of_each("wal_bytes", "WAL it wrote.", "wal_bytes"),
           of_each("shared_hit_bytes", "Blocks it found in shared buffers.",
                   "hit_bytes"),
           of_each("shared_read_bytes", "Blocks it read into shared buffers.",
                   "read_bytes"),
           of_each("shared_dirtied_bytes", "Shared blocks it changed first.",
                   "dirtied_bytes"),
           of_each("shared_written_bytes",
                   "Shared blocks it had to write out itself.",
                   "written_bytes"),
           of_each("temp_read_bytes", "Blocks it read of temporary files.",
                   "temp_read_bytes"),
           of_each("temp_written_bytes", "Blocks it wrote to temporary files.",
                   "temp_written_bytes"),
           of_each("jit_seconds",
                   "Time spent compiling it; version 1.10 of the extension "
                   "and newer.",
                   "jit_seconds")},
      .extension = "pg_stat_statements",
      .limit = {.rows = 100, .rank = "seconds"},
      .settings = {{"exclude_databases", "",
                    "databases to leave out, with commas"},
                   {"exclude_users", "", "users to leave out, with commas"},
                   {"include_query", "false",
                    "whether to publish texts, without literals or utility "
                    "statements"},
                   {"query_length", "120", "most characters of a text"}},
      .interval = std::chrono::seconds(30),
  };
}

}  // namespace meshhook::collectors
