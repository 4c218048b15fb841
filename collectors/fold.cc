// SPDX-License-Identifier: MIT
// How far the counters are behind the runs.
#include "collectors/all.h"

namespace meshhook::collectors {

using prometheus::MetricType;

Collector Fold() {
  return {
      .name = "fold",
      .summary = "facts folded into the counters, and those that wait",
      .query =
          "SELECT facts_total, metrics.pending_facts() AS pending "
          "FROM metrics.fold_state",
      .labels = {},
      .metrics = {{.name = "meshhook_fold_facts_total",
                   .type = MetricType::Counter,
                   .help = "Finished runs that the counters contain.",
                   .column = "facts_total"},
                  {.name = "meshhook_fold_pending_facts",
                   .type = MetricType::Gauge,
                   .help = "Finished runs that wait for the next fold.",
                   .column = "pending"}},
  };
}

}  // namespace meshhook::collectors
