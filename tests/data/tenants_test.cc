// SPDX-License-Identifier: MIT
// Tenants see their own projects, whatever they try, and nobody else's.
#include <gtest/gtest.h>

#include "tests/support/database.h"
#include "tests/support/runs.h"

namespace {

using meshhook::pg::Connection;
using test::Database;
using test::Exec;
using test::Refusal;

constexpr auto kRefused = "42501";
constexpr auto kDone = "";

constexpr auto kAda = "00000000-0000-4000-8000-00000000000a";
constexpr auto kBob = "00000000-0000-4000-8000-00000000000b";
constexpr auto kNobody = "00000000-0000-4000-8000-00000000000c";

constexpr const char* kRelations[] = {
    "metrics.workflow_run_metrics", "metrics.my_workflow_metrics",
    "metrics.my_step_latency", "metrics.my_failure_hotspots"};

// Ada has two projects of one workflow, Bob one of two. Each of Ada's workflows
// has 3 runs, each of Bob's 5; every run fails a step once.
constexpr auto kTwoTenants = R"(
    INSERT INTO projects (id, owner, name)
    VALUES ('00000000-0000-0000-0000-0000000000a1', 'ADA', 'A1'),
           ('00000000-0000-0000-0000-0000000000a2', 'ADA', 'A2'),
           ('00000000-0000-0000-0000-0000000000b1', 'BOB', 'B1');
    INSERT INTO workflow_definitions (id, project_id, slug, name)
    VALUES ('10000000-0000-0000-0000-0000000000a1',
            '00000000-0000-0000-0000-0000000000a1', 'w', 'W'),
           ('10000000-0000-0000-0000-0000000000a2',
            '00000000-0000-0000-0000-0000000000a2', 'w', 'W'),
           ('10000000-0000-0000-0000-0000000000b1',
            '00000000-0000-0000-0000-0000000000b1', 'w', 'W'),
           ('10000000-0000-0000-0000-0000000000b2',
            '00000000-0000-0000-0000-0000000000b1', 'v', 'V');
    INSERT INTO workflow_runs (project_id, workflow_id, status)
    SELECT d.project_id, d.id, 'running'
    FROM workflow_definitions AS d JOIN projects AS p ON p.id = project_id,
         generate_series(1, CASE p.owner WHEN 'ADA' THEN 3 ELSE 5 END);
    INSERT INTO workflow_events (run_id, type, payload)
    SELECT r.id, type, '{"node": {"id": "call", "type": "http_call"},
                         "error": "HTTP 503"}'
    FROM workflow_runs AS r,
         unnest('{step_started,step_failed,step_succeeded}'::text[]) AS type;
    UPDATE workflow_runs SET status = 'succeeded', finished_at = now())";

class Tenants : public testing::Test {
 protected:
  Tenants() {
    std::string sql = kTwoTenants;
    for (const auto& [name, id] :
         {std::pair{"ADA", kAda}, std::pair{"BOB", kBob}}) {
      for (size_t at; (at = sql.find(name)) != sql.npos;) {
        sql.replace(at, 3, id);
      }
    }
    db_.Exec(sql);
    Refresh();
  }

  void Refresh() {
    db_.Exec("SELECT metrics.fold(), metrics.fold_trends()");
    db_.Exec("SELECT metrics.fold_steps(2000, '0')");
    for (const std::string view :
         {"mv_workflow_metrics", "mv_step_latency", "mv_failure_hotspots"}) {
      db_.Exec("REFRESH MATERIALIZED VIEW metrics." + view);
    }
  }
  // As the API's session for a request with those claims.
  Connection With(const std::string& claims) {
    auto session = db_.As("authenticated");
    Exec(session,
         "SELECT set_config('request.jwt.claims', '" + claims + "', false)");
    return session;
  }
  Connection User(const std::string& id) {
    return With("{\"sub\": \"" + id + "\", \"role\": \"authenticated\"}");
  }
  // The projects in a relation that are seen, by the last two digits.
  std::string Seen(Connection& session, const std::string& relation) {
    return Exec(session,
                "SELECT coalesce(string_agg(DISTINCT right(project_id::text, "
                "2), ' '), '') FROM " +
                    relation);
  }
  // What the functions count together.
  std::string Counted(Connection& session) {
    return Exec(session, R"(
        SELECT concat_ws(' ',
            (SELECT execution_count FROM metrics.my_overview()),
            (SELECT execution_count_24h FROM metrics.my_overview()),
            (SELECT execution_count FROM metrics.my_execution_times()),
            (SELECT coalesce(sum(execution_count), 0) FROM metrics.my_trend(
                 'hour', now() - interval '1 day', now() + interval '1 day')),
            (SELECT coalesce(sum(execution_count), 0) FROM metrics.my_trend(
                 'day', now() - interval '1 day', now() + interval '1 day'))))");
  }

  Database db_;
};

TEST_F(Tenants, SeeTheirOwnProjects) {
  for (const auto& [user, projects, counted] :
       {std::tuple{kAda, "a1 a2", "6 6 6 6 6"},
        std::tuple{kBob, "b1", "10 10 10 10 10"},
        std::tuple{kNobody, "", "0 0 0 0 0"}}) {
    auto session = User(user);
    for (const auto* relation : kRelations) {
      EXPECT_EQ(Seen(session, relation), projects) << relation;
    }
    EXPECT_EQ(Counted(session), counted);
  }
}

TEST_F(Tenants, SeeNothingOfAWorkflowOfOthers) {
  auto ada = User(kAda);
  auto bob = User(kBob);
  for (const std::string call :
       {"my_execution_times('10000000-0000-0000-0000-0000000000b1')",
        "my_trend('hour', '-infinity', 'infinity', "
        "'10000000-0000-0000-0000-0000000000b1')",
        "my_trend('day', '-infinity', 'infinity', "
        "'10000000-0000-0000-0000-0000000000b1')"}) {
    const auto sum =
        "SELECT coalesce(sum(execution_count), 0) FROM metrics." + call;
    EXPECT_EQ(Exec(ada, sum), "0") << call;
    EXPECT_EQ(Exec(bob, sum), "5") << call;
  }
}

TEST_F(Tenants, WithoutClaimsSeeNothing) {
  auto session = db_.As("authenticated");
  for (const auto* relation : kRelations) {
    EXPECT_EQ(Seen(session, relation), "") << relation;
  }
  EXPECT_EQ(Counted(session), "0 0 0 0 0");
}

TEST_F(Tenants, WithMalformedClaimsSeeNothingOrAnError) {
  for (const std::string claims :
       {"", "{}", "[]", "null", "\"sub\"", "{\"sub\": null}", "{\"sub\": \"\"}",
        "{\"sub\": \"*\"}", "{\"sub\": {\"sub\": 1}}", "not json",
        "{\"sub\": \"00000000-0000-4000-8000-00000000000A\" OR true}"}) {
    auto session = With(claims);
    for (const std::string seen :
         {"count(*) FROM metrics.workflow_run_metrics",
          "count(*) FROM metrics.my_workflow_metrics",
          "count(*) FROM metrics.my_step_latency",
          "count(*) FROM metrics.my_failure_hotspots",
          "execution_count FROM metrics.my_overview()",
          "execution_count FROM metrics.my_execution_times()",
          "count(*) FROM metrics.my_trend('day', '-infinity', 'infinity')"}) {
      // Division by zero: there was something.
      const auto refusal = Refusal(
          session, "SELECT 1 / (n = 0)::int FROM (SELECT " +
                       std::string(seen).insert(seen.find(" FROM"), " AS n") +
                       ") AS seen");
      EXPECT_TRUE(refusal == kDone || refusal.rfind("22P", 0) == 0)
          << refusal << " for " << claims << " and " << seen;
    }
  }
}

// A condition of the tenant's is asked about its own rows only, however cheap
// it says that it is.
TEST_F(Tenants, LearnNothingByAFunctionThatTells) {
  // How it would be without a barrier, to show that the test can fail.
  db_.Exec(R"(
      CREATE VIEW public.no_barrier AS SELECT * FROM metrics.mv_workflow_metrics
      WHERE project_id = ANY ((SELECT metrics.my_projects())::uuid[]);
      GRANT SELECT ON public.no_barrier TO authenticated)");
  auto ada = User(kAda);
  Exec(ada, R"(
      CREATE FUNCTION pg_temp.tells(uuid) RETURNS boolean LANGUAGE plpgsql
      COST 0.0000001 AS $$ BEGIN
          IF $1::text NOT LIKE '%a_' THEN RAISE 'saw %', $1; END IF;
          RETURN true;
      END $$)");
  const auto ask = [&](const std::string& relation) {
    return Refusal(
        ada, "SELECT FROM " + relation + " WHERE pg_temp.tells(project_id)");
  };
  EXPECT_EQ(ask("public.no_barrier"), "P0001");
  for (const auto* relation : kRelations) {
    EXPECT_EQ(ask(relation), kDone) << relation;
  }
}

TEST_F(Tenants, AreRefusedEveryWrite) {
  auto ada = User(kAda);
  for (const auto* statement :
       {"UPDATE metrics.workflow_run_metrics SET success_count = 0",
        "DELETE FROM metrics.workflow_run_metrics",
        "TRUNCATE metrics.workflow_run_metrics",
        "INSERT INTO metrics.workflow_run_metrics "
        "SELECT * FROM metrics.workflow_run_metrics",
        "REFRESH MATERIALIZED VIEW metrics.mv_workflow_metrics",
        "ALTER TABLE metrics.workflow_run_metrics DISABLE ROW LEVEL SECURITY",
        "DROP POLICY own_projects ON metrics.workflow_run_metrics",
        "CREATE POLICY mine ON metrics.workflow_run_metrics USING (true)",
        "CREATE OR REPLACE VIEW metrics.my_workflow_metrics AS SELECT 1",
        "ALTER VIEW metrics.my_workflow_metrics RESET (security_barrier)"}) {
    EXPECT_EQ(Refusal(ada, statement), kRefused) << statement;
  }
  for (const auto* statement :
       {"DELETE FROM metrics.my_workflow_metrics",
        "UPDATE metrics.my_step_latency SET project_id = NULL"}) {
    EXPECT_NE(Refusal(ada, statement), kDone) << statement;
  }
  // Not around the policy either: it would be an error, not all rows.
  Exec(ada, "SET row_security = off");
  EXPECT_EQ(Refusal(ada, "SELECT FROM metrics.workflow_run_metrics"), kRefused);
}

TEST_F(Tenants, CannotNameAnotherBucketThanThoseThereAre) {
  auto ada = User(kAda);
  for (const std::string bucket :
       {"week", "hour; DROP TABLE workflow_runs", "day'' OR true --", ""}) {
    EXPECT_EQ(Refusal(ada, "SELECT * FROM metrics.my_trend('" + bucket +
                               "', now() - interval '1 day', now())"),
              "22023")
        << bucket;
  }
}

// As MeshHook has it: its tables named without a schema, and no search path.
constexpr auto kUnpinned = R"(
    CREATE OR REPLACE FUNCTION public.user_project_ids() RETURNS SETOF uuid
    LANGUAGE sql SECURITY DEFINER STABLE
    AS $$ SELECT id FROM projects WHERE owner = auth.uid() $$;
    ALTER FUNCTION public.user_project_ids() RESET ALL)";

TEST_F(Tenants, AreServedThoughMeshHooksFunctionHasNoSearchPath) {
  db_.Exec(kUnpinned);
  auto ada = User(kAda);
  // As PostgREST may have it.
  Exec(ada, "SET search_path = metrics");
  for (const auto* relation : kRelations) {
    EXPECT_EQ(Seen(ada, relation), "a1 a2") << relation;
  }
  EXPECT_EQ(Counted(ada), "6 6 6 6 6");
}

TEST_F(Tenants, CannotPassATableOfTheirOwnForTheProjects) {
  db_.Exec(kUnpinned);
  auto ada = User(kAda);
  Exec(ada, std::string(R"(
      CREATE TEMP TABLE projects AS
      SELECT '00000000-0000-0000-0000-0000000000b1'::uuid AS id, ')") +
                kAda + R"('::uuid AS owner;
      GRANT ALL ON projects TO PUBLIC;
      CREATE TEMP TABLE workflow_run_metrics AS SELECT 1 AS one;
      CREATE DOMAIN pg_temp.uuid AS text;
      SET search_path = pg_temp, metrics, public)");
  for (const auto* relation : kRelations) {
    EXPECT_EQ(Seen(ada, relation), "a1 a2") << relation;
  }
  EXPECT_EQ(Counted(ada), "6 6 6 6 6");
}

// MeshHook lets a tenant write a run of its own project that names any
// workflow. That must not make the workflow's figures the tenant's.
TEST_F(Tenants, DoNotGetAWorkflowOfOthersByARunThatNamesIt) {
  db_.Exec(
      "INSERT INTO workflow_definitions (id, project_id, slug, name) "
      "VALUES ('10000000-0000-0000-0000-0000000000b3', "
      "'00000000-0000-0000-0000-0000000000b1', 'new', 'New')");
  auto ada = User(kAda);
  Exec(ada, R"(
      INSERT INTO workflow_runs (project_id, workflow_id, status)
      SELECT '00000000-0000-0000-0000-0000000000a1', w::uuid, 'running'
      FROM unnest('{10000000-0000-0000-0000-0000000000b3,
                    10000000-0000-0000-0000-0000000000b1}'::text[]) AS w;
      INSERT INTO workflow_events (run_id, type, payload)
      SELECT id, 'step_failed', '{"node": {"id": "mine"}}'
      FROM workflow_runs WHERE status = 'running')");
  Exec(ada,
       "UPDATE workflow_runs SET status = 'failed', finished_at = now() "
       "WHERE status = 'running'");
  Refresh();
  for (const auto* relation : kRelations) {
    EXPECT_EQ(Exec(ada, std::string("SELECT count(*) FROM ") + relation +
                            " WHERE right(workflow_id::text, 2) LIKE 'b_'"),
              "0")
        << relation;
  }
  EXPECT_EQ(Exec(ada,
                 "SELECT execution_count FROM metrics.my_execution_times("
                 "'10000000-0000-0000-0000-0000000000b3')"),
            "0");
  auto bob = User(kBob);
  EXPECT_EQ(Seen(bob, "metrics.workflow_run_metrics"), "b1");
  EXPECT_EQ(Exec(bob, "SELECT count(*) FROM metrics.workflow_run_metrics"),
            "3");
}

}  // namespace
