// SPDX-License-Identifier: MIT
// Checkpoints, from PostgreSQL 17 on; before, they are in stat_bgwriter.
#include "collectors/all.h"
#include "collectors/metric.h"

namespace meshhook::collectors {

Collector StatCheckpointer() {
  return {
      .name = "stat_checkpointer",
      .summary = "checkpoints, from PostgreSQL 17 on",
      .query = R"(
        SELECT *, extract(epoch FROM stats_reset) AS reset FROM pg_stat_checkpointer)",
      .labels = {},
      .metrics = {Counter("pg_stat_checkpointer_num_timed_total",
                          "Checkpoints that were due by time.", "num_timed"),
                  Counter("pg_stat_checkpointer_num_requested_total",
                          "Checkpoints that were asked for.", "num_requested"),
                  Counter("pg_stat_checkpointer_restartpoints_timed_total",
                          "Restartpoints that were due by time.",
                          "restartpoints_timed"),
                  Counter("pg_stat_checkpointer_restartpoints_req_total",
                          "Restartpoints that were asked for.",
                          "restartpoints_req"),
                  Counter("pg_stat_checkpointer_restartpoints_done_total",
                          "Restartpoints that were made.",
                          "restartpoints_done"),
                  Counter("pg_stat_checkpointer_write_time_total",
                          "Milliseconds spent writing.", "write_time"),
                  Counter("pg_stat_checkpointer_sync_time_total",
                          "Milliseconds spent syncing.", "sync_time"),
                  Counter("pg_stat_checkpointer_buffers_written_total",
                          "Buffers written.", "buffers_written"),
                  Counter("pg_stat_checkpointer_stats_reset_total",
                          "When these figures were last reset, as Unix time.",
                          "reset")},
      .min_server_version = 170000,
      .on = false,
  };
}

}  // namespace meshhook::collectors
