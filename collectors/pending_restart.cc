// SPDX-License-Identifier: MIT
// Settings that were changed and take effect only when the server restarts:
// the next crash, not the operator, will choose the moment.
#include "collectors/all.h"
#include "collectors/metric.h"

namespace meshhook::collectors {

Collector PendingRestart() {
  return {
      .name = "pending_restart",
      .summary = "changed settings that wait for a restart",
      .query = R"(
        WITH pending AS (SELECT name FROM pg_settings WHERE pending_restart)
        SELECT NULL AS name, count(*) AS settings, NULL::int AS one FROM pending
        UNION ALL
        SELECT name, NULL, 1 FROM pending)",
      .labels = {"name"},
      .metrics = {By({}, Gauge("meshhook_pending_restart_settings",
                               "Changed settings that wait for a restart.",
                               "settings")),
                  Gauge("meshhook_pending_restart_setting_info",
                        "Each of them; always 1.", "one")},
      .interval = std::chrono::minutes(1),
  };
}

}  // namespace meshhook::collectors
