// SPDX-License-Identifier: MIT
// How near each database is to wraparound: a server stops taking writes before
// 2^31. postgres_exporter calls these ages seconds; names that say what they
// are stand beside them.
#include "collectors/all.h"
#include "collectors/metric.h"

namespace meshhook::collectors {

Collector DatabaseWraparound() {
  return {
      .name = "database_wraparound",
      .summary = "how near to transaction id wraparound",
      .query = R"(
        SELECT datname, age(datfrozenxid) AS xids, mxid_age(datminmxid) AS multixacts
        FROM pg_database WHERE datallowconn)",
      .labels = {"datname"},
      .metrics = {Gauge("pg_database_wraparound_age_datfrozenxid_seconds",
                        "Transactions since the oldest id that is not frozen.",
                        "xids"),
                  Gauge("pg_database_wraparound_age_datminmxid_seconds",
                        "Multixacts since the oldest one that is still kept.",
                        "multixacts"),
                  Gauge("pg_database_wraparound_age_transactions",
                        "Transactions since the oldest id that is not frozen.",
                        "xids"),
                  Gauge("pg_database_wraparound_age_multixacts",
                        "Multixacts since the oldest one that is still kept.",
                        "multixacts")},
      .interval = std::chrono::minutes(1),
  };
}

}  // namespace meshhook::collectors
