// SPDX-License-Identifier: MIT
// WAL that was made and written. PostgreSQL 18 counts writes and syncs with
// other I/O. Times need track_wal_io_timing; else they are unknown.
#include "collectors/all.h"
#include "collectors/metric.h"

namespace meshhook::collectors {

Collector StatWal() {
  return {
      .name = "stat_wal",
      .summary = "WAL made and written",
      .query = R"(
        SELECT wal_records, wal_fpi, wal_bytes, wal_buffers_full,
               wal_write AS writes, wal_sync AS syncs,
               wal_write_time * ms AS write_time, wal_sync_time * ms AS sync_time
        FROM pg_stat_wal,
             (SELECT CASE current_setting('track_wal_io_timing') WHEN 'on' THEN 0.001 END)
                 AS unit (ms))",
      .labels = {},
      .metrics = {Counter("meshhook_wal_records_total", "Records of WAL.",
                          "wal_records"),
                  Counter("meshhook_wal_full_page_images_total",
                          "Whole pages put into WAL.", "wal_fpi"),
                  Counter("meshhook_wal_bytes_total", "Bytes of WAL.",
                          "wal_bytes"),
                  Counter("meshhook_wal_buffers_full_total",
                          "Times WAL was written as its buffers were full.",
                          "wal_buffers_full"),
                  Counter("meshhook_wal_writes_total", "Writes of WAL to disk.",
                          "writes"),
                  Counter("meshhook_wal_syncs_total", "Syncs of WAL to disk.",
                          "syncs"),
                  Counter("meshhook_wal_write_seconds_total",
                          "Time of those writes.", "write_time"),
                  Counter("meshhook_wal_sync_seconds_total",
                          "Time of those syncs.", "sync_time")},
      .variants = {{180000, R"(
        SELECT wal_records, wal_fpi, wal_bytes, wal_buffers_full, writes, syncs,
               write_time * ms AS write_time, sync_time * ms AS sync_time
        FROM pg_stat_wal,
             (SELECT sum(writes) AS writes, sum(fsyncs) AS syncs,
                     sum(write_time) AS write_time, sum(fsync_time) AS sync_time
              FROM pg_stat_io WHERE object = 'wal' AND context = 'normal') AS io,
             (SELECT CASE current_setting('track_wal_io_timing') WHEN 'on' THEN 0.001 END)
                 AS unit (ms))"}},
      .min_server_version = 140000,
  };
}

}  // namespace meshhook::collectors
