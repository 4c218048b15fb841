// SPDX-License-Identifier: MIT
// Jobs of pg-boss, which MeshHook may run instead of pgmq.
#include "collectors/all.h"
#include "collectors/metric.h"

namespace meshhook::collectors {

Collector BossJobs() {
  Metric jobs = Gauge("meshhook_boss_jobs",
                      "Jobs in pg-boss's table, by state.", "job_count");
  jobs.additive = true;
  return {
      .name = "boss_jobs",
      .summary = "jobs of pg-boss by queue and state",
      .query = "SELECT * FROM metrics.boss_jobs()",
      .labels = {"state", "queue_name"},
      .metrics = {jobs,
                  Gauge("meshhook_boss_is_lower_bound",
                        "Whether there are more jobs than were counted.",
                        "is_lower_bound"),
                  Gauge("meshhook_boss_oldest_job_age_seconds",
                        "Age of the oldest job that has not ended.",
                        "oldest_age_seconds")},
      .needs = {"EXISTS (SELECT FROM pg_class WHERE relname = 'job' "
                "AND relnamespace = to_regnamespace('pgboss'))",
                "pg-boss is not installed"},
      .limit = {.rows = 500, .rank = "job_count"},
  };
}

}  // namespace meshhook::collectors
