// SPDX-License-Identifier: MIT
// What MeshHook's workers go by, to compare ages and attempts with.
#include "collectors/all.h"
#include "collectors/metric.h"

namespace meshhook::collectors {

Collector QueueSettings() {
  return {
      .name = "queue_settings",
      .summary = "visibility timeout and most attempts of each queue",
      .query = "SELECT * FROM metrics.queue_settings()",
      .labels = {"queue_name"},
      .metrics = {Gauge("meshhook_queue_visibility_timeout_seconds",
                        "How long a message that was read stays hidden.",
                        "visibility_timeout_seconds"),
                  Gauge("meshhook_queue_retry_limit_attempts",
                        "How often a job is tried again at most.",
                        "max_retry_attempts")},
      .needs = {"EXISTS (SELECT FROM pg_class WHERE relname = 'queue_config' "
                "AND relnamespace = to_regnamespace('public'))",
                "table public.queue_config does not exist"},
  };
}

}  // namespace meshhook::collectors
