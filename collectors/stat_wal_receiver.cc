// SPDX-License-Identifier: MIT
// What a standby receives from its primary.
#include "collectors/all.h"
#include "collectors/metric.h"

namespace meshhook::collectors {

Collector StatWalReceiver() {
  return {
      .name = "stat_wal_receiver",
      .summary = "what a standby receives",
      .query = R"(
        SELECT sender_host AS upstream_host, slot_name, status,
               (receive_start_lsn - '0/0') % (2^52)::bigint AS receive_start_lsn,
               receive_start_tli, (flushed_lsn - '0/0') % (2^52)::bigint AS flushed_lsn,
               received_tli, extract(epoch FROM last_msg_send_time) AS sent,
               extract(epoch FROM last_msg_receipt_time) AS received,
               (latest_end_lsn - '0/0') % (2^52)::bigint AS latest_end_lsn,
               extract(epoch FROM latest_end_time) AS latest_end,
               substring(slot_name FROM 'repmgr_slot_([0-9]*)')::int AS upstream_node
        FROM pg_stat_wal_receiver)",
      .labels = {"upstream_host", "slot_name", "status"},
      .metrics =
          {Counter("pg_stat_wal_receiver_receive_start_lsn",
                   "WAL position at which the receiver began.",
                   "receive_start_lsn"),
           Gauge("pg_stat_wal_receiver_receive_start_tli",
                 "Timeline at which the receiver began.", "receive_start_tli"),
           Counter("pg_stat_wal_receiver_flushed_lsn",
                   "WAL position received and flushed.", "flushed_lsn"),
           Gauge("pg_stat_wal_receiver_received_tli",
                 "Timeline received and flushed.", "received_tli"),
           Counter("pg_stat_wal_receiver_last_msg_send_time",
                   "When the last message was sent, as Unix time.", "sent"),
           Counter("pg_stat_wal_receiver_last_msg_receipt_time",
                   "When the last message came, as Unix time.", "received"),
           Counter("pg_stat_wal_receiver_latest_end_lsn",
                   "WAL position last reported to the sender.",
                   "latest_end_lsn"),
           Counter("pg_stat_wal_receiver_latest_end_time",
                   "When that was reported, as Unix time.", "latest_end"),
           Gauge("pg_stat_wal_receiver_upstream_node",
                 "Node of the sender, where repmgr named the slot.",
                 "upstream_node")},
      .on = false,
  };
}

}  // namespace meshhook::collectors
