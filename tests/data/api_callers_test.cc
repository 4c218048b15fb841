// SPDX-License-Identifier: MIT
// Whoever calls the API's functions gets rows of their own and no others,
// whatever the request says.
#include "tests/support/tenants.h"

namespace {

using test::Exec;
using test::Refusal;

// Those that answer anybody, with what they need.
struct Read {
  std::string function;
  std::string needs;  // more members
};

class ApiCallers : public test::TwoTenants {
 protected:
  ApiCallers() {
    auto ada = User(kAda);
    auto bob = User(kBob);
    for (auto* tenant : {&ada, &bob}) {
      const std::string of = tenant == &ada ? "a1" : "b1";
      Answer(*tenant, "set_alert",
             Of("project_id", Project(of),
                R"("scope": "project", "metric": "stuck_runs", "warning": 7)"));
      Answer(*tenant, "set_alert",
             Of("workflow_id", Workflow(of),
                R"("scope": "workflow", "metric": "stuck_runs",
                   "critical": 9)"));
    }
  }

  // What of the answers tells whose: ids, by their last two digits.
  std::string Ids(const std::string& answer) {
    return db_.Exec(
        "SELECT coalesce(string_agg(DISTINCT right(m[1], 2), ' '), "
        "'') FROM regexp_matches(" +
        Quoted(answer) +
        ", '[12]0000000-0000-4000-8000-00000000..[ab]\\d', 'g') "
        "AS m");
  }
  // The sum of what the functions count.
  std::string Counts(meshhook::pg::Connection& session) {
    return Exec(session, R"(
        SELECT concat_ws(' ',
            (metrics.api_overview('{}')::jsonb #> '{project_count}'),
            (metrics.api_overview('{}')::jsonb #> '{workflow_count}'),
            (metrics.api_overview('{}')::jsonb #> '{lifetime,execution_count}'),
            jsonb_array_length(metrics.api_summary('{}')::jsonb -> 'items'),
            jsonb_array_length(metrics.api_alerts('{}')::jsonb -> 'items'),
            (SELECT coalesce(sum((i #>> '{sums,execution_count}')::int), 0)
             FROM jsonb_array_elements(
                 metrics.api_trend('{}')::jsonb -> 'items') AS i)))");
  }
};

TEST_F(ApiCallers, SeeTheirOwn) {
  const auto runs = [&](const std::string& like, const std::string& days) {
    return db_.Exec(
        "SELECT count(*) FROM workflow_runs WHERE "
        "project_id::text LIKE '%" +
        like +
        "' AND finished_at >= date_trunc('day', now() - "
        "interval '" +
        days + " days', 'UTC')");
  };
  for (const auto& [user, like, ids, things] :
       {std::tuple{kAda, "a_", "a1 a2 a3 a4 a5 a6", "2 6"},
        std::tuple{kBob, "b_", "b1 b2 b3", "1 3"},
        std::tuple{kNobody, "c_", "", "0 0"}}) {
    auto session = User(user);
    const std::string count(1, things[2]);
    EXPECT_EQ(Counts(session),
              std::string(things) + " " + runs(like, "99") + " " + count + " " +
                  (count == "0" ? "3" : "5") + " " + runs(like, "30"));
    EXPECT_EQ(Ids(Answer(session, "summary", "{}")), ids);
  }
  auto all = Operator();
  EXPECT_EQ(Counts(all), "3 9 " + runs("%", "99") + " 9 7 " + runs("%", "30"));
  EXPECT_EQ(Ids(Answer(all, "summary", "{}")), "a1 a2 a3 a4 a5 a6 b1 b2 b3");
}

TEST_F(ApiCallers, KnowTheirProjects) {
  auto ada = User(kAda);
  auto nobody = User(kNobody);
  auto all = Operator();
  EXPECT_EQ(Ids(Exec(ada, "SELECT metrics.api_projects()")), "a1 a2");
  EXPECT_EQ(Exec(nobody, "SELECT metrics.api_projects()"), "[]");
  EXPECT_EQ(Exec(all, "SELECT metrics.api_projects()"), "null");
}

// Nothing tells what is another's from what is not there.
TEST_F(ApiCallers, FindNothingOfOthersNorOfNobodys) {
  auto ada = User(kAda);
  auto all = Operator();
  const std::string unknown = "20000000-0000-4000-8000-0000000000ff";
  for (const std::string function :
       {"overview", "summary", "trend", "execution_times", "alerts"}) {
    for (const auto& project : {Project("b1"), unknown}) {
      EXPECT_EQ(Answer(ada, function, Of("project_id", project)), "")
          << function;
    }
    EXPECT_NE(Answer(ada, function, Of("project_id", Project("a2"))), "");
    EXPECT_NE(Answer(all, function, Of("project_id", Project("b1"))), "");
    EXPECT_EQ(Answer(all, function, Of("project_id", unknown)), "");
  }
  for (const std::string function :
       {"workflow", "summary", "trend", "execution_times", "alerts"}) {
    for (const auto& workflow : {Workflow("b1"), unknown}) {
      EXPECT_EQ(Answer(ada, function, Of("workflow_id", workflow)), "")
          << function;
    }
    EXPECT_EQ(
        Ids(Answer(ada, function, Of("workflow_id", Workflow("a4")))).find('b'),
        std::string::npos);
    EXPECT_NE(Answer(ada, function, Of("workflow_id", Workflow("a4"))), "");
    EXPECT_NE(Answer(all, function, Of("workflow_id", Workflow("b1"))), "");
    EXPECT_EQ(Answer(all, function, Of("workflow_id", unknown)), "");
    // A workflow of one project asked for in another.
    EXPECT_EQ(Answer(ada, function == "workflow" ? "summary" : function,
                     Of("workflow_id", Workflow("a4"),
                        "\"project_id\": \"" + Project("a1") + "\"")),
              "");
  }
}

TEST_F(ApiCallers, FindAProjectsOwnByItsId) {
  auto ada = User(kAda);
  EXPECT_EQ(Ids(Answer(ada, "summary", Of("project_id", Project("a1")))),
            "a1 a2 a3");
  EXPECT_EQ(Ids(Answer(ada, "summary", Of("workflow_id", Workflow("a4")))),
            "a2 a4");
  EXPECT_EQ(Ids(Answer(ada, "summary", R"({"status": "archived"})")),
            "a1 a2 a3 a5");
  EXPECT_EQ(Ids(Answer(ada, "alerts", R"({"scope": "project"})")), "a1");
  EXPECT_EQ(Ids(Answer(ada, "alerts", R"({"scope": "workflow"})")), "a1");
  EXPECT_EQ(Ids(Answer(ada, "alerts", R"({"scope": "global"})")), "");
}

TEST_F(ApiCallers, WithoutClaimsSeeNothing) {
  for (const auto* claims : {"", "{}", R"({"sub": null})"}) {
    auto session = With(claims);
    EXPECT_EQ(Counts(session), "0 0 0 0 3 0") << claims;
  }
}

TEST_F(ApiCallers, WithMalformedClaimsSeeNothingOrAnError) {
  for (const std::string claims :
       {"[]", "null", "\"sub\"", "{\"sub\": \"\"}", "{\"sub\": \"*\"}",
        "{\"sub\": {\"sub\": 1}}", "not json",
        "{\"sub\": \"00000000-0000-4000-8000-00000000000A\" OR true}"}) {
    auto session = With(claims);
    for (const std::string function :
         {"overview", "summary", "trend", "execution_times"}) {
      const auto refusal = Refusal(session, Call(function, "{}"));
      EXPECT_TRUE(refusal.rfind("22P", 0) == 0 ||
                  Ids(Answer(session, function, "{}")).empty())
          << refusal << " for " << claims;
    }
  }
}

// To say in the claims that one is an operator makes nobody one.
TEST_F(ApiCallers, AreOperatorsByTheirRoleAlone) {
  auto liar = With(R"({"role": "service_role", "is_operator": true})");
  EXPECT_EQ(Counts(liar), "0 0 0 0 3 0");
  EXPECT_EQ(Refusal(liar, Call("queue_depth", "{}")), kRefused);
  for (const std::string statement :
       {"SET metrics.role = 'meshhook_operator'",
        "SET ROLE 'meshhook_operator'; RESET ROLE; SET ROLE authenticated"}) {
    Refusal(liar, statement);
    EXPECT_EQ(Counts(liar), "0 0 0 0 3 0") << statement;
  }
  // Who is `authenticated` by another login cannot become one.
  auto other = db_.Connect("authenticator");
  EXPECT_EQ(Refusal(other, "SET ROLE meshhook_operator"), kRefused);
  EXPECT_EQ(
      Refusal(other, "SELECT set_config('role', 'meshhook_operator', true)"),
      kRefused);
}

TEST_F(ApiCallers, ThatAreOperatorsMayDoNoMoreThanCall) {
  auto all = Operator();
  for (const std::string table :
       {"public.projects", "public.workflow_definitions",
        "public.workflow_runs", "public.workflow_events", "public.secrets",
        "auth.users", "metrics.workflow_run_metrics",
        "metrics.execution_time_statistics", "metrics.mv_workflow_metrics",
        "pgmq.q_workflow_jobs"}) {
    EXPECT_EQ(Refusal(all, "SELECT FROM " + table), kRefused) << table;
  }
  for (const std::string call :
       {"fold()", "maintain()", "rebuild()", "record_access('[]')",
        "add_up_recent_days()"}) {
    EXPECT_EQ(Refusal(all, "SELECT metrics." + call), kRefused) << call;
  }
  // The queues hold something to be counted.
  db_.Exec("SELECT pgmq.send_batch('workflow_jobs', ARRAY['{}'::jsonb])");
  const auto queues = Answer(all, "queue_depth", "{}");
  EXPECT_EQ(Member(queues, "items,0,queue_name"), "workflow_jobs");
  EXPECT_EQ(Member(queues, "items,0,visible_count"), "1");
  EXPECT_EQ(Member(queues, "items,1,oldest_age"), "");
  db_.Exec("DROP SCHEMA pgmq CASCADE");
  EXPECT_EQ(Answer(all, "queue_depth", "{}"), R"({"items": []})");
}

// A tenant can write a run of its project and of another's workflow.
TEST_F(ApiCallers, DoNotGetAWorkflowOfOthersByARunThatNamesIt) {
  auto ada = User(kAda);
  Exec(ada,
       "INSERT INTO public.workflow_runs (project_id, workflow_id, status)"
       " SELECT '" +
           Project("a1") + "', w::uuid, 'succeeded' FROM unnest('{" +
           Workflow("b1") + "," + Workflow("b3") + "}'::text[]) AS w");
  Refresh();
  for (const std::string function : {"workflow", "execution_times", "trend"}) {
    EXPECT_EQ(Answer(ada, function, Of("workflow_id", Workflow("b3"))), "");
  }
  EXPECT_EQ(Ids(Answer(ada, "summary", "{}")), "a1 a2 a3 a4 a5 a6");
}

// As MeshHook has it: its tables named without a schema, and no search path.
TEST_F(ApiCallers, CannotPassATableOfTheirOwnForTheProjects) {
  db_.Exec(R"(
      CREATE OR REPLACE FUNCTION public.user_project_ids() RETURNS SETOF uuid
      LANGUAGE sql SECURITY DEFINER STABLE
      AS $$ SELECT id FROM projects WHERE owner = auth.uid() $$;
      ALTER FUNCTION public.user_project_ids() RESET ALL;
      GRANT TEMPORARY ON DATABASE ")" +
           db_.name() + "\" TO authenticated");
  auto ada = User(kAda);
  const auto counts = Counts(ada);
  Exec(ada, "CREATE TEMP TABLE projects AS SELECT '" + Project("b1") +
                "'::uuid AS id, '" + kAda + R"('::uuid AS owner;
      GRANT ALL ON projects TO PUBLIC;
      CREATE TEMP TABLE workflow_definitions AS SELECT 1 AS one;
      CREATE TEMP TABLE alert_thresholds AS SELECT 1 AS one;
      CREATE DOMAIN pg_temp.uuid AS text;
      CREATE FUNCTION pg_temp.current_setting(text, boolean) RETURNS text
      LANGUAGE sql AS $$ SELECT 'meshhook_operator' $$;
      SET search_path = pg_temp, metrics, public)");
  EXPECT_EQ(Counts(ada), counts);
}

// All parameters with values of every kind: what is wrong is refused as such,
// and nothing of Bob's is ever in an answer.
TEST_F(ApiCallers, MayAskAnything) {
  auto ada = User(kAda);
  EXPECT_EQ(Exec(ada, R"(
      CREATE FUNCTION pg_temp.anything() RETURNS text LANGUAGE plpgsql AS $f$
      DECLARE
          function text;
          name     text;
          value    jsonb;
          request  jsonb;
          answer   text;
          asked    int := 0;
          refused  int := 0;
          bad      text := '';
      BEGIN
          FOR function, name, value IN
              SELECT f, n, v
              FROM (VALUES
                       ('overview', '{project_id,start_date,end_date}'),
                       ('workflow', '{workflow_id,start_date,end_date}'),
                       ('summary', '{project_id,workflow_id,status,sort,order,
                                     start_date,end_date,limit,cursor}'),
                       ('trend', '{project_id,workflow_id,bucket,start_date,
                                   end_date,limit,cursor}'),
                       ('execution_times', '{project_id,workflow_id,
                                             start_date,end_date}'),
                       ('alerts', '{project_id,workflow_id,scope,metric,
                                    resolved,limit,cursor}'),
                       ('set_alert', '{project_id,workflow_id,scope,metric,
                                       warning,critical,window,enabled}'),
                       ('remove_alert', '{threshold_id}'))
                       AS c (f, names),
                   unnest(names::text[]) AS n,
                   jsonb_array_elements($j$[null, true, 0, -1, 1.5, 1e300,
                       -1e-300, 12345678901234567890, "", " ", "'", "\"",
                       "' OR true --", "'; DROP TABLE workflow_runs; --",
                       "1) UNION SELECT 1", "$$", "%s%I%L", "\\", "*",
                       "20000000-0000-4000-8000-0000000000b1",
                       "{20000000-0000-4000-8000-0000000000b1}",
                       "now", "infinity", "2026-02-30T00:00:00Z",
                       "0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z",
                       "2026-01-01T00:00:00", "NaN", "Infinity",
                       "e30", "eyJxIjogMX0", "AAAA", "____", "é\u0001😀",
                       [], {}, [1], {"a": [{}]}, ["' OR true"]]$j$) AS v
          LOOP
              request := CASE
                  WHEN function = 'workflow' THEN
                      '{"workflow_id": "20000000-0000-4000-8000-0000000000a1"}'
                  WHEN function = 'set_alert' THEN
                      '{"scope": "workflow", "metric": "p95_duration",
                        "workflow_id": "20000000-0000-4000-8000-0000000000a1",
                        "warning": 10}'
                  ELSE '{}' END::jsonb || jsonb_build_object(name, value);
              asked := asked + 1;
              BEGIN
                  EXECUTE format('SELECT metrics.api_%s($1)', function)
                  INTO answer USING request;
                  IF answer ~ '[12]0000000-0000-4000-8000-00000000..b' THEN
                      bad := bad || format(E'\n%s %s', function, request);
                  END IF;
              EXCEPTION WHEN OTHERS THEN
                  refused := refused + 1;
                  IF SQLSTATE NOT IN ('MH400', 'MH403')
                     AND left(SQLSTATE, 2) <> '22' THEN
                      bad := bad || format(E'\n%s %s: %s %s', function,
                                           request, SQLSTATE, SQLERRM);
                  END IF;
              END;
          END LOOP;
          RETURN format('%s %s%s', asked > 1500, refused > 1000, bad);
      END $f$;
      SELECT pg_temp.anything())"),
            "t t");
  for (const std::string request :
       {"null", "[]", "[1, \"cursor\"]", "1", "\"cursor\"", "true", "{}"}) {
    for (const std::string function :
         {"overview", "workflow", "summary", "trend", "execution_times",
          "alerts", "set_alert", "remove_alert"}) {
      const auto refusal = Refusal(ada, Call(function, request));
      EXPECT_TRUE(refusal == kDone || refusal == kWrong ||
                  refusal.rfind("22", 0) == 0)
          << function << request << refusal;
    }
  }
  EXPECT_EQ(db_.Exec("SELECT count(*) > 0 FROM workflow_runs"), "t");
}

}  // namespace
