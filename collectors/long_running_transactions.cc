// SPDX-License-Identifier: MIT
// Transactions under way and the age of the oldest. postgres_exporter calls
// that age a timestamp; the right name stands beside it.
#include "collectors/all.h"
#include "collectors/metric.h"

namespace meshhook::collectors {

Collector LongRunningTransactions() {
  return {
      .name = "long_running_transactions",
      .summary = "transactions under way, and the oldest",
      .query = R"(
        SELECT count(*) AS transactions,
               coalesce(max(extract(epoch FROM clock_timestamp() - xact_start)), 0)
                   AS oldest
        FROM pg_stat_get_activity(NULL)
        WHERE state IS DISTINCT FROM 'idle' AND query NOT LIKE 'autovacuum:%'
          AND xact_start IS NOT NULL AND pid <> pg_backend_pid())",
      .labels = {},
      .metrics = {Gauge("pg_long_running_transactions",
                        "Transactions under way.", "transactions"),
                  Gauge("pg_long_running_transactions_oldest_timestamp_seconds",
                        "Age of the oldest of them.", "oldest"),
                  Gauge("pg_long_running_transactions_oldest_age_seconds",
                        "Age of the oldest of them.", "oldest")},
  };
}

}  // namespace meshhook::collectors
