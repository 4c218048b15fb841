// SPDX-License-Identifier: MIT
// Transactions that are prepared and neither committed nor rolled back. They
// outlive their session and a restart, and hold their locks all the time.
#include "collectors/all.h"
#include "collectors/metric.h"

namespace meshhook::collectors {

Collector PreparedTransactions() {
  return {
      .name = "prepared_transactions",
      .summary = "prepared transactions and their age",
      .query = R"(
        SELECT d.datname, count(p.transaction) AS prepared,
               coalesce(max(extract(epoch FROM clock_timestamp() - p.prepared)), 0)
                   AS oldest
        FROM pg_database AS d LEFT JOIN pg_prepared_xacts AS p ON p.database = d.datname
        WHERE d.datallowconn GROUP BY d.datname)",
      .labels = {"datname"},
      .metrics = {Gauge("meshhook_prepared_transactions",
                        "Transactions that are prepared and not ended.",
                        "prepared"),
                  Gauge("meshhook_prepared_transaction_oldest_age_seconds",
                        "Age of the oldest of them; 0 when there is none.",
                        "oldest")},
      .interval = std::chrono::seconds(30),
  };
}

}  // namespace meshhook::collectors
