// SPDX-License-Identifier: MIT
// Subscriptions of all databases and their workers, found by database and name
// as PostgreSQL 13 does not tell us their ids.
#include "collectors/all.h"
#include "collectors/metric.h"

namespace meshhook::collectors {

Collector Subscriptions() {
  return {
      .name = "subscriptions",
      .summary = "subscriptions and their workers",
      .query = R"(
        SELECT d.datname, s.subname AS subscription,
               CASE WHEN s.subenabled THEN count(w.pid) FILTER (WHERE main) > 0 END
                   AS up,
               count(w.pid) FILTER (WHERE w.relid IS NOT NULL) AS syncing,
               max(extract(epoch FROM clock_timestamp() - w.last_msg_receipt_time))
                   FILTER (WHERE main) AS silence,
               max(greatest(w.received_lsn - w.latest_end_lsn, 0))
                   FILTER (WHERE main) AS unconfirmed
        FROM pg_subscription AS s JOIN pg_database AS d ON d.oid = s.subdbid
        LEFT JOIN (SELECT w.*, a.datid, w.relid IS NULL
                          AND to_jsonb(w)->>'leader_pid' IS NULL AS main
                   FROM pg_stat_subscription AS w JOIN pg_stat_activity AS a USING (pid))
            AS w ON w.datid = s.subdbid AND w.subname = s.subname
        GROUP BY d.datname, s.subname, s.subenabled)",
      .labels = {"datname", "subscription"},
      .metrics =
          {Gauge("meshhook_subscription_up",
                 "Whether the worker of the subscription runs; absent where it "
                 "is disabled.",
                 "up"),
           Gauge("meshhook_subscription_sync_workers",
                 "Workers that copy a table.", "syncing"),
           Gauge("meshhook_subscription_silence_seconds",
                 "How long ago the publisher was last heard.", "silence"),
           Gauge("meshhook_subscription_unconfirmed_bytes",
                 "WAL received and not yet confirmed to the publisher.",
                 "unconfirmed")},
      .interval = std::chrono::seconds(30),
  };
}

}  // namespace meshhook::collectors
