// SPDX-License-Identifier: MIT
// pg_cron's jobs: whether they run, and how that ends. Those of the role that
// ran `migrate`, as pg_cron shows a role its own alone, and all of them where
// that role bypasses row security.
#include "collectors/all.h"
#include "collectors/metric.h"

namespace meshhook::collectors {

Collector CronJobs() {
  const auto today = [](Metric metric) {
    metric.labels = {{"window", "24h"}};
    return metric;
  };
  return {
      .name = "cron_jobs",
      .summary = "jobs of pg_cron: last run, duration and failures",
      .query = R"(
        SELECT jobid, jobname, active, last_succeeded, runs_24h, failures_24h,
               extract(epoch FROM last_start) AS last_start,
               extract(epoch FROM last_duration) AS last_duration
        FROM metrics.cron_jobs())",
      .labels = {"jobid", "jobname"},
      .metrics = {Gauge("meshhook_cron_job_is_active",
                        "Whether the job is to run at all.", "active"),
                  Gauge("meshhook_cron_job_last_run_success",
                        "Whether the last run that ended succeeded.",
                        "last_succeeded"),
                  Gauge("meshhook_cron_job_last_start_timestamp_seconds",
                        "When it last started, as Unix time.", "last_start"),
                  Gauge("meshhook_cron_job_last_duration_seconds",
                        "How long the last run took that ended.",
                        "last_duration"),
                  today(Gauge("meshhook_cron_job_recent_runs",
                              "Runs within the window, of the server's last "
                              "20,000.",
                              "runs_24h")),
                  today(Gauge("meshhook_cron_job_recent_failures",
                              "Those of them that failed.", "failures_24h"))},
      .needs = {"EXISTS (SELECT FROM pg_class "
                "WHERE relname = 'job_run_details' "
                "AND relnamespace = to_regnamespace('cron'))",
                "pg_cron 1.3 or newer is not installed"},
  };
}

}  // namespace meshhook::collectors
