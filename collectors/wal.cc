// SPDX-License-Identifier: MIT
// WAL files on disk.
#include "collectors/all.h"
#include "collectors/metric.h"

namespace meshhook::collectors {

Collector Wal() {
  return {
      .name = "wal",
      .summary = "WAL files on disk",
      .query = R"(
        SELECT count(*) AS segments, sum(size) AS size
        FROM pg_ls_waldir() WHERE name ~ '^[0-9A-F]{24}$')",
      .labels = {},
      .metrics = {Gauge("pg_wal_segments", "WAL files.", "segments"),
                  Gauge("pg_wal_size_bytes", "Size of all WAL files.", "size")},
  };
}

}  // namespace meshhook::collectors
