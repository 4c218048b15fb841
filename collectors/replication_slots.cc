// SPDX-License-Identifier: MIT
// Replication slots: one that nobody reads keeps WAL until the disk is full.
#include "collectors/all.h"
#include "collectors/metric.h"

namespace meshhook::collectors {

Collector ReplicationSlots() {
  return {
      .name = "replication_slots",
      .summary = "slots, and the WAL they keep",
      .query = R"(
        SELECT s.slot_name, s.slot_type, s.database, s.wal_status, s.active,
               1 AS one, here.lsn - s.restart_lsn AS behind,
               here.lsn - '0/0' AS current_lsn,
               coalesce(s.confirmed_flush_lsn, '0/0') - '0/0' AS flushed_lsn,
               s.safe_wal_size
        FROM pg_replication_slots AS s,
             (SELECT CASE WHEN pg_is_in_recovery() THEN pg_last_wal_receive_lsn()
                          ELSE pg_current_wal_lsn() END) AS here (lsn))",
      .labels = {"slot_name", "database"},
      .metrics =
          {Gauge("pg_replication_slots_active", "Whether the slot is in use.",
                 "active"),
           Gauge("pg_replication_slots_pg_wal_lsn_diff",
                 "Bytes of WAL that the slot keeps.", "behind"),
           By({"slot_name", "slot_type"},
              Gauge("pg_replication_slots_slot_current_wal_lsn",
                    "WAL position of this server.", "current_lsn")),
           By({"slot_name", "slot_type"},
              Gauge(
                  "pg_replication_slots_slot_confirmed_flush_lsn",
                  "Position up to which a logical slot's reader has confirmed.",
                  "flushed_lsn")),
           By({"slot_name", "slot_type"},
              Gauge("pg_replication_slots_slot_is_active",
                    "Whether the slot is in use.", "active")),
           By({"slot_name", "slot_type"},
              Gauge("pg_replication_slots_safe_wal_size_bytes",
                    "WAL that can be written before the slot is in danger of "
                    "being lost.",
                    "safe_wal_size")),
           By({"slot_name", "slot_type", "wal_status"},
              Gauge("pg_replication_slots_wal_status",
                    "Whether the WAL that the slot needs is there; always 1.",
                    "one"))},
  };
}

}  // namespace meshhook::collectors
