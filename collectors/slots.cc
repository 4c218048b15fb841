// SPDX-License-Identifier: MIT
// Replication slots, beyond what postgres_exporter says of them: since when
// nobody reads one, and why one is lost.
#include "collectors/all.h"
#include "collectors/metric.h"

namespace meshhook::collectors {

Collector Slots() {
  return {
      .name = "slots",
      .summary = "slots: what they keep, unused and lost ones",
      .query = R"(
        SELECT s.slot_name, greatest(here.lsn - s.restart_lsn, 0) AS kept,
               greatest(here.lsn - s.confirmed_flush_lsn, 0) AS unconfirmed,
               CASE WHEN NOT j ? 'inactive_since' THEN NULL WHEN s.active THEN 0
                    ELSE extract(epoch FROM clock_timestamp()
                                 - (j->>'inactive_since')::timestamptz) END AS inactive,
               lost.reason, CASE WHEN lost.reason IS NOT NULL THEN 1 END AS one
        FROM pg_replication_slots AS s,
             LATERAL to_jsonb(s) AS j,
             LATERAL (SELECT coalesce(j->>'invalidation_reason',
                          CASE WHEN s.wal_status = 'lost' THEN 'wal_removed'
                               WHEN (j->>'conflicting')::bool THEN 'conflict' END))
                 AS lost (reason),
             (SELECT CASE WHEN pg_is_in_recovery()
                          THEN coalesce(pg_last_wal_receive_lsn(),
                                        pg_last_wal_replay_lsn())
                          ELSE pg_current_wal_lsn() END) AS here (lsn))",
      .labels = {"slot_name"},
      .metrics =
          {Gauge("meshhook_replication_slot_kept_bytes",
                 "WAL that the slot keeps from being removed.", "kept"),
           Gauge("meshhook_replication_slot_unconfirmed_bytes",
                 "WAL that the reader of a logical slot has not confirmed.",
                 "unconfirmed"),
           Gauge("meshhook_replication_slot_inactive_seconds",
                 "How long nobody has read from the slot; from PostgreSQL 17.",
                 "inactive"),
           By({"slot_name", "reason"},
              Gauge("meshhook_replication_slot_lost_info",
                    "A slot that can be used no more, and why; always 1.",
                    "one"))},
  };
}

}  // namespace meshhook::collectors
