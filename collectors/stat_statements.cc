// SPDX-License-Identifier: MIT
// The 100 statements that took the most time, without their text. Rows that
// differ only by being called at top level or from a function are summed.
#include "collectors/all.h"

namespace meshhook::collectors {

using prometheus::MetricType;

Collector StatStatements() {
  return {
      .name = "stat_statements",
      .summary = "the statements that took the most time",
      .query = R"(
        SELECT pg_get_userbyid(userid) AS "user", datname, queryid,
               sum(calls) AS calls, sum(total_exec_time) / 1000 AS seconds,
               sum(rows) AS rows,
               sum(blk_read_time) / 1000 AS read_seconds,
               sum(blk_write_time) / 1000 AS write_seconds
        FROM @extschema@.pg_stat_statements(false)
        JOIN pg_database AS d ON d.oid = dbid
        WHERE queryid IS NOT NULL
        GROUP BY userid, datname, queryid
        ORDER BY seconds DESC
        LIMIT 100)",
      .labels = {"user", "datname", "queryid"},
      .metrics = {{.name = "pg_stat_statements_calls_total",
                   .type = MetricType::Counter,
                   .help = "Times the statement was executed.",
                   .column = "calls"},
                  {.name = "pg_stat_statements_seconds_total",
                   .type = MetricType::Counter,
                   .help = "Time spent executing it.",
                   .column = "seconds"},
                  {.name = "pg_stat_statements_rows_total",
                   .type = MetricType::Counter,
                   .help = "Rows it retrieved or affected.",
                   .column = "rows"},
                  {.name = "pg_stat_statements_block_read_seconds_total",
                   .type = MetricType::Counter,
                   .help = "Time it spent reading blocks.",
                   .column = "read_seconds"},
                  {.name = "pg_stat_statements_block_write_seconds_total",
                   .type = MetricType::Counter,
                   .help = "Time it spent writing blocks.",
                   .column = "write_seconds"}},
      .variants = {{170000, R"(
        SELECT pg_get_userbyid(userid) AS "user", datname, queryid,
               sum(calls) AS calls, sum(total_exec_time) / 1000 AS seconds,
               sum(rows) AS rows,
               sum(shared_blk_read_time + local_blk_read_time) / 1000 AS read_seconds,
               sum(shared_blk_write_time + local_blk_write_time) / 1000 AS write_seconds
        FROM @extschema@.pg_stat_statements(false)
        JOIN pg_database AS d ON d.oid = dbid
        WHERE queryid IS NOT NULL
        GROUP BY userid, datname, queryid
        ORDER BY seconds DESC
        LIMIT 100)"}},
      .extension = "pg_stat_statements",
  };
}

}  // namespace meshhook::collectors
