// SPDX-License-Identifier: MIT
// Who may do what, tested by what each role is refused.
#include <gtest/gtest.h>

#include <array>
#include <iterator>
#include <sstream>

#include "tests/support/database.h"
#include "tests/support/runs.h"

namespace {

using test::Database;
using test::Refusal;

constexpr auto kRefused = "42501";
constexpr auto kDone = "";
constexpr std::array kTenants{"anon", "authenticated", "service_role"};

// The schema's relations, sequences included, as names to use in a statement.
constexpr auto kRelations = R"(
    SELECT string_agg(oid::regclass::text, ' ')
    FROM pg_class WHERE relnamespace = 'metrics'::regnamespace
                    AND relkind IN ('r', 'p', 'v', 'm'))";

std::vector<std::string> Words(const std::string& text) {
  std::istringstream words(text);
  return {std::istream_iterator<std::string>(words), {}};
}

class Access : public testing::Test {
 protected:
  Access() {
    db_.Exec(test::kWorkflows);
    db_.Exec(test::kRun);
    db_.Exec("SELECT metrics.fold()");
  }

  // A session that has the rights of that role, as the API's sessions do.
  meshhook::pg::Connection As(const std::string& role) {
    auto session = db_.Connect(test::kSuperuser);
    test::Exec(session, "SET ROLE " + role);
    return session;
  }

  // Of schema metrics: the relations, or functions, for which that holds.
  std::string Relations(const std::string& condition) {
    return db_.Exec(
        "SELECT coalesce(string_agg(oid::regclass::text, ', '), '') "
        "FROM pg_class WHERE relnamespace = 'metrics'::regnamespace "
        "AND relkind IN ('r', 'p', 'v', 'm') AND " +
        condition);
  }
  std::string Functions(const std::string& condition) {
    return db_.Exec(
        "SELECT coalesce(string_agg(oid::regprocedure::text, ', '), '') "
        "FROM pg_proc WHERE pronamespace = 'metrics'::regnamespace AND " +
        condition);
  }

  Database db_;
};

TEST_F(Access, TenantsAreRefusedEveryRelation) {
  const auto relations = Words(db_.Exec(kRelations));
  ASSERT_GE(relations.size(), 10u);
  for (const char* role : kTenants) {
    auto session = As(role);
    for (const auto& relation : relations) {
      EXPECT_EQ(Refusal(session, "SELECT FROM " + relation), kRefused)
          << role << " " << relation;
    }
    EXPECT_EQ(Refusal(session, "DELETE FROM metrics.workflow_run_metrics"),
              kRefused);
    EXPECT_EQ(Refusal(session, "SELECT metrics.fold()"), kRefused);
    EXPECT_EQ(Refusal(session, "SELECT metrics.backfill()"), kRefused);
    EXPECT_EQ(Refusal(session, "CREATE TABLE metrics.mine ()"), kRefused);
  }
}

// By the catalogue, so that what a later migration adds is covered too. The
// role `public` stands for everybody.
TEST_F(Access, TenantsAndEverybodyHaveNoRightOnAnything) {
  for (const std::string role :
       {"anon", "authenticated", "service_role", "authenticator", "public"}) {
    EXPECT_EQ(db_.Exec("SELECT has_schema_privilege('" + role +
                       "', 'metrics', 'USAGE, CREATE')"),
              "f")
        << role;
    EXPECT_EQ(Relations("has_table_privilege('" + role +
                        "', oid, 'SELECT, INSERT, UPDATE, DELETE, TRUNCATE, "
                        "REFERENCES, TRIGGER')"),
              "")
        << role;
    EXPECT_EQ(Relations("has_any_column_privilege('" + role +
                        "', oid, 'SELECT, INSERT, UPDATE, REFERENCES')"),
              "")
        << role;
    EXPECT_EQ(db_.Exec("SELECT count(*) FROM pg_sequence JOIN pg_class AS c "
                       "ON c.oid = seqrelid "
                       "WHERE relnamespace = 'metrics'::regnamespace "
                       "AND has_sequence_privilege('" +
                       role + "', seqrelid, 'USAGE, SELECT, UPDATE')"),
              "0")
        << role;
    EXPECT_EQ(
        Functions("has_function_privilege('" + role + "', oid, 'EXECUTE')"), "")
        << role;
  }
}

TEST_F(Access, TheExporterReadsNothingOfMeshHooks) {
  auto exporter = db_.Connect(test::kExporter);
  for (const char* table :
       {"projects", "workflow_definitions", "workflow_runs", "workflow_events",
        "job_tracking", "queue_config", "secrets", "audit_log"}) {
    EXPECT_EQ(Refusal(exporter, "SELECT FROM public." + std::string(table)),
              kRefused)
        << table;
  }
  EXPECT_EQ(Refusal(exporter, "SELECT FROM auth.users"), kRefused);
  EXPECT_EQ(Refusal(exporter, "SELECT * FROM pg_authid"), kRefused);
  EXPECT_EQ(Refusal(exporter, "SELECT pg_read_file('/etc/passwd')"), kRefused);
}

TEST_F(Access, TheExporterWritesNothingDirectly) {
  auto exporter = db_.Connect(test::kExporter);
  for (const auto& statement :
       {"INSERT INTO public.workflow_runs DEFAULT VALUES",
        "UPDATE public.workflow_runs SET status = 'failed'",
        "DELETE FROM public.projects", "TRUNCATE public.workflow_runs",
        "DELETE FROM metrics.execution_time_statistics",
        "UPDATE metrics.workflow_run_metrics SET success_count = 0",
        "UPDATE metrics.fold_state SET facts_total = 0",
        "UPDATE metrics.worker_tasks SET failures_total = 0",
        "UPDATE metrics.backfill_state SET finished_at = NULL",
        "DELETE FROM metrics.refresh_log",
        "DELETE FROM metrics.schema_migrations", "CREATE TABLE metrics.mine ()",
        "CREATE SCHEMA mine", "CREATE TABLE public.mine ()", "CREATE ROLE mine",
        "DROP TABLE metrics.fold_state",
        "REFRESH MATERIALIZED VIEW metrics.mv_workflow_metrics",
        "ALTER TABLE public.workflow_runs DISABLE TRIGGER ALL"}) {
    EXPECT_EQ(Refusal(exporter, statement), kRefused) << statement;
  }
  EXPECT_EQ(Relations("has_table_privilege("
                      "'meshhook_exporter', oid, 'INSERT, UPDATE, DELETE, "
                      "TRUNCATE, REFERENCES, TRIGGER')"),
            "");
}

TEST_F(Access, TheExporterCallsOnlyWhatTheWorkerNeeds) {
  auto exporter = db_.Connect(test::kExporter);
  for (const auto& statement :
       {"SELECT metrics.backfill()", "SELECT metrics.ensure_partitions()",
        "SELECT metrics.adopt_restored_facts(s) FROM metrics.fold_state AS "
        "s"}) {
    EXPECT_EQ(Refusal(exporter, statement), kRefused) << statement;
  }
  for (const auto& statement :
       {"SELECT metrics.fold()", "SELECT metrics.pending_facts()",
        "SELECT metrics.refresh_if_due()", "SELECT metrics.maintain()",
        "SELECT * FROM metrics.workflow_counters",
        "SELECT * FROM metrics.workflow_names",
        "SELECT * FROM metrics.active_runs",
        "SELECT * FROM metrics.mv_workflow_metrics",
        "SELECT * FROM metrics.worker_tasks"}) {
    EXPECT_EQ(Refusal(exporter, statement), kDone) << statement;
  }
  EXPECT_EQ(
      Refusal(exporter, "SELECT * FROM metrics.execution_time_statistics"),
      kRefused);
}

TEST_F(Access, TheApisRoleHasNoRightsYet) {
  EXPECT_EQ(db_.Exec("SELECT has_schema_privilege('meshhook_api', 'metrics', "
                     "'USAGE, CREATE')"),
            "f");
  EXPECT_EQ(Functions("has_function_privilege('meshhook_api', oid, 'EXECUTE')"),
            "");
}

TEST_F(Access, OurRolesAreNoMoreThanTheyNeedToBe) {
  EXPECT_EQ(db_.Exec("SELECT count(*) FROM pg_roles "
                     "WHERE rolname IN ('meshhook_exporter', 'meshhook_api') "
                     "AND (rolsuper OR rolcreaterole OR rolcreatedb "
                     "OR rolreplication OR rolbypassrls)"),
            "0");
  EXPECT_EQ(db_.Exec("SELECT string_agg(roleid::regrole::text, ', ') "
                     "FROM pg_auth_members "
                     "WHERE member = 'meshhook_exporter'::regrole"),
            "pg_monitor");
}

// A function with its owner's rights must not be led astray by objects of the
// caller's, nor be there for everybody to call.
TEST_F(Access, FunctionsWithTheirOwnersRightsArePinned) {
  EXPECT_GE(std::stoi(db_.Exec("SELECT count(*) FROM pg_proc WHERE prosecdef "
                               "AND pronamespace = 'metrics'::regnamespace")),
            5);
  EXPECT_EQ(Functions("prosecdef AND NOT coalesce(proconfig @> "
                      "ARRAY['search_path=\"\"'], false)"),
            "");
  EXPECT_EQ(Functions("prosecdef AND has_function_privilege('public', oid, "
                      "'EXECUTE')"),
            "");
  EXPECT_EQ(Functions("proowner <> 'postgres'::regrole"), "");
}

// What a tenant puts into a schema of its own does not run with our rights.
TEST_F(Access, FunctionsAreNotLedAstrayByTheCallersSchema) {
  auto session = db_.Connect(test::kSuperuser);
  test::Exec(session, R"(
      CREATE SCHEMA evil;
      GRANT USAGE ON SCHEMA evil TO PUBLIC;
      CREATE FUNCTION evil.now() RETURNS timestamptz LANGUAGE plpgsql
      AS $$ BEGIN RAISE 'led astray'; END $$;
      CREATE FUNCTION evil.clock_timestamp() RETURNS timestamptz
      LANGUAGE plpgsql AS $$ BEGIN RAISE 'led astray'; END $$;
      SET search_path = evil, pg_catalog, public;
      SET ROLE meshhook_exporter)");
  for (const auto& statement :
       {"SELECT metrics.fold()", "SELECT metrics.maintain()",
        "SELECT metrics.refresh_if_due()", "SELECT metrics.pending_facts()"}) {
    EXPECT_EQ(Refusal(session, statement), kDone) << statement;
  }
  test::Exec(session, "RESET ROLE; SET ROLE service_role");
  EXPECT_EQ(Refusal(session,
                    "INSERT INTO workflow_runs (project_id, workflow_id, "
                    "status, finished_at) SELECT project_id, id, 'failed', "
                    "pg_catalog.now() FROM workflow_definitions"),
            kDone);
}

// The trigger writes where the writer may not.
TEST_F(Access, TenantsWritesAreCountedThoughTheyMayNotCount) {
  auto worker = As("service_role");
  EXPECT_EQ(Refusal(worker, test::kRun), kDone);
  EXPECT_EQ(Refusal(worker, "SELECT FROM metrics.execution_time_statistics"),
            kRefused);
  EXPECT_EQ(db_.Exec("SELECT metrics.fold()"), "1");
  EXPECT_EQ(db_.Exec(test::kCounted), "2");
}

TEST_F(Access, RightsAreTheSameForANewPartition) {
  db_.Exec("SELECT metrics.ensure_partitions(6)");
  EXPECT_EQ(
      Relations("relname LIKE 'execution_time_statistics%' "
                "AND EXISTS ("
                "SELECT FROM unnest("
                "'{anon,authenticated,service_role,meshhook_exporter}'::text[]"
                ") AS role WHERE has_table_privilege(role, pg_class.oid, "
                "'SELECT, INSERT, UPDATE, DELETE'))"),
      "");
}

}  // namespace
