// SPDX-License-Identifier: MIT
// Who keeps vacuum from removing dead rows. A running vacuum holds nothing
// back. Slots and standbys hold back every database and do not say since when.
#include "collectors/all.h"
#include "collectors/metric.h"

namespace meshhook::collectors {

Collector XminHorizon() {
  return {
      .name = "xmin_horizon",
      .summary = "who keeps vacuum from removing rows",
      .query = R"(
        WITH holders AS (
            SELECT 'session' AS kind, coalesce(datname::text, '') AS datname,
                   greatest(age(backend_xid), age(backend_xmin)) AS xids,
                   extract(epoch FROM clock_timestamp() - xact_start) AS held
            FROM pg_stat_activity
            WHERE coalesce(backend_xid, backend_xmin) IS NOT NULL
              AND backend_type <> 'walsender' AND pid <> pg_backend_pid()
              AND pid NOT IN (SELECT pid FROM pg_stat_progress_vacuum)
            UNION ALL
            SELECT 'prepared transaction', database::text, age(transaction),
                   extract(epoch FROM clock_timestamp() - prepared)
            FROM pg_prepared_xacts
            UNION ALL
            SELECT 'replication slot', '', age(xmin), NULL
            FROM pg_replication_slots WHERE xmin IS NOT NULL
            UNION ALL
            SELECT 'catalog of a replication slot', coalesce(database::text, ''),
                   age(catalog_xmin), NULL
            FROM pg_replication_slots WHERE catalog_xmin IS NOT NULL
            UNION ALL
            SELECT 'standby', '', age(backend_xmin), NULL
            FROM pg_stat_replication WHERE backend_xmin IS NOT NULL)
        SELECT kind, datname, max(xids) AS xids, NULL::int AS greatest,
               (array_agg(held ORDER BY xids DESC))[1] AS held
        FROM holders GROUP BY kind, datname
        UNION ALL
        SELECT NULL, NULL, NULL, coalesce(max(xids), 0), NULL FROM holders)",
      .labels = {"kind", "datname"},
      .metrics =
          {By({}, Gauge("meshhook_xmin_horizon_age_transactions",
                        "Transactions since the oldest one whose rows cannot "
                        "be removed.",
                        "greatest")),
           Gauge("meshhook_xmin_holder_age_transactions",
                 "The same by who holds it back; absent when nobody does.",
                 "xids"),
           Gauge("meshhook_xmin_holder_age_seconds",
                 "How long the oldest such transaction has been open.",
                 "held")},
      .interval = std::chrono::seconds(30),
  };
}

}  // namespace meshhook::collectors
