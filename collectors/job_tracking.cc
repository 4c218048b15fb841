// SPDX-License-Identifier: MIT
// MeshHook's jobs by queue and state, dead letters among them, from the
// materialized view: exact as of its last refresh.
#include "collectors/all.h"
#include "collectors/metric.h"

namespace meshhook::collectors {

Collector JobTracking() {
  constexpr auto kJobs = "meshhook_job_tracking_jobs";
  Metric jobs = Gauge(kJobs, "Jobs in job_tracking, by state.", "job_count");
  jobs.additive = true;
  Metric recent = Gauge("meshhook_job_tracking_recent_jobs",
                        "Those of them that came into that state within the "
                        "window.",
                        "job_count_24h");
  recent.labels = {{"window", "24h"}};
  recent.additive = true;
  Metric attempts =
      Gauge("meshhook_job_tracking_attempts",
            "Attempts that these jobs have had in all.", "attempt_count");
  attempts.additive = true;
  return {
      .name = "job_tracking",
      .summary = "jobs by queue and state, and dead letters",
      .query = R"(
        SELECT queue_name, state, job_count, job_count_24h, attempt_count,
               CASE WHEN state IN ('waiting', 'running')
                    THEN extract(epoch FROM now() - oldest_at)
               END AS oldest_age
        FROM metrics.mv_job_tracking)",
      .labels = {"state", "queue_name"},
      .metrics = {jobs, recent, attempts,
                  Gauge("meshhook_job_tracking_oldest_job_age_seconds",
                        "How long the oldest has waited, or run.",
                        "oldest_age")},
      .needs = {"EXISTS (SELECT FROM pg_class WHERE relname = 'job_tracking' "
                "AND relnamespace = to_regnamespace('public'))",
                "table public.job_tracking does not exist"},
      .limit = {.rows = 500, .rank = "job_count"},
  };
}

}  // namespace meshhook::collectors
