// SPDX-License-Identifier: MIT
// Who waits for whom. A root holds others up and waits for nobody, so it is
// the one to look at. pg_blocking_pids() stops the lock manager for a moment
// each time, so it is asked of the 100 sessions that have waited longest. A
// longest path counts a queue too: the last in it waits for all before it.
#include "collectors/all.h"
#include "collectors/metric.h"

namespace meshhook::collectors {

Collector Blocking() {
  return {
      .name = "blocking",
      .summary = "sessions that wait for locks, and who holds them up",
      .query = R"(
        WITH RECURSIVE waiting AS MATERIALIZED (
            SELECT pid, coalesce(datid, 0) AS datid, query_start
            FROM pg_stat_get_activity(NULL) WHERE wait_event_type = 'Lock'),
        waits AS (  -- before PostgreSQL 14 nothing says when a wait began
            SELECT w.datid, extract(epoch FROM clock_timestamp()
                - CASE WHEN current_setting('server_version_num')::int < 140000
                       THEN w.query_start
                       ELSE (to_jsonb(l)->>'waitstart')::timestamptz END) AS waited
            FROM waiting AS w
            LEFT JOIN pg_lock_status() AS l
                ON l.pid = w.pid AND NOT l.granted AND EXISTS (SELECT FROM waiting)),
        edges AS MATERIALIZED (
            SELECT DISTINCT pid, unnest(pg_blocking_pids(pid)) AS blocker
            FROM (SELECT pid FROM waiting ORDER BY query_start LIMIT 100)
                 AS longest),
        roots AS (
            SELECT DISTINCT blocker FROM edges
            WHERE blocker NOT IN (SELECT pid FROM waiting)),
        chain (pid, depth) AS (
            SELECT blocker, 0 FROM roots
            UNION
            SELECT e.pid, c.depth + 1 FROM chain AS c JOIN edges AS e ON e.blocker = c.pid
            WHERE c.depth < 50)  -- a deadlock has no end
        SELECT d.datname, NULL AS state, count(w.datid) AS blocked,
               coalesce(max(w.waited), 0) AS longest, NULL::bigint AS roots,
               NULL::int AS depth
        FROM (SELECT oid, datname::text FROM pg_database WHERE datallowconn
              UNION ALL SELECT 0, '') AS d
        LEFT JOIN waits AS w ON w.datid = d.oid
        GROUP BY d.datname
        UNION ALL
        SELECT coalesce(d.datname::text, ''),
               CASE WHEN r.blocker = 0 THEN 'prepared transaction'
                    WHEN a.state LIKE 'idle in transaction%' THEN 'idle in transaction'
                    ELSE 'active' END AS state, NULL, NULL, count(*), NULL
        FROM roots AS r
        LEFT JOIN pg_stat_get_activity(NULL) AS a ON a.pid = r.blocker
        LEFT JOIN pg_database AS d ON d.oid = a.datid
        GROUP BY 1, 2
        UNION ALL
        SELECT NULL, NULL, NULL, NULL, NULL, coalesce(max(depth), 0) FROM chain)",
      .labels = {"datname"},
      .metrics = {Gauge("meshhook_blocked_sessions",
                        "Sessions that wait for a lock; without a database "
                        "those of the server itself.",
                        "blocked"),
                  Gauge("meshhook_lock_wait_longest_seconds",
                        "How long the longest of them has waited; before "
                        "PostgreSQL 14 since its statement began.",
                        "longest"),
                  By({"datname", "state"},
                     Gauge("meshhook_root_blocker_sessions",
                           "Sessions that hold others up and wait for nobody, "
                           "by what they do.",
                           "roots")),
                  By({}, Gauge("meshhook_blocking_chain_depth",
                               "Sessions that wait one for another, in the "
                               "longest chain; 50 at most.",
                               "depth"))},
  };
}

}  // namespace meshhook::collectors
