// SPDX-License-Identifier: MIT
// The background writer and, before PostgreSQL 17, checkpoints.
#include "collectors/all.h"
#include "collectors/metric.h"

namespace meshhook::collectors {

Collector StatBgwriter() {
  return {
      .name = "stat_bgwriter",
      .summary = "background writer, and checkpoints before PostgreSQL 17",
      .query = R"(
        SELECT *, extract(epoch FROM stats_reset) AS reset FROM pg_stat_bgwriter)",
      .labels = {},
      .metrics =
          {Counter("pg_stat_bgwriter_checkpoints_timed_total",
                   "Checkpoints that were due by time; before PostgreSQL 17.",
                   "checkpoints_timed"),
           Counter("pg_stat_bgwriter_checkpoints_req_total",
                   "Checkpoints that were asked for; before PostgreSQL 17.",
                   "checkpoints_req"),
           Counter("pg_stat_bgwriter_checkpoint_write_time_total",
                   "Milliseconds spent writing in checkpoints; before "
                   "PostgreSQL 17.",
                   "checkpoint_write_time"),
           Counter("pg_stat_bgwriter_checkpoint_sync_time_total",
                   "Milliseconds spent syncing in checkpoints; before "
                   "PostgreSQL 17.",
                   "checkpoint_sync_time"),
           Counter("pg_stat_bgwriter_buffers_checkpoint_total",
                   "Buffers written by checkpoints; before PostgreSQL 17.",
                   "buffers_checkpoint"),
           Counter(
               "pg_stat_bgwriter_buffers_backend_total",
               "Buffers that backends wrote themselves; before PostgreSQL 17.",
               "buffers_backend"),
           Counter("pg_stat_bgwriter_buffers_backend_fsync_total",
                   "Syncs that backends made themselves; before PostgreSQL 17.",
                   "buffers_backend_fsync"),
           Counter("pg_stat_bgwriter_buffers_clean_total",
                   "Buffers written by the background writer.",
                   "buffers_clean"),
           Counter("pg_stat_bgwriter_maxwritten_clean_total",
                   "Rounds that it broke off, having written its most.",
                   "maxwritten_clean"),
           Counter("pg_stat_bgwriter_buffers_alloc_total", "Buffers allocated.",
                   "buffers_alloc"),
           Counter("pg_stat_bgwriter_stats_reset_total",
                   "When these figures were last reset, as Unix time.",
                   "reset")},
      .variants = {{170000, R"(
        SELECT *, extract(epoch FROM stats_reset) AS reset,
               NULL AS checkpoints_timed, NULL AS checkpoints_req,
               NULL AS checkpoint_write_time, NULL AS checkpoint_sync_time,
               NULL AS buffers_checkpoint, NULL AS buffers_backend,
               NULL AS buffers_backend_fsync
        FROM pg_stat_bgwriter)"}},
  };
}

}  // namespace meshhook::collectors
