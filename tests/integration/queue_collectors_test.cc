// SPDX-License-Identifier: MIT
// Queues and jobs: pgmq, pg-boss, job_tracking, pg_cron, and the partitions
// that events go to.
#include <gtest/gtest.h>

#include "collectors/all.h"
#include "exporter/scraper.h"
#include "tests/support/database.h"
#include "tests/support/runs.h"

namespace {

using namespace std::chrono_literals;
using test::Database;
using test::Exec;
using test::SampleSum;

struct Scrape {
  std::string page;
  meshhook::ScrapeStatus status;

  double Value(const std::string& sample) const {
    return SampleSum(page, sample);
  }
  // Why that collector has no samples.
  std::string Reason(const std::string& collector) const {
    for (const auto& one : status.collectors) {
      if (one.name != collector) continue;
      return (one.silent ? "silent: " : "") + one.reason;
    }
    return "not asked";
  }
};

Scrape Of(const Database& db) {
  using namespace meshhook::collectors;
  meshhook::Scraper scraper(db.Conninfo(test::kExporter),
                            {Queues(), QueueSettings(), JobTracking(),
                             BossJobs(), CronJobs(), EventPartitions()},
                            nullptr);
  auto page = scraper.Scrape(meshhook::pg::Clock::now() + 10s);
  return {*page, scraper.Status()};
}

std::string Messages(const std::string& queue, const std::string& state) {
  return "meshhook_queue_messages{queue_name=\"" + queue + "\",state=\"" +
         state + "\"}";
}

TEST(Queues, TellWhatIsVisibleFromWhatIsInFlightOrDelayed) {
  Database db;
  db.Exec(
      "SELECT pgmq.send_batch('workflow_jobs', "
      "array_fill('{\"secret\": 1}'::jsonb, '{7}'))");
  db.Exec(
      "SELECT pgmq.send_batch('workflow_jobs', "
      "array_fill('{}'::jsonb, '{2}'), 600)");
  db.Exec("SELECT pgmq.read('workflow_jobs', 600, 3)");
  db.Exec("SELECT pgmq.archive('workflow_jobs', '{1}')");
  db.Exec(
      "UPDATE pgmq.q_workflow_jobs SET vt = vt - interval '1 minute', "
      "enqueued_at = enqueued_at - interval '1 hour' WHERE read_ct = 0 "
      "AND vt < now()");
  db.Exec("ANALYZE pgmq.a_workflow_jobs");
  const auto scrape = Of(db);
  EXPECT_EQ(scrape.Value(Messages("workflow_jobs", "visible")), 4);
  EXPECT_EQ(scrape.Value(Messages("workflow_jobs", "in_flight")), 2);
  EXPECT_EQ(scrape.Value(Messages("workflow_jobs", "delayed")), 2);
  const std::string queue = "{queue_name=\"workflow_jobs\"}";
  EXPECT_EQ(scrape.Value("meshhook_queue_is_lower_bound" + queue), 0);
  EXPECT_EQ(scrape.Value("meshhook_queue_sent_messages_total" + queue), 9);
  EXPECT_EQ(scrape.Value("meshhook_queue_archived_rows" + queue), 1);
  EXPECT_NEAR(scrape.Value("meshhook_queue_oldest_message_age_seconds" + queue),
              3600, 5);
  EXPECT_NEAR(scrape.Value("meshhook_queue_longest_visible_seconds" + queue),
              60, 5);
  EXPECT_EQ(scrape.page.find("secret"), std::string::npos);
}

TEST(Queues, ThatAreEmptyHaveNoAge) {
  Database db;
  const auto scrape = Of(db);
  EXPECT_EQ(scrape.Value(Messages("workflow_jobs_dlq", "visible")), 0);
  EXPECT_EQ(scrape.page.find("meshhook_queue_oldest_message_age_seconds{"),
            std::string::npos);
  EXPECT_EQ(scrape.page.find("meshhook_queue_longest_visible_seconds{"),
            std::string::npos);
}

TEST(Queues, AppearByThemselvesWhateverTheirKindAndName) {
  Database db;
  meshhook::Scraper scraper(db.Conninfo(test::kExporter),
                            {meshhook::collectors::Queues()}, nullptr);
  scraper.Scrape(meshhook::pg::Clock::now() + 10s);
  db.Exec(R"(
      SELECT pgmq."create"(E'a"b''\n');
      CREATE UNLOGGED TABLE pgmq.q_hasty (LIKE pgmq.q_workflow_jobs
          INCLUDING ALL);
      CREATE TABLE pgmq.q_parted (LIKE pgmq.q_workflow_jobs
          INCLUDING IDENTITY) PARTITION BY RANGE (msg_id);
      CREATE TABLE pgmq.q_parted_p0 PARTITION OF pgmq.q_parted
          FOR VALUES FROM (0) TO (3);
      CREATE TABLE pgmq.q_parted_p1 PARTITION OF pgmq.q_parted DEFAULT;
      INSERT INTO pgmq.meta VALUES ('Hasty', false, true),
                                   ('parted', true, false),
                                   ('no table of this name', false, false);
      SELECT pgmq.send_batch('hasty', array_fill('{}'::jsonb, '{2}'));
      SELECT pgmq.send_batch('parted', array_fill('{}'::jsonb, '{5}')))");
  const auto page = *scraper.Scrape(meshhook::pg::Clock::now() + 10s);
  EXPECT_EQ(SampleSum(page, Messages(R"(a\"b'\n)", "visible")), 0);
  EXPECT_EQ(SampleSum(page, Messages("Hasty", "visible")), 2);
  EXPECT_EQ(SampleSum(page, Messages("parted", "visible")), 5);
  EXPECT_EQ(
      SampleSum(page,
                "meshhook_queue_sent_messages_total{queue_name=\"parted\"}"),
      5);
  EXPECT_EQ(page.find("no table"), std::string::npos);
}

TEST(Queues, AreCountedToABoundThatIsSaid) {
  Database db;
  db.Exec(
      "SELECT pgmq.send_batch('workflow_jobs', "
      "array_fill('{}'::jsonb, '{50}'))");
  db.Exec(
      "UPDATE pgmq.q_workflow_jobs SET enqueued_at = now() - "
      "interval '1 hour' WHERE msg_id = 1");
  const std::string of_queue =
      " FROM metrics.queues(20) WHERE queue_name = 'workflow_jobs'";
  EXPECT_EQ(db.Exec("SELECT concat_ws(' ', visible_count, is_lower_bound, "
                    "round(oldest_age_seconds / 60))" +
                    of_queue),
            "20 t 60");
  EXPECT_EQ(db.Exec("SELECT visible_count FROM metrics.queues(NULL) "
                    "WHERE queue_name = 'workflow_jobs'"),
            "50");
}

TEST(Queues, ThatAreLockedOrDroppedHoldUpNobody) {
  Database db;
  auto holder = db.Connect();
  Exec(holder,
       "BEGIN; LOCK TABLE pgmq.q_workflow_jobs "
       "IN ACCESS EXCLUSIVE MODE; DROP TABLE pgmq.q_workflow_jobs");
  const auto began = meshhook::pg::Clock::now();
  auto scrape = Of(db);
  EXPECT_LT(meshhook::pg::Clock::now() - began, 1s);
  EXPECT_EQ(scrape.Reason("queues"), "");
  EXPECT_EQ(scrape.page.find(Messages("workflow_jobs", "visible")),
            std::string::npos);
  EXPECT_EQ(scrape.Value(Messages("workflow_jobs_dlq", "visible")), 0);
  Exec(holder, "COMMIT");
  scrape = Of(db);
  EXPECT_EQ(scrape.Reason("queues"), "");
  EXPECT_EQ(scrape.Value(Messages("workflow_jobs_dlq", "visible")), 0);
}

// A view, a type or a policy of somebody else's would run that one's code with
// the rights of MeshHook's owner.
TEST(Queues, RunNoCodeOfOthers) {
  Database db;
  db.Exec(R"(
      CREATE TABLE public.loot (who text);
      CREATE FUNCTION public.take(bigint) RETURNS boolean LANGUAGE plpgsql AS $$
      BEGIN INSERT INTO public.loot VALUES (current_user); RETURN true; END $$;
      CREATE VIEW pgmq.q_view AS SELECT * FROM pgmq.q_workflow_jobs
          WHERE public.take(msg_id);
      SELECT pgmq.send_batch('workflow_jobs', array_fill('{}'::jsonb, '{2}'));
      INSERT INTO pgmq.meta VALUES ('view', false, false))");
  EXPECT_EQ(db.Exec("SELECT count(*) FROM pgmq.q_view"), "2");
  db.Exec("TRUNCATE public.loot");
  auto scrape = Of(db);
  EXPECT_EQ(scrape.page.find("\"view\""), std::string::npos);
  EXPECT_EQ(scrape.Value(Messages("workflow_jobs", "visible")), 2);

  // Of a role that row security holds for, and that owns the queue.
  db.Exec(R"(
      CREATE TABLE pgmq.q_policed (LIKE pgmq.q_workflow_jobs INCLUDING ALL);
      INSERT INTO pgmq.meta VALUES ('policed', false, false);
      ALTER TABLE pgmq.q_policed ENABLE ROW LEVEL SECURITY;
      ALTER TABLE pgmq.q_policed FORCE ROW LEVEL SECURITY;
      CREATE POLICY p ON pgmq.q_policed USING (public.take(msg_id));
      SELECT pgmq.send_batch('policed', array_fill('{}'::jsonb, '{2}')))");
  Of(db);
  EXPECT_EQ(db.Exec("SELECT count(*) FROM public.loot"), "0");
}

TEST(Queues, ThatTheOwnerMayNotReadAreNamedWithTheReason) {
  Database db;
  db.Exec(
      "SELECT pgmq.\"create\"('hidden'); "
      "ALTER TABLE pgmq.q_hidden OWNER TO supabase_admin",
      test::kSuperuser);
  db.Exec("REVOKE ALL ON pgmq.q_hidden FROM postgres, pg_monitor",
          test::kSuperuser);
  EXPECT_NE(Of(db).Reason("queues").find("permission denied for table "
                                         "q_hidden"),
            std::string::npos)
      << Of(db).Reason("queues");
}

TEST(Queues, AreSilentWherePgmqIsNot) {
  Database db;
  db.Exec("DROP SCHEMA pgmq CASCADE");
  const auto scrape = Of(db);
  EXPECT_EQ(scrape.Reason("queues"), "silent: pgmq is not installed");
  EXPECT_EQ(scrape.Reason("boss_jobs"), "silent: pg-boss is not installed");
  EXPECT_EQ(scrape.Reason("cron_jobs"),
            "silent: pg_cron 1.3 or newer is not installed");
}

TEST(QueueSettings, AreWhatMeshHookGoesBy) {
  Database db;
  const auto scrape = Of(db);
  EXPECT_EQ(scrape.Value("meshhook_queue_visibility_timeout_seconds"
                         "{queue_name=\"workflow_jobs\"}"),
            30);
  EXPECT_EQ(scrape.Value("meshhook_queue_retry_limit_attempts"
                         "{queue_name=\"workflow_jobs\"}"),
            5);
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
  db.Exec("SELECT metrics.refresh_if_due() FROM generate_series(1, 4)");
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
