// SPDX-License-Identifier: MIT
// Open transactions of clients and their ages. One that is idle holds its
// locks and keeps vacuum from removing rows, and nobody waits for it to end.
// One that has failed holds nothing more and its beginning is forgotten.
#include "collectors/all.h"
#include "collectors/metric.h"

namespace meshhook::collectors {

Collector Transactions() {
  return {
      .name = "transactions",
      .summary = "open transactions and their ages",
      .query = R"(
        SELECT d.datname, s.state, count(a.datid) AS transactions,
               coalesce(max(a.age), 0) AS oldest,
               CASE s.state WHEN 'active' THEN coalesce(max(a.statement_age), 0) END
                   AS statement,
               CASE s.state WHEN 'active' THEN NULL ELSE coalesce(max(a.idle), 0) END
                   AS idle
        FROM pg_database AS d
        CROSS JOIN (VALUES ('active'), ('idle in transaction')) AS s (state)
        LEFT JOIN (
            SELECT datid, CASE WHEN state LIKE 'idle in transaction%'
                               THEN 'idle in transaction' ELSE 'active' END AS state,
                   extract(epoch FROM clock_timestamp() - xact_start) AS age,
                   extract(epoch FROM clock_timestamp() - query_start)
                       AS statement_age,
                   extract(epoch FROM clock_timestamp() - state_change) AS idle
            FROM pg_stat_get_activity(NULL)
            WHERE backend_type = 'client backend' AND state <> 'idle'
              AND (xact_start IS NOT NULL OR state LIKE '%(aborted)') AND pid <> pg_backend_pid()) AS a
            ON a.datid = d.oid AND a.state = s.state
        WHERE d.datallowconn
        GROUP BY d.datname, s.state)",
      .labels = {"datname", "state"},
      .metrics = {Gauge("meshhook_open_transactions",
                        "Transactions of clients under way.", "transactions"),
                  Gauge("meshhook_oldest_transaction_age_seconds",
                        "Age of the oldest of them; 0 when there is none.",
                        "oldest"),
                  By({"datname"},
                     Gauge("meshhook_longest_statement_age_seconds",
                           "How long the longest statement of a client has "
                           "run; 0 when none runs.",
                           "statement")),
                  By({"datname"},
                     Gauge("meshhook_idle_in_transaction_longest_seconds",
                           "How long a client has been idle within its "
                           "transaction, at most; 0 when none is.",
                           "idle"))},
  };
}

}  // namespace meshhook::collectors
