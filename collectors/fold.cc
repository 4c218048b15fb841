// SPDX-License-Identifier: MIT
// How far the aggregates are behind the runs: the counters (stream `runs`),
// the hours and days (`trends`), the steps (`steps`, always some seconds, as
// events may settle).
#include "collectors/all.h"

namespace meshhook::collectors {

using prometheus::MetricType;

Collector Fold() {
  return {
      .name = "fold",
      .summary = "facts in the aggregates, and those that wait, by stream",
      .query =
          "SELECT consumer AS stream, facts_total, "
          "metrics.pending_facts(consumer, 100000) AS pending "
          "FROM metrics.fold_state",
      .labels = {"stream"},
      .metrics = {{.name = "meshhook_fold_facts_total",
                   .type = MetricType::Counter,
                   .help = "Finished runs that the aggregates contain.",
                   .column = "facts_total"},
                  {.name = "meshhook_fold_pending_facts",
                   .type = MetricType::Gauge,
                   .help = "Finished runs that wait, counted up to 100,000.",
                   .column = "pending"}},
  };
}

}  // namespace meshhook::collectors
