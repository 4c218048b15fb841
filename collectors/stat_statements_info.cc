// SPDX-License-Identifier: MIT
// Whether pg_stat_statements has room enough: each deallocation forgets a
// twentieth of its statements.
#include "collectors/all.h"
#include "collectors/metric.h"

namespace meshhook::collectors {

Collector StatStatementsInfo() {
  return {
      .name = "stat_statements_info",
      .summary = "how often statements were forgotten for want of room",
      .query =
          "SELECT dealloc, extract(epoch FROM stats_reset) AS reset "
          "FROM @extschema@.pg_stat_statements_info",
      .labels = {},
      .metrics = {Counter("meshhook_statements_deallocations_total",
                          "Times statements were forgotten, as there were "
                          "more than pg_stat_statements.max.",
                          "dealloc"),
                  Gauge("meshhook_statements_reset_timestamp_seconds",
                        "When its statistics began, as Unix time.", "reset")},
      .extension = "pg_stat_statements",
      .needs = {"EXISTS (SELECT FROM pg_extension JOIN pg_class "
                "ON relnamespace = extnamespace "
                "WHERE extname = 'pg_stat_statements' "
                "AND relname = 'pg_stat_statements_info')",
                "pg_stat_statements is older than version 1.9"},
  };
}

}  // namespace meshhook::collectors
