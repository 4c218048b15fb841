// SPDX-License-Identifier: MIT
// Long commands under way: what each is at, how much of it is done and how
// much there is. Vacuum has a collector of its own. What is counted starts
// anew with each phase. A relation of another database is its number, as its
// name stands there; a command without one has none.
#include "collectors/all.h"
#include "collectors/metric.h"

namespace meshhook::collectors {

namespace {

// Of all servers, then COPY, which PostgreSQL 13 does not report.
constexpr auto kCommands = R"(
    SELECT pid, datname, relid, lower(command) AS command, phase,
           blocks_total, blocks_done, tuples_total, tuples_done,
           NULL::bigint AS bytes_total, NULL::bigint AS bytes_done,
           lockers_total - lockers_done AS lockers
    FROM pg_stat_progress_create_index
    UNION ALL
    SELECT pid, datname, relid, 'analyze', phase, sample_blks_total,
           sample_blks_scanned, NULL, NULL, NULL, NULL, NULL
    FROM pg_stat_progress_analyze
    UNION ALL
    SELECT pid, datname, relid, lower(command), phase, heap_blks_total,
           heap_blks_scanned, NULL, heap_tuples_written, NULL, NULL, NULL
    FROM pg_stat_progress_cluster
    UNION ALL
    SELECT pid, NULL, 0, 'base backup', phase, NULL, NULL, NULL, NULL,
           backup_total, backup_streamed, NULL
    FROM pg_stat_progress_basebackup)";

constexpr auto kCopy = R"(
    UNION ALL
    SELECT pid, datname, relid, lower(command), 'copying', NULL, NULL, NULL,
           tuples_processed, bytes_total, bytes_processed, NULL
    FROM pg_stat_progress_copy)";

std::string ProgressQuery(const std::string& commands) {
  return R"(
        SELECT coalesce(c.datname::text, '') AS datname,
               coalesce(n.nspname::text, '') AS schemaname,
               coalesce(r.relname::text, nullif(c.relid, 0)::text, '') AS relname,
               c.command, c.phase,
               count(*) AS commands,
               max(extract(epoch FROM clock_timestamp() - a.query_start)) AS running,
               sum(blocks_done) AS blocks_done,
               nullif(sum(blocks_total), 0) AS blocks_total,
               sum(tuples_done) AS tuples_done,
               nullif(sum(tuples_total), 0) AS tuples_total,
               sum(bytes_done) AS bytes_done,
               nullif(sum(bytes_total), 0) AS bytes_total, sum(lockers) AS lockers
        FROM ()" +
         commands + R"() AS c
        LEFT JOIN pg_stat_activity AS a USING (pid)
        LEFT JOIN pg_class AS r ON r.oid = c.relid AND c.datname = current_database()
        LEFT JOIN pg_namespace AS n ON n.oid = r.relnamespace
        GROUP BY 1, 2, 3, 4, 5)";
}

}  // namespace

Collector Progress() {
  return {
      .name = "progress",
      .summary = "index builds, analyzes, rewrites, copies, base backups",
      .query = ProgressQuery(kCommands),
      .labels = {"datname", "schemaname", "relname", "command", "phase"},
      .metrics =
          {Gauge("meshhook_progress_commands", "Commands under way.",
                 "commands"),
           Gauge("meshhook_progress_running_seconds",
                 "How long the command has run.", "running"),
           Gauge("meshhook_progress_done_blocks",
                 "Blocks that are done in this phase.", "blocks_done"),
           Gauge("meshhook_progress_all_blocks",
                 "Blocks there are; absent where unknown.", "blocks_total"),
           Gauge("meshhook_progress_done_rows",
                 "Rows that are done in this phase.", "tuples_done"),
           Gauge("meshhook_progress_all_rows",
                 "Rows there are; absent where unknown.", "tuples_total"),
           Gauge("meshhook_progress_done_bytes", "Bytes that are done.",
                 "bytes_done"),
           Gauge("meshhook_progress_all_bytes",
                 "Bytes there are; absent where unknown.", "bytes_total"),
           Gauge("meshhook_progress_awaited_sessions",
                 "Sessions whose transactions a concurrent index build "
                 "waits for.",
                 "lockers")},
      .variants = {{140000, ProgressQuery(std::string(kCommands) + kCopy)}},
      .limit = {.rows = 50, .rank = "running"},
      .interval = std::chrono::seconds(30),
  };
}

}  // namespace meshhook::collectors
