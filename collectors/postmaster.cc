// SPDX-License-Identifier: MIT
// When the server was started.
#include "collectors/all.h"
#include "collectors/metric.h"

namespace meshhook::collectors {

Collector Postmaster() {
  return {
      .name = "postmaster",
      .summary = "start time of the server",
      .query = R"(
        SELECT extract(epoch FROM pg_postmaster_start_time()) AS started)",
      .labels = {},
      .metrics = {Gauge("pg_postmaster_start_time_seconds",
                        "When the server was started, as Unix time.",
                        "started")},
  };
}

}  // namespace meshhook::collectors
