// SPDX-License-Identifier: MIT
// Reads and writes by who asked for them and why, of relations, temporary
// relations and, from PostgreSQL 18 on, WAL. Older servers count operations of
// one size, newer ones bytes: bytes are published on both. Times need
// track_io_timing, those of WAL track_wal_io_timing; else they are unknown.
// Most of what could be counted never happens, and is left out until it does.
#include "collectors/all.h"
#include "collectors/metric.h"

namespace meshhook::collectors {

Collector StatIo() {
  return {
      .name = "stat_io",
      .summary = "reads and writes by process, object and context",
      .query = R"(
        SELECT backend_type, object, context, reads, writes, extends, hits,
               evictions, reuses, writebacks, fsyncs, reads * op_bytes AS read_bytes,
               writes * op_bytes AS write_bytes, extends * op_bytes AS extend_bytes,
               read_time * ms AS read_time, write_time * ms AS write_time,
               extend_time * ms AS extend_time, fsync_time * ms AS fsync_time,
               writeback_time * ms AS writeback_time
        FROM pg_stat_io,
             (SELECT CASE current_setting('track_io_timing') WHEN 'on' THEN 0.001 END)
                 AS unit (ms)
        WHERE greatest(reads, writes, extends, hits, writebacks, fsyncs) > 0)",
      .labels = {"backend_type", "object", "context"},
      .metrics =
          {Counter("meshhook_io_reads_total", "Reads.", "reads"),
           Counter("meshhook_io_read_bytes_total", "Bytes read.", "read_bytes"),
           Counter("meshhook_io_read_seconds_total", "Time of reads.",
                   "read_time"),
           Counter("meshhook_io_writes_total", "Writes.", "writes"),
           Counter("meshhook_io_written_bytes_total", "Bytes written.",
                   "write_bytes"),
           Counter("meshhook_io_write_seconds_total", "Time of writes.",
                   "write_time"),
           Counter("meshhook_io_extends_total",
                   "Times that a relation was made longer.", "extends"),
           Counter("meshhook_io_extended_bytes_total",
                   "Bytes by which relations were made longer.",
                   "extend_bytes"),
           Counter("meshhook_io_extend_seconds_total", "Time that took.",
                   "extend_time"),
           Counter("meshhook_io_hits_total",
                   "Blocks that were found in a buffer.", "hits"),
           Counter("meshhook_io_evictions_total",
                   "Blocks written out of a buffer to make room.", "evictions"),
           Counter("meshhook_io_reuses_total",
                   "Buffers of a ring that were used again.", "reuses"),
           Counter("meshhook_io_writebacks_total",
                   "Blocks that the kernel was asked to write out.",
                   "writebacks"),
           Counter("meshhook_io_writeback_seconds_total", "Time that took.",
                   "writeback_time"),
           Counter("meshhook_io_fsyncs_total", "Calls of fsync.", "fsyncs"),
           Counter("meshhook_io_fsync_seconds_total", "Time of fsync.",
                   "fsync_time")},
      .variants = {{180000, R"(
        SELECT backend_type, object, context, reads, writes, extends, hits,
               evictions, reuses, writebacks, fsyncs, read_bytes, write_bytes,
               extend_bytes, read_time * ms AS read_time,
               write_time * ms AS write_time, extend_time * ms AS extend_time,
               fsync_time * ms AS fsync_time, writeback_time * ms AS writeback_time
        FROM pg_stat_io,
             LATERAL (SELECT CASE current_setting(CASE object
                                      WHEN 'wal' THEN 'track_wal_io_timing'
                                      ELSE 'track_io_timing' END)
                             WHEN 'on' THEN 0.001 END) AS unit (ms)
        WHERE greatest(reads, writes, extends, hits, writebacks, fsyncs) > 0)"}},
      .min_server_version = 160000,
  };
}

}  // namespace meshhook::collectors
