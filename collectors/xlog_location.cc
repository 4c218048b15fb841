// SPDX-License-Identifier: MIT
// The WAL position as a number.
#include "collectors/all.h"
#include "collectors/metric.h"

namespace meshhook::collectors {

Collector XlogLocation() {
  return {
      .name = "xlog_location",
      .summary = "WAL position",
      .query = R"(
        SELECT (CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn()
                     ELSE pg_current_wal_lsn() END - '0/0') % (2^52)::bigint AS bytes)",
      .labels = {},
      .metrics = {Gauge(
          "pg_xlog_location_bytes",
          "WAL position written, or replayed on a standby, modulo 2^52.",
          "bytes")},
      .on = false,
  };
}

}  // namespace meshhook::collectors
