// SPDX-License-Identifier: MIT
// What sessions and the server's own processes wait for. An empty event is one
// that waits for nothing: it computes.
#include "collectors/all.h"
#include "collectors/metric.h"

namespace meshhook::collectors {

Collector WaitEvents() {
  auto sessions = Gauge("meshhook_wait_event_sessions",
                        "Processes by what they wait for; no event is at work.",
                        "sessions");
  sessions.additive = true;
  return {
      .name = "wait_events",
      .summary = "what sessions and processes wait for",
      .query = R"(
        SELECT backend_type, coalesce(state, '') AS state,
               coalesce(wait_event_type, '') AS wait_event_type,
               coalesce(wait_event, '') AS wait_event, count(*) AS sessions
        FROM pg_stat_get_activity(NULL) WHERE pid <> pg_backend_pid()
        GROUP BY 1, 2, 3, 4)",
      .labels = {"backend_type", "state", "wait_event_type", "wait_event"},
      .metrics = {sessions},
      .limit = {.rows = 200, .rank = "sessions"},
  };
}

}  // namespace meshhook::collectors
