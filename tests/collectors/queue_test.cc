// SPDX-License-Identifier: MIT
// pgmq's queues, and what MeshHook goes by.
#include <gtest/gtest.h>

#include "collectors/all.h"
#include "tests/support/database.h"
#include "tests/support/scrape.h"

namespace {

using namespace std::chrono_literals;
using test::Database;
using test::Exec;
using test::SampleSum;

test::Scrape Of(const Database& db) {
  return test::ScrapeOf(db, {meshhook::collectors::Queues(),
                             meshhook::collectors::QueueSettings()});
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
          INCLUDING IDENTITY INCLUDING DEFAULTS) PARTITION BY RANGE (msg_id);
      CREATE TABLE pgmq.q_parted_p0 PARTITION OF pgmq.q_parted
          FOR VALUES FROM (0) TO (3);
      CREATE TABLE pgmq.q_parted_p1 PARTITION OF pgmq.q_parted DEFAULT;
      INSERT INTO pgmq.meta VALUES ('Hasty', false, true),
                                   ('parted', true, false),
                                   ('no table of this name', false, false);
      SELECT pgmq.send_batch('hasty', array_fill('{}'::jsonb, '{2}'));
      SELECT pgmq.send_batch('parted', array_fill('{}'::jsonb, '{5}')))");
  const auto page = scraper.Scrape(meshhook::pg::Clock::now() + 10s)->text();
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

// A view, or a type with a cast, of somebody else's would run that one's code
// with the rights of MeshHook's owner.
TEST(Queues, RunNoCodeOfOthers) {
  Database db;
  db.Exec(R"(
      CREATE FUNCTION public.ran() RETURNS timestamptz LANGUAGE plpgsql AS $$
      BEGIN RAISE EXCEPTION 'ran as %', current_user; END $$;
      CREATE VIEW pgmq.q_view AS
          SELECT msg_id, read_ct, enqueued_at, public.ran() AS vt, message
          FROM pgmq.q_workflow_jobs;
      CREATE TYPE public.moment AS (at timestamptz);
      CREATE FUNCTION public.at(public.moment) RETURNS timestamptz
      LANGUAGE sql AS 'SELECT public.ran()';
      CREATE CAST (public.moment AS timestamptz)
          WITH FUNCTION public.at AS IMPLICIT;
      CREATE TABLE pgmq.q_cast AS
          SELECT 1::bigint AS msg_id, 0 AS read_ct, now() AS enqueued_at,
                 ROW(now())::public.moment AS vt;
      SELECT pgmq.send_batch('workflow_jobs', array_fill('{}'::jsonb, '{2}'));
      INSERT INTO pgmq.meta VALUES ('view', false, false),
                                   ('cast', false, false))");
  auto session = db.Connect();
  for (const char* trap : {"view", "cast"}) {
    EXPECT_EQ(
        test::Refusal(session, "SELECT count(*) FROM pgmq.q_" +
                                   std::string(trap) + " WHERE vt <= now()"),
        "P0001")
        << trap;
  }
  const auto scrape = Of(db);
  EXPECT_EQ(scrape.Reason("queues"), "");
  EXPECT_EQ(scrape.Value(Messages("workflow_jobs", "visible")), 2);
  EXPECT_EQ(scrape.page.find("queue_name=\"view\""), std::string::npos);
  EXPECT_EQ(scrape.page.find("queue_name=\"cast\""), std::string::npos);
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

}  // namespace
