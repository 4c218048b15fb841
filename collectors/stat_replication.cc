// SPDX-License-Identifier: MIT
// The standbys and other receivers of this server's WAL. Lag in seconds is
// what postgres_exporter lacks.
#include "collectors/all.h"
#include "collectors/metric.h"

namespace meshhook::collectors {

Collector StatReplication() {
  return {
      .name = "stat_replication",
      .summary = "who receives WAL, and how far behind",
      .query = R"(
        SELECT coalesce(r.application_name, '') AS application_name,
               r.client_addr::text AS client_addr, r.state, s.slot_name, r.pid,
               here.lsn - '0/0' AS current_lsn, here.lsn - r.replay_lsn AS behind,
               extract(epoch FROM r.write_lag) AS write_lag,
               extract(epoch FROM r.flush_lag) AS flush_lag,
               extract(epoch FROM r.replay_lag) AS replay_lag
        FROM pg_stat_replication AS r
        LEFT JOIN pg_replication_slots AS s ON s.active_pid = r.pid,
             (SELECT CASE WHEN pg_is_in_recovery() THEN pg_last_wal_receive_lsn()
                          ELSE pg_current_wal_lsn() END) AS here (lsn))",
      .labels = {"application_name", "client_addr", "state", "slot_name",
                 "pid"},
      .metrics =
          {Gauge("pg_stat_replication_pg_current_wal_lsn_bytes",
                 "WAL position of this server.", "current_lsn"),
           Gauge("pg_stat_replication_pg_wal_lsn_diff",
                 "Bytes of WAL that the receiver has still to replay.",
                 "behind"),
           Gauge("pg_stat_replication_write_lag_seconds",
                 "Time until recent WAL was written there; absent when idle.",
                 "write_lag"),
           Gauge("pg_stat_replication_flush_lag_seconds",
                 "Time until recent WAL was flushed there; absent when idle.",
                 "flush_lag"),
           Gauge("pg_stat_replication_replay_lag_seconds",
                 "Time until recent WAL was replayed there; absent when idle.",
                 "replay_lag")},
  };
}

}  // namespace meshhook::collectors
