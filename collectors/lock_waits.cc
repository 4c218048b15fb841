// SPDX-License-Identifier: MIT
// Locks that are held and locks that are awaited, with those on objects that
// all databases share. Both are missing from pg_locks_count.
#include "collectors/all.h"
#include "collectors/metric.h"

namespace meshhook::collectors {

Collector LockWaits() {
  return {
      .name = "lock_waits",
      .summary = "locks held and awaited, by type and mode",
      .query = R"(
        SELECT coalesce(d.datname::text, '') AS datname, l.locktype,
               lower(l.mode) AS mode, sum(l.held) AS held, sum(l.awaited) AS awaited
        FROM (SELECT coalesce(l.database, a.datid) AS database, l.locktype, l.mode,
                     count(*) FILTER (WHERE l.granted) AS held,
                     count(*) FILTER (WHERE NOT l.granted) AS awaited
              FROM pg_lock_status() AS l LEFT JOIN pg_stat_get_activity(NULL) AS a USING (pid)
              WHERE l.pid IS DISTINCT FROM pg_backend_pid()
              GROUP BY 1, 2, 3) AS l
        LEFT JOIN pg_database AS d ON d.oid = l.database
        GROUP BY 1, 2, 3)",
      .labels = {"datname", "locktype", "mode"},
      .metrics = {Gauge("meshhook_held_locks",
                        "Locks that are held, by the database of the object or "
                        "else of the session; none for shared objects.",
                        "held"),
                  Gauge("meshhook_awaited_locks",
                        "Locks that sessions wait for, likewise.", "awaited")},
  };
}

}  // namespace meshhook::collectors
