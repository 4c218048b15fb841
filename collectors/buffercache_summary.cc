// SPDX-License-Identifier: MIT
// Use of the shared buffers, by the extension pg_buffercache.
#include "collectors/all.h"
#include "collectors/metric.h"

namespace meshhook::collectors {

Collector BuffercacheSummary() {
  return {
      .name = "buffercache_summary",
      .summary = "use of the shared buffers",
      .query = R"(
        SELECT * FROM @extschema@.pg_buffercache_summary())",
      .labels = {},
      .metrics = {Gauge("pg_buffercache_summary_buffers_used",
                        "Shared buffers in use.", "buffers_used"),
                  Gauge("pg_buffercache_summary_buffers_unused",
                        "Shared buffers not in use.", "buffers_unused"),
                  Gauge("pg_buffercache_summary_buffers_dirty",
                        "Shared buffers that have to be written.",
                        "buffers_dirty"),
                  Gauge("pg_buffercache_summary_buffers_pinned",
                        "Shared buffers that are pinned.", "buffers_pinned"),
                  Gauge("pg_buffercache_summary_usagecount_avg",
                        "Average usage count of the buffers in use.",
                        "usagecount_avg")},
      .extension = "pg_buffercache",
      .min_server_version = 160000,
      .on = false,
  };
}

}  // namespace meshhook::collectors
