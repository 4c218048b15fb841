// SPDX-License-Identifier: MIT
// Who may do what: by the catalogue, so that what a later migration adds is
// covered too, and by what each role is refused. What tenants see is in
// tenants_test.cc, what the exporter's role could try in takeover_test.cc.
#include <gtest/gtest.h>

#include <algorithm>
#include <sstream>

#include "exporter/migrations.h"
#include "tests/support/database.h"
#include "tests/support/process.h"
#include "tests/support/rights.h"
#include "tests/support/runs.h"

namespace {

using namespace std::chrono_literals;
using test::Database;
using test::Refusal;
using test::RightsOf;
using test::Template;

constexpr auto kRefused = "42501";
constexpr auto kDone = "";

// Migrations 0019 to 0029 in full.
constexpr auto kRightsOfTenants =
    R"(DELETE ON alert_thresholds
EXECUTE ON api_alerts(request jsonb)
EXECUTE ON api_execution_times(request jsonb)
EXECUTE ON api_overview(request jsonb)
EXECUTE ON api_projects()
EXECUTE ON api_remove_alert(request jsonb)
EXECUTE ON api_set_alert(request jsonb)
EXECUTE ON api_summary(request jsonb)
EXECUTE ON api_trend(request jsonb)
EXECUTE ON api_workflow(request jsonb)
EXECUTE ON asked_boolean(request jsonb, parameter text, otherwise boolean)
EXECUTE ON asked_integer(request jsonb, parameter text, lowest integer, highest integer, otherwise integer)
EXECUTE ON asked_place(request jsonb, operation text)
EXECUTE ON asked_scope(request jsonb, OUT projects uuid[], OUT workflow uuid, OUT known boolean)
EXECUTE ON asked_time(request jsonb, parameter text)
EXECUTE ON asked_uuid(request jsonb, parameter text)
EXECUTE ON asked_value(request jsonb, parameter text, metric text)
EXECUTE ON asked_word(request jsonb, parameter text, words text[], otherwise text)
EXECUTE ON is_operator()
EXECUTE ON my_execution_times(workflow_id uuid, start_date timestamp with time zone, end_date timestamp with time zone)
EXECUTE ON my_overview()
EXECUTE ON my_projects()
EXECUTE ON my_trend(bucket text, start_date timestamp with time zone, end_date timestamp with time zone, workflow_id uuid)
EXECUTE ON new_cursor(request jsonb, operation text, place jsonb)
EXECUTE ON question(request jsonb, operation text)
EXECUTE ON refuse(parameter text, wrong text, what_is_right text)
EXECUTE ON threshold_json(t metrics.alert_thresholds)
INSERT ON alert_thresholds
SELECT ON alert_thresholds
SELECT ON my_failure_hotspots
SELECT ON my_step_latency
SELECT ON my_workflow_metrics
SELECT ON workflow_run_metrics
UPDATE ON alert_thresholds
USAGE ON SCHEMA metrics)";
constexpr auto kRightsOfOperators = R"(DELETE ON alert_thresholds
EXECUTE ON api_alerts(request jsonb)
EXECUTE ON api_changes(seen text)
EXECUTE ON api_execution_times(request jsonb)
EXECUTE ON api_overview(request jsonb)
EXECUTE ON api_projects()
EXECUTE ON api_queue_depth(request jsonb)
EXECUTE ON api_remove_alert(request jsonb)
EXECUTE ON api_set_alert(request jsonb)
EXECUTE ON api_summary(request jsonb)
EXECUTE ON api_trend(request jsonb)
EXECUTE ON api_workflow(request jsonb)
EXECUTE ON asked_boolean(request jsonb, parameter text, otherwise boolean)
EXECUTE ON asked_integer(request jsonb, parameter text, lowest integer, highest integer, otherwise integer)
EXECUTE ON asked_place(request jsonb, operation text)
EXECUTE ON asked_scope(request jsonb, OUT projects uuid[], OUT workflow uuid, OUT known boolean)
EXECUTE ON asked_time(request jsonb, parameter text)
EXECUTE ON asked_uuid(request jsonb, parameter text)
EXECUTE ON asked_value(request jsonb, parameter text, metric text)
EXECUTE ON asked_word(request jsonb, parameter text, words text[], otherwise text)
EXECUTE ON is_operator()
EXECUTE ON my_projects()
EXECUTE ON new_cursor(request jsonb, operation text, place jsonb)
EXECUTE ON question(request jsonb, operation text)
EXECUTE ON refuse(parameter text, wrong text, what_is_right text)
EXECUTE ON threshold_json(t metrics.alert_thresholds)
INSERT ON alert_thresholds
SELECT ON alert_threshold_changes
SELECT ON alert_thresholds
SELECT ON api_audit
UPDATE ON alert_thresholds
USAGE ON SCHEMA metrics)";
constexpr auto kRightsOfTheApisLogin =
    R"(EXECUTE ON record_access(entries jsonb)
USAGE ON SCHEMA metrics)";
constexpr auto kRightsOfTheExporter =
    R"(EXECUTE ON boss_jobs(most integer)
EXECUTE ON cron_jobs()
EXECUTE ON duration_bounds_ms()
EXECUTE ON fold(max_facts integer)
EXECUTE ON fold_steps(max_runs integer, settle interval)
EXECUTE ON fold_trends(max_facts integer)
EXECUTE ON maintain()
EXECUTE ON pending_facts(consumer_name text, most integer)
EXECUTE ON pending_facts(most integer)
EXECUTE ON queue_settings()
EXECUTE ON queues(most integer)
EXECUTE ON record_task(task text, started_at timestamp with time zone, rows bigint, sqlstate text)
EXECUTE ON refresh_if_due(max_duty double precision, max_staleness interval)
EXECUTE ON slow_runs(newest integer)
SELECT ON active_runs
SELECT ON backfill_state
SELECT ON fold_state
SELECT ON mv_failure_hotspots
SELECT ON mv_job_tracking
SELECT ON mv_step_latency
SELECT ON mv_workflow_metrics
SELECT ON refresh_log
SELECT ON resolved_alert_thresholds
SELECT ON retention
SELECT ON schema_migrations
SELECT ON step_metrics
SELECT ON step_totals
SELECT ON worker_tasks
SELECT ON workflow_counters
SELECT ON workflow_names
USAGE ON SCHEMA metrics)";

void ExpectRights(Database& db) {
  for (const auto* role : {"public", "anon", "service_role", "authenticator"}) {
    EXPECT_EQ(RightsOf(db, role), "") << role;
  }
  EXPECT_EQ(RightsOf(db, "meshhook_api"), kRightsOfTheApisLogin);
  EXPECT_EQ(RightsOf(db, "meshhook_operator"), kRightsOfOperators);
  EXPECT_EQ(RightsOf(db, "authenticated"), kRightsOfTenants);
  EXPECT_EQ(RightsOf(db, "meshhook_exporter"), kRightsOfTheExporter);
}

// That the role is refused everything there but what it has a right to.
void ExpectRefusals(Database& db, const std::string& role,
                    const std::string& rights) {
  auto session = db.As(role);
  const auto uses = test::Uses(db);
  ASSERT_GE(uses.size(), 60u);
  for (const auto& use : uses) {
    if (("\n" + rights + "\n").find("\n" + use.object + "\n") !=
        std::string::npos) {
      EXPECT_NE(Refusal(session, use.statement), kRefused)
          << role << ": " << use.statement;
    } else {
      EXPECT_EQ(Refusal(session, use.statement), kRefused)
          << role << ": " << use.statement;
    }
  }
  EXPECT_EQ(Refusal(session, "CREATE TABLE metrics.mine ()"), kRefused);
  EXPECT_EQ(Refusal(session, "DELETE FROM metrics.workflow_run_metrics"),
            kRefused);
  EXPECT_EQ(Refusal(session,
                    "SELECT nextval("
                    "'metrics.execution_time_statistics_id_seq')"),
            kRefused);
}

class Access : public testing::Test {
 protected:
  Access() {
    db_.Exec(test::kWorkflows);
    db_.Exec(test::kRun);
    db_.Exec("SELECT metrics.fold()");
  }

  // Of the schema's functions, those for which that holds.
  std::string Functions(const std::string& condition) {
    return db_.Exec(
        "SELECT coalesce(string_agg(oid::regprocedure::text, ', '), '') "
        "FROM pg_proc WHERE pronamespace = 'metrics'::regnamespace AND " +
        condition);
  }

  Database db_;
};

TEST_F(Access, IsWhatTheLastMigrationSaysAndNoMore) { ExpectRights(db_); }

TEST_F(Access, IsTheSameInPartitionsThatAreMadeLater) {
  db_.Exec("SELECT metrics.ensure_partitions(6)");
  ExpectRights(db_);
}

TEST_F(Access, IsRefusedToThoseWithoutRights) {
  for (const auto* role : {"anon", "service_role", "authenticator"}) {
    ExpectRefusals(db_, role, "");
  }
}

TEST_F(Access, OfTenantsIsRefusedBeyondTheirRights) {
  ExpectRefusals(db_, "authenticated", kRightsOfTenants);
}

TEST_F(Access, OfOperatorsIsRefusedBeyondTheirRights) {
  ExpectRefusals(db_, "meshhook_operator", kRightsOfOperators);
  auto session = db_.As("meshhook_operator");
  for (const auto* table : {"projects", "workflow_runs", "secrets"}) {
    EXPECT_EQ(Refusal(session, "SELECT FROM public." + std::string(table)),
              kRefused)
        << table;
  }
}

TEST_F(Access, OfTheExporterIsRefusedBeyondItsRights) {
  ExpectRefusals(db_, "meshhook_exporter", kRightsOfTheExporter);
}

// As an administrator may have set it, and Supabase does for schema public.
TEST(DefaultPrivileges, LeaveNothingOpen) {
  Database db(Template::kFixture);
  for (const auto* kind :
       {"TABLES", "FUNCTIONS", "SEQUENCES", "TYPES", "SCHEMAS"}) {
    db.Exec("ALTER DEFAULT PRIVILEGES GRANT ALL ON " + std::string(kind) +
            " TO anon, authenticated, service_role, meshhook_api, PUBLIC");
  }
  meshhook::Migrate(db.Conninfo(), meshhook::EmbeddedMigrations(), 60s,
                    [](const std::string&) {});
  ExpectRights(db);
  db.Exec("SELECT metrics.ensure_partitions(6)");
  ExpectRights(db);
  ExpectRefusals(db, "anon", "");
  ExpectRefusals(db, "authenticated", kRightsOfTenants);
}

TEST_F(Access, NeedsNoSuperuserToInstall) {
  EXPECT_EQ(db_.Exec("SELECT string_agg(DISTINCT rolname || ' ' || rolsuper, "
                     "', ') FROM pg_roles, (SELECT nspowner FROM pg_namespace "
                     "WHERE nspname = 'metrics' UNION SELECT relowner "
                     "FROM pg_class WHERE relnamespace = "
                     "'metrics'::regnamespace UNION SELECT proowner "
                     "FROM pg_proc WHERE pronamespace = "
                     "'metrics'::regnamespace) AS o (owner) "
                     "WHERE pg_roles.oid = owner"),
            "postgres false");
}

// A function with its owner's rights must not be led astray by objects of the
// caller's, nor be there for everybody to call.
TEST_F(Access, FunctionsWithTheirOwnersRightsArePinned) {
  EXPECT_GE(std::stoi(db_.Exec("SELECT count(*) FROM pg_proc WHERE prosecdef "
                               "AND pronamespace = 'metrics'::regnamespace")),
            20);
  EXPECT_EQ(Functions("prosecdef AND NOT coalesce(proconfig @> "
                      "ARRAY['search_path=pg_catalog, pg_temp'], false)"),
            "");
  EXPECT_EQ(Functions("has_function_privilege('public', oid, 'EXECUTE')"), "");
}

// A view that filters by tenant and is no barrier would show what it hides.
TEST_F(Access, OfTenantsIsBehindBarriersAndRowSecurity) {
  EXPECT_EQ(db_.Exec("SELECT coalesce(string_agg(relname, ', '), '') "
                     "FROM pg_class WHERE relnamespace = "
                     "'metrics'::regnamespace AND has_table_privilege("
                     "'authenticated', oid, 'SELECT') AND NOT "
                     "CASE relkind WHEN 'v' THEN coalesce(reloptions @> "
                     "'{security_barrier=true}', false) "
                     "ELSE relrowsecurity END"),
            "");
}

TEST_F(Access, OfTheExporterIsToNothingOfMeshHooks) {
  auto exporter = db_.Connect(test::kExporter);
  for (const char* table :
       {"projects", "workflow_definitions", "workflow_runs", "workflow_events",
        "job_tracking", "queue_config", "secrets", "audit_log"}) {
    EXPECT_EQ(Refusal(exporter, "SELECT FROM public." + std::string(table)),
              kRefused)
        << table;
  }
  for (const char* statement :
       {"SELECT FROM auth.users", "SELECT * FROM pg_authid",
        "SELECT pg_read_file('/etc/passwd')",
        "INSERT INTO public.workflow_runs DEFAULT VALUES",
        "UPDATE public.workflow_runs SET status = 'failed'",
        "DELETE FROM public.projects", "TRUNCATE public.workflow_runs",
        "ALTER TABLE public.workflow_runs DISABLE TRIGGER ALL"}) {
    EXPECT_EQ(Refusal(exporter, statement), kRefused) << statement;
  }
}

// pgmq itself lets members of pg_monitor read; without that the role counts
// messages and reads none.
TEST_F(Access, OfTheExporterIsToTheNumberOfMessagesNotToWhatTheySay) {
  db_.Exec("SELECT pgmq.send_batch('workflow_jobs', ARRAY['{}'::jsonb])");
  db_.Exec(
      "REVOKE ALL ON ALL TABLES IN SCHEMA pgmq FROM pg_monitor; "
      "REVOKE ALL ON SCHEMA pgmq FROM pg_monitor");
  auto exporter = db_.Connect(test::kExporter);
  for (const char* table : {"meta", "q_workflow_jobs", "a_workflow_jobs"}) {
    EXPECT_EQ(Refusal(exporter, "SELECT FROM pgmq." + std::string(table)),
              kRefused)
        << table;
  }
  EXPECT_EQ(test::Exec(exporter,
                       "SELECT visible_count FROM metrics.queues() "
                       "WHERE queue_name = 'workflow_jobs'"),
            "1");
  for (const char* role : {"anon", "authenticated", "service_role"}) {
    auto session = db_.As(role);
    EXPECT_EQ(Refusal(session, "SELECT * FROM metrics.queues()"), kRefused);
    EXPECT_EQ(Refusal(session, "SELECT * FROM metrics.boss_jobs()"), kRefused);
    EXPECT_EQ(Refusal(session, "SELECT * FROM metrics.cron_jobs()"), kRefused);
    EXPECT_EQ(Refusal(session, "SELECT * FROM metrics.job_totals()"), kRefused);
  }
}

// Through a view a lock would fall on MeshHook's own tables.
TEST_F(Access, ToAViewLocksNobodyOut) {
  auto exporter = db_.Connect(test::kExporter);
  auto tenant = db_.As("authenticated");
  const auto lock = [](const std::string& view, const std::string& mode) {
    return "DO $$ BEGIN LOCK TABLE metrics." + view + " IN " + mode +
           " MODE; END $$";
  };
  for (const auto* mode : {"SHARE", "EXCLUSIVE", "ACCESS EXCLUSIVE"}) {
    EXPECT_EQ(Refusal(exporter, lock("active_runs", mode)), kRefused);
    EXPECT_EQ(Refusal(tenant, lock("my_workflow_metrics", mode)), kRefused);
  }
  EXPECT_EQ(Refusal(exporter, "SELECT * FROM metrics.fold_state FOR UPDATE"),
            kRefused);
}

TEST_F(Access, OfTheApisLoginIsThatOfItsCallersAndOnlyOnceItIsOne) {
  ExpectRefusals(db_, "meshhook_api", kRightsOfTheApisLogin);
  auto api = db_.Connect("meshhook_api");
  EXPECT_EQ(Refusal(api, "SELECT FROM public.projects"), kRefused);
  std::istringstream roles(
      db_.Exec("SELECT string_agg(rolname, ' ') FROM pg_roles "
               "WHERE rolname NOT IN ('authenticated', 'meshhook_operator', "
               "'meshhook_api')"));
  for (std::string role; roles >> role;) {
    const auto refusal = Refusal(api, "SET ROLE \"" + role + "\"");
    // A role of another test may be gone meanwhile.
    EXPECT_TRUE(refusal == kRefused || refusal == "22023") << role << refusal;
  }
  EXPECT_EQ(Refusal(api, "SET ROLE authenticated"), kDone);
  EXPECT_EQ(Refusal(api, "SELECT * FROM metrics.my_overview()"), kDone);
  EXPECT_EQ(Refusal(api, "SET ROLE meshhook_operator"), kDone);
  EXPECT_EQ(Refusal(api, "SELECT metrics.api_overview('{}')"), kDone);
}

TEST_F(Access, OfOurRolesIsNoMoreThanTheyNeed) {
  EXPECT_EQ(db_.Exec("SELECT count(*) FROM pg_roles "
                     "WHERE rolname IN ('meshhook_exporter', 'meshhook_api', "
                     "'meshhook_operator') "
                     "AND (rolsuper OR rolcreaterole OR rolcreatedb "
                     "OR rolreplication OR rolbypassrls)"),
            "0");
  EXPECT_EQ(db_.Exec("SELECT string_agg(member::regrole || ' in ' "
                     "|| roleid::regrole, ', ' ORDER BY member::regrole::text, "
                     "roleid::regrole::text) "
                     "FROM pg_auth_members WHERE member IN ("
                     "'meshhook_exporter'::regrole, 'meshhook_api'::regrole, "
                     "'meshhook_operator'::regrole)"),
            "meshhook_api in authenticated, meshhook_api in meshhook_operator, "
            "meshhook_exporter in pg_monitor");
}

// The trigger writes where the writer may not.
TEST_F(Access, ToCountIsNotNeededToBeCounted) {
  auto worker = db_.As("service_role");
  EXPECT_EQ(Refusal(worker, test::kRun), kDone);
  EXPECT_EQ(Refusal(worker, "SELECT FROM metrics.execution_time_statistics"),
            kRefused);
  EXPECT_EQ(db_.Exec("SELECT metrics.fold()"), "1");
  EXPECT_EQ(db_.Exec(test::kCounted), "2");
}

class Realtime : public testing::Test {
 protected:
  // What `migrate` says on standard error.
  std::string Migrate() {
    const auto ended = test::Run({MESHHOOK_EXPORTER, "migrate"},
                                 {{"DATABASE_URL", db_.Url()}});
    EXPECT_EQ(ended.status, 0) << ended.err;
    return ended.err;
  }
  // What of ours the publication has been given.
  std::string Published() {
    return db_.Exec(
        "SELECT coalesce(string_agg(prrelid::regclass::text, ', '), '') "
        "FROM pg_publication_rel JOIN pg_class AS c ON c.oid = prrelid "
        "WHERE relnamespace = 'metrics'::regnamespace");
  }

  Database db_{Template::kFixture};
};

TEST_F(Realtime, GetsTheLiveCountsAndNothingElse) {
  EXPECT_EQ(Migrate(), "");
  EXPECT_EQ(Published(), "metrics.workflow_run_metrics");
}

TEST_F(Realtime, MayBeAbsent) {
  db_.Exec("DROP PUBLICATION supabase_realtime");
  EXPECT_EQ(Migrate(), "");
  EXPECT_EQ(Published(), "");
}

TEST_F(Realtime, MayHaveAllTablesAlready) {
  db_.Exec("DROP PUBLICATION supabase_realtime");
  db_.Exec("CREATE PUBLICATION supabase_realtime FOR ALL TABLES",
           test::kSuperuser);
  EXPECT_EQ(Migrate(), "");
  EXPECT_EQ(Published(), "");
}

TEST_F(Realtime, MayBelongToAnotherWhichIsSaid) {
  db_.Exec("ALTER PUBLICATION supabase_realtime OWNER TO supabase_admin",
           test::kSuperuser);
  const auto said = Migrate();
  EXPECT_NE(said.find("workflow_run_metrics could not join supabase_realtime"),
            said.npos)
      << said;
  EXPECT_EQ(Published(), "");
}

}  // namespace
