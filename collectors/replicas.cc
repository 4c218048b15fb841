// SPDX-License-Identifier: MIT
// How far behind those are that receive WAL from this server. The server keeps
// a time only while WAL flows: who has it all is 0 behind, and of who has not,
// and has not answered yet, it is unknown. By slot, as the rest of a
// receiver's name is its own to choose; the worst of those without one.
#include "collectors/all.h"
#include "collectors/metric.h"

namespace meshhook::collectors {

Collector Replicas() {
  return {
      .name = "replicas",
      .summary = "receivers of WAL, and how far behind",
      .query = R"(
        SELECT coalesce(s.slot_name::text, '') AS slot_name, r.sync_state,
               count(*) AS connections,
               max(greatest(here.lsn - r.sent_lsn, 0)) AS sent_bytes,
               max(greatest(here.lsn - r.write_lsn, 0)) AS write_bytes,
               max(greatest(here.lsn - r.flush_lsn, 0)) AS flush_bytes,
               max(greatest(here.lsn - r.replay_lsn, 0)) AS replay_bytes,
               max(CASE WHEN r.write_lsn >= here.lsn THEN 0
                        ELSE extract(epoch FROM r.write_lag) END) AS write_lag,
               max(CASE WHEN r.flush_lsn >= here.lsn THEN 0
                        ELSE extract(epoch FROM r.flush_lag) END) AS flush_lag,
               max(CASE WHEN r.replay_lsn >= here.lsn THEN 0
                        ELSE extract(epoch FROM r.replay_lag) END) AS replay_lag,
               max(greatest(extract(epoch FROM clock_timestamp() - r.reply_time), 0))
                   AS reply_age
        FROM pg_stat_replication AS r
        LEFT JOIN pg_replication_slots AS s ON s.active_pid = r.pid,
             (SELECT CASE WHEN pg_is_in_recovery()
                          THEN coalesce(pg_last_wal_receive_lsn(),
                                        pg_last_wal_replay_lsn())
                          ELSE pg_current_wal_lsn() END) AS here (lsn)
        WHERE r.state <> 'backup'
        GROUP BY 1, 2)",
      .labels = {"slot_name", "sync_state"},
      .metrics =
          {Gauge("meshhook_replica_connections", "Receivers of WAL.",
                 "connections"),
           Gauge("meshhook_replica_sent_lag_bytes", "WAL not yet sent.",
                 "sent_bytes"),
           Gauge("meshhook_replica_write_lag_bytes",
                 "WAL that the receiver has not written.", "write_bytes"),
           Gauge("meshhook_replica_flush_lag_bytes",
                 "WAL that the receiver has not flushed.", "flush_bytes"),
           Gauge("meshhook_replica_replay_lag_bytes",
                 "WAL that the receiver has not replayed.", "replay_bytes"),
           Gauge("meshhook_replica_write_lag_seconds",
                 "Time until recent WAL was written there.", "write_lag"),
           Gauge("meshhook_replica_flush_lag_seconds",
                 "Time until recent WAL was flushed there.", "flush_lag"),
           Gauge("meshhook_replica_replay_lag_seconds",
                 "Time until recent WAL was replayed there.", "replay_lag"),
           Gauge("meshhook_replica_reply_age_seconds",
                 "How long ago the receiver last answered, by both clocks.",
                 "reply_age")},
  };
}

}  // namespace meshhook::collectors
