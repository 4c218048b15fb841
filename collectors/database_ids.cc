// SPDX-License-Identifier: MIT
// How near each database is to running out of transaction and multixact ids,
// in the right units, of all databases: one that takes no connections counts
// as well. The server refuses new ids some millions before 2^31.
#include "collectors/all.h"
#include "collectors/metric.h"

namespace meshhook::collectors {

namespace {

Metric Of(const std::string& kind, Metric metric) {
  metric.labels = {{"kind", kind}};
  return metric;
}

Metric Freeze(const std::string& kind) {
  return Of(kind, Gauge("meshhook_database_freeze_ratio",
                        "Age against the one at which a vacuum is forced.",
                        kind + "_freeze"));
}

Metric Wraparound(const std::string& kind) {
  return Of(kind, Gauge("meshhook_database_wraparound_ratio",
                        "Age against the one at which the server refuses new "
                        "ids.",
                        kind + "_wraparound"));
}

}  // namespace

Collector DatabaseIds() {
  return {
      .name = "database_ids",
      .summary = "how near to wraparound, transactions and multixacts",
      .query = R"(
        SELECT d.datname, d.xids, d.multixacts,
               d.xids / current_setting('autovacuum_freeze_max_age')::float8
                   AS transaction_freeze,
               d.multixacts
                   / current_setting('autovacuum_multixact_freeze_max_age')::float8
                   AS multixact_freeze,
               d.xids / (2147483648.0 - CASE WHEN v.old THEN 1000000 ELSE 3000000 END)
                   AS transaction_wraparound,
               d.multixacts / (2147483648.0 - CASE WHEN v.old THEN 100 ELSE 3000000 END)
                   AS multixact_wraparound
        FROM (SELECT datname, age(datfrozenxid) AS xids,
                     mxid_age(datminmxid) AS multixacts FROM pg_database) AS d,
             (SELECT current_setting('server_version_num')::int < 140000)
                 AS v (old))",
      .labels = {"datname"},
      .metrics = {Gauge("meshhook_database_age_transactions",
                        "Transactions since the oldest id that is not frozen.",
                        "xids"),
                  Gauge("meshhook_database_age_multixacts",
                        "Multixacts since the oldest one that is kept.",
                        "multixacts"),
                  Freeze("transaction"), Freeze("multixact"),
                  Wraparound("transaction"), Wraparound("multixact")},
      .interval = std::chrono::minutes(1),
  };
}

}  // namespace meshhook::collectors
