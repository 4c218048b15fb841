// SPDX-License-Identifier: MIT
// Whether this server is a standby, and how far it replays behind.
#include "collectors/all.h"
#include "collectors/metric.h"

namespace meshhook::collectors {

Collector Replication() {
  return {
      .name = "replication",
      .summary = "standby or not, and how far behind",
      .query = R"(
        SELECT pg_is_in_recovery() AS is_replica,
               CASE WHEN NOT pg_is_in_recovery()
                         OR pg_last_wal_receive_lsn() = pg_last_wal_replay_lsn()
                    THEN 0
                    ELSE greatest(0, extract(epoch FROM
                        now() - pg_last_xact_replay_timestamp())) END AS lag,
               greatest(0, extract(epoch FROM
                   now() - pg_last_xact_replay_timestamp())) AS last_replay)",
      .labels = {},
      .metrics = {Gauge("pg_replication_lag_seconds",
                        "How far a standby replays behind; 0 on a primary.",
                        "lag"),
                  Gauge("pg_replication_is_replica",
                        "Whether the server is a standby.", "is_replica"),
                  Gauge("pg_replication_last_replay_seconds",
                        "Age of the last transaction that was replayed.",
                        "last_replay")},
  };
}

}  // namespace meshhook::collectors
