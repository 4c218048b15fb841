// SPDX-License-Identifier: MIT
// How far behind a standby is, as it sees it itself; nothing on a primary. It
// is 0 behind when it has replayed all it received and still hears from its
// primary: the receiver asks for a sign after half of wal_receiver_timeout.
// With the link cut nobody knows what it has missed, so it is as old as the
// last that it replayed.
#include "collectors/all.h"
#include "collectors/metric.h"

namespace meshhook::collectors {

Collector Standby() {
  return {
      .name = "standby",
      .summary = "how far a standby is behind",
      .query = R"(
        SELECT CASE WHEN replayed < received OR NOT streaming THEN replay_age
                    WHEN limit_ms > 0 AND silence > limit_ms * 0.0006 THEN silence
                    ELSE 0 END AS lag,
               greatest(received - replayed, 0) AS behind, streaming, silence, paused,
               replay_age
        FROM (SELECT pg_last_wal_receive_lsn() AS received,
                     pg_last_wal_replay_lsn() AS replayed,
                     greatest(extract(epoch FROM clock_timestamp()
                                      - pg_last_xact_replay_timestamp()), 0)
                         AS replay_age,
                     pg_is_wal_replay_paused() AS paused,
                     coalesce((SELECT status = 'streaming' FROM pg_stat_wal_receiver),
                              false) AS streaming,
                     (SELECT greatest(extract(epoch FROM clock_timestamp()
                                              - last_msg_receipt_time), 0)
                      FROM pg_stat_wal_receiver) AS silence,
                     (SELECT setting::int FROM pg_settings
                      WHERE name = 'wal_receiver_timeout') AS limit_ms
              WHERE pg_is_in_recovery()) AS here)",
      .labels = {},
      .metrics =
          {Gauge("meshhook_standby_lag_seconds",
                 "How far this standby is behind; since the last transaction "
                 "that it replayed where its link is cut.",
                 "lag"),
           Gauge("meshhook_standby_replay_lag_bytes",
                 "WAL that it received and has not replayed.", "behind"),
           Gauge("meshhook_standby_replay_age_seconds",
                 "Age of the last transaction that it replayed.", "replay_age"),
           Gauge("meshhook_standby_silence_seconds",
                 "How long ago it last heard from its primary; absent where it "
                 "has no link.",
                 "silence"),
           Gauge("meshhook_standby_link_up",
                 "Whether it receives WAL as it is made.", "streaming"),
           Gauge("meshhook_standby_replay_paused",
                 "Whether somebody has paused its replay.", "paused")},
  };
}

}  // namespace meshhook::collectors
