// SPDX-License-Identifier: MIT
// Jobs of MeshHook, pg-boss and pg_cron, and the partitions that events go to.
#include <gtest/gtest.h>

#include <cmath>

#include "collectors/all.h"
#include "tests/support/database.h"
#include "tests/support/runs.h"
#include "tests/support/scrape.h"

namespace {

using namespace std::chrono_literals;
using test::Database;
using test::Exec;

test::Scrape Of(const Database& db) {
  using namespace meshhook::collectors;
  return test::ScrapeOf(db, {QueueSettings(), JobTracking(), BossJobs(),
                             CronJobs(), EventPartitions()});
}

TEST(Jobs, AreSilentWhereNothingKeepsThem) {
  Database db;
  const auto scrape = Of(db);
  EXPECT_EQ(scrape.Reason("boss_jobs"), "silent: pg-boss is not installed");
  EXPECT_EQ(scrape.Reason("cron_jobs"),
            "silent: pg_cron 1.3 or newer is not installed");
}

constexpr auto kJobs = R"(
    INSERT INTO job_tracking (msg_id, run_id, queue_name, attempt, enqueued_at,
                              started_at, failed_at, completed_at,
                              moved_to_dlq_at)
    SELECT 1, r.id, 'workflow_jobs', j.attempt, now() - interval '3 hours',
           now() - j.started, now() - j.failed, now() - j.completed,
           now() - j.moved
    FROM workflow_runs AS r, (VALUES
        (1, NULL::interval, NULL::interval, NULL::interval, NULL::interval),
        (1, '2 hours', NULL, NULL, NULL),
        (2, '1 hour', '2 hours', NULL, NULL),
        (3, '2 hours', '1 hour', NULL, NULL),
        (1, '2 hours', NULL, '1 hour', NULL),
        (5, '2 hours', '1 hour', NULL, '1 hour'),
        (5, '9 days', '8 days', NULL, '7 days'))
        AS j (attempt, started, failed, completed, moved))";

TEST(JobTracking, CountsJobsAndDeadLettersOnceItIsRefreshed) {
  Database db;
  db.Exec(test::kOneWorkflow);
  db.Exec(test::kRun);
  db.Exec(kJobs);
  EXPECT_EQ(Of(db).page.find("meshhook_job_tracking_jobs{"), std::string::npos);
  db.Exec(test::kRefreshAll);
  const auto scrape = Of(db);
  const auto value = [&](const std::string& metric, const std::string& state,
                         const std::string& more = "") {
    return scrape.Value("meshhook_job_tracking_" + metric + "{state=\"" +
                        state + "\",queue_name=\"workflow_jobs\"" + more + "}");
  };
  EXPECT_EQ(value("jobs", "waiting"), 1);
  EXPECT_EQ(value("jobs", "running"), 2);
  EXPECT_EQ(value("jobs", "failed"), 1);
  EXPECT_EQ(value("jobs", "completed"), 1);
  EXPECT_EQ(value("jobs", "dead_letter"), 2);
  EXPECT_EQ(value("recent_jobs", "dead_letter", ",window=\"24h\""), 1);
  EXPECT_EQ(value("attempts", "dead_letter"), 10);
  EXPECT_NEAR(value("oldest_job_age_seconds", "waiting"), 3 * 3600, 60);
  EXPECT_NEAR(value("oldest_job_age_seconds", "running"), 2 * 3600, 60);
}

TEST(JobTracking, MayBeAbsent) {
  Database db;
  db.Exec("DROP TABLE job_tracking, queue_config");
  EXPECT_EQ(db.Exec("SELECT metrics.refresh_if_due() "
                    "FROM generate_series(1, 4) OFFSET 3"),
            "mv_failure_hotspots");
  EXPECT_EQ(db.Exec("SELECT failures_total FROM metrics.worker_tasks "
                    "WHERE task = 'mv_job_tracking'"),
            "0");
  const auto scrape = Of(db);
  EXPECT_EQ(scrape.Reason("job_tracking"),
            "silent: table public.job_tracking does not exist");
  EXPECT_EQ(scrape.Reason("queue_settings"),
            "silent: table public.queue_config does not exist");
}

// As of version 9 and of 10: the column has two names.
std::string Boss(const std::string& created_on) {
  return "CREATE SCHEMA pgboss; CREATE TYPE pgboss.job_state AS ENUM ("
         "'created', 'retry', 'active', 'completed', 'cancelled', 'failed'); "
         "CREATE TABLE pgboss.job (id uuid DEFAULT gen_random_uuid(), "
         "name text NOT NULL, data jsonb, "
         "state pgboss.job_state NOT NULL DEFAULT 'created', " +
         created_on + " timestamptz NOT NULL DEFAULT now()); " +
         "INSERT INTO pgboss.job (name, state, " + created_on +
         ") SELECT 'run', s::pgboss.job_state, now() - interval '5 minutes' "
         "FROM unnest('{created,created,retry,active,completed,failed}'"
         "::text[]) AS s";
}

TEST(BossJobs, AreCountedByQueueAndStateInOldVersionsAndNew) {
  for (const std::string created_on : {"createdon", "created_on"}) {
    Database db;
    db.Exec(Boss(created_on));
    const auto scrape = Of(db);
    const auto value = [&](const std::string& metric,
                           const std::string& state) {
      return scrape.Value("meshhook_boss_" + metric + "{state=\"" + state +
                          "\",queue_name=\"run\"}");
    };
    EXPECT_EQ(value("jobs", "created"), 2) << scrape.Reason("boss_jobs");
    for (const std::string state : {"retry", "active", "completed", "failed"}) {
      EXPECT_EQ(value("jobs", state), 1) << state;
    }
    EXPECT_EQ(value("is_lower_bound", "created"), 0);
    EXPECT_NEAR(value("oldest_job_age_seconds", "created"), 300, 5);
    EXPECT_TRUE(std::isnan(value("oldest_job_age_seconds", "failed")));
    EXPECT_EQ(db.Exec("SELECT string_agg(DISTINCT is_lower_bound::text, ' ') "
                      "FROM metrics.boss_jobs(4)"),
              "true");
  }
}

TEST(BossJobs, AreNotWaitedFor) {
  Database db;
  db.Exec(Boss("created_on"));
  auto holder = db.Connect();
  Exec(holder, "BEGIN; LOCK TABLE pgboss.job IN ACCESS EXCLUSIVE MODE");
  const auto began = meshhook::pg::Clock::now();
  EXPECT_EQ(Of(db).Reason("boss_jobs"), "");
  EXPECT_LT(meshhook::pg::Clock::now() - began, 1s);
}

// pg_cron's two tables, with the row security that it has.
constexpr auto kCron = R"(
    CREATE SCHEMA cron;
    CREATE TABLE cron.job (
        jobid bigserial PRIMARY KEY, schedule text NOT NULL,
        command text NOT NULL, nodename text NOT NULL DEFAULT 'localhost',
        nodeport int NOT NULL DEFAULT 5432,
        database text NOT NULL DEFAULT current_database(),
        username text NOT NULL DEFAULT current_user,
        active boolean NOT NULL DEFAULT true, jobname text);
    CREATE TABLE cron.job_run_details (
        jobid bigint, runid bigserial PRIMARY KEY, job_pid int, database text,
        username text, command text, status text, return_message text,
        start_time timestamptz, end_time timestamptz);
    ALTER TABLE cron.job ENABLE ROW LEVEL SECURITY;
    ALTER TABLE cron.job_run_details ENABLE ROW LEVEL SECURITY;
    CREATE POLICY cron_job_policy ON cron.job USING (username = current_user);
    CREATE POLICY cron_job_run_details_policy ON cron.job_run_details
        USING (username = current_user);
    GRANT USAGE ON SCHEMA cron TO PUBLIC;
    GRANT SELECT ON cron.job, cron.job_run_details TO PUBLIC;
    INSERT INTO cron.job (schedule, command, username, jobname, active)
    VALUES ('* * * * *', 'SELECT 1', 'postgres', 'fold', true),
           ('* * * * *', 'SELECT 2', 'postgres', NULL, false),
           ('* * * * *', 'SELECT 3', 'somebody', 'else', true);
    INSERT INTO cron.job_run_details (jobid, username, status, start_time,
                                      end_time)
    VALUES (1, 'postgres', 'failed', now() - '3 days'::interval, now()),
           (1, 'postgres', 'succeeded', now() - '3 hours'::interval,
            now() - '2 hours'::interval),
           (1, 'postgres', 'failed', now() - '60 s'::interval,
            now() - '50 s'::interval),
           (1, 'postgres', 'running', now() - '5 s'::interval, NULL))";

TEST(CronJobs, SayHowTheLastRunWentAndHowManyFailed) {
  Database db;
  // A role that row security holds for would see its own alone; this one of
  // the fixture bypasses it.
  db.Exec(kCron, test::kSuperuser);
  const auto scrape = Of(db);
  const auto value = [&](const std::string& metric, const std::string& more) {
    return scrape.Value("meshhook_cron_job_" + metric +
                        "{jobid=\"1\",jobname=\"fold\"" + more + "}");
  };
  EXPECT_EQ(scrape.Reason("cron_jobs"), "");
  EXPECT_EQ(value("is_active", ""), 1);
  EXPECT_EQ(value("last_run_success", ""), 0);
  EXPECT_NEAR(value("last_duration_seconds", ""), 10, 0.1);
  EXPECT_EQ(value("recent_runs", ",window=\"24h\""), 3);
  EXPECT_EQ(value("recent_failures", ",window=\"24h\""), 1);
  EXPECT_NEAR(value("last_start_timestamp_seconds", ""),
              std::stod(db.Exec("SELECT extract(epoch FROM now())")) - 5, 3);
  EXPECT_EQ(
      scrape.Value("meshhook_cron_job_is_active{jobid=\"2\",jobname=\"\"}"), 0);
  EXPECT_EQ(scrape.page.find("meshhook_cron_job_last_run_success{jobid=\"2\""),
            std::string::npos);
  EXPECT_EQ(scrape.page.find("SELECT 1"), std::string::npos);
}

constexpr auto kAhead = "meshhook_event_partitions_ahead_months";
constexpr auto kAheadSeconds = "meshhook_event_partitions_ahead_seconds";

TEST(EventPartitions, SayHowManyMonthsAheadAreMade) {
  Database db;
  const auto ahead = [&db] { return Of(db).Value(kAhead); };
  EXPECT_EQ(ahead(), 2);
  EXPECT_NEAR(
      Of(db).Value(kAheadSeconds),
      std::stod(db.Exec(
          "SELECT extract(epoch FROM (date_trunc('month', now() AT TIME ZONE "
          "'UTC') + interval '3 months') AT TIME ZONE 'UTC' - now())")),
      5);
  const auto drop = [&db](int month) {
    db.Exec(
        "DO $$ BEGIN EXECUTE 'DROP TABLE ' || to_char("
        "now() AT TIME ZONE 'UTC' + interval '" +
        std::to_string(month) +
        " months', '\"workflow_events_y\"YYYY\"m\"MM'); END $$");
  };
  // A gap: what is beyond does not help.
  drop(1);
  EXPECT_EQ(ahead(), 0);
  EXPECT_GT(Of(db).Value(kAheadSeconds), 0);
  drop(0);
  EXPECT_EQ(ahead(), 0);
  EXPECT_EQ(Of(db).Value(kAheadSeconds), 0);
  EXPECT_EQ(
      test::Refusal(*std::make_unique<meshhook::pg::Connection>(db.Connect()),
                    "INSERT INTO workflow_events (run_id, type, payload) "
                    "VALUES (gen_random_uuid(), 'x', '{}')"),
      "23514");
  db.Exec(
      "CREATE TABLE workflow_events_rest PARTITION OF workflow_events "
      "DEFAULT");
  EXPECT_TRUE(std::isinf(ahead()));
}

TEST(EventPartitions, HaveSizesAndRowsSaveThoseThatAreLocked) {
  Database db;
  db.Exec(test::kOneWorkflow);
  db.Exec(test::kRun);
  db.Exec(
      "INSERT INTO workflow_events (run_id, type, payload) "
      "SELECT id, 'step_started', '{}' FROM workflow_runs");
  db.Exec("ANALYZE workflow_events");
  const auto month = db.Exec(
      "SELECT to_char(now() AT TIME ZONE 'UTC', "
      "'\"workflow_events_y\"YYYY\"m\"MM')");
  const auto size =
      "meshhook_event_partition_size_bytes{partition=\"" + month + "\"}";
  auto scrape = Of(db);
  EXPECT_EQ(
      scrape.Value(size),
      std::stod(db.Exec("SELECT pg_total_relation_size('" + month + "')")));
  EXPECT_EQ(scrape.Value("meshhook_event_partition_rows{partition=\"" + month +
                         "\"}"),
            1);
  auto holder = db.Connect();
  Exec(holder, "BEGIN; LOCK TABLE " + month + " IN ACCESS EXCLUSIVE MODE");
  const auto began = meshhook::pg::Clock::now();
  scrape = Of(db);
  EXPECT_LT(meshhook::pg::Clock::now() - began, 1s);
  EXPECT_EQ(scrape.Reason("event_partitions"), "");
  EXPECT_EQ(scrape.Value(kAhead), 2);
  EXPECT_TRUE(std::isnan(scrape.Value(size)));
}

}  // namespace
