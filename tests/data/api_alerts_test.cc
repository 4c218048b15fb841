// SPDX-License-Identifier: MIT
// Alert thresholds: what is refused, who may set which, what holds, and who
// changed what.
#include "tests/support/tenants.h"

namespace {

using test::Exec;
using test::Refusal;

class ApiAlerts : public test::TwoTenants {
 protected:
  ApiAlerts()
      : TwoTenants(false),
        ada_(User(kAda)),
        bob_(User(kBob)),
        all_(Operator()) {}

  // A threshold's members without its scope.
  static std::string On(const std::string& scope, const std::string& id,
                        const std::string& more) {
    return Of(
        "scope", scope,
        (id.empty() ? "" : "\"" + scope + "_id\": \"" + id + "\", ") + more);
  }
  std::string Set(meshhook::pg::Connection& session, const std::string& scope,
                  const std::string& id, const std::string& more) {
    return Answer(session, "set_alert", On(scope, id, more));
  }
  // What is raised for that.
  std::string Wrong(const std::string& more) {
    return Complaint(ada_, "set_alert", On("workflow", Workflow("a1"), more));
  }
  // The thresholds that hold, each "ID METRIC WARNING CRITICAL ENABLED".
  std::string Resolved(const std::string& where = "true") {
    return db_.Exec(
        "SELECT coalesce(string_agg(concat_ws(' ', coalesce("
        "right(workflow_id::text, 2), '-'), metric, coalesce("
        "warning::text, '-'), coalesce(critical::text, '-'), "
        "enabled), ', ' ORDER BY workflow_id NULLS FIRST, metric), "
        "'') FROM metrics.resolved_alert_thresholds WHERE " +
        where);
  }

  meshhook::pg::Connection ada_;
  meshhook::pg::Connection bob_;
  meshhook::pg::Connection all_;
};

constexpr auto kSlow = R"("metric": "p95_duration", "warning": 500)";

TEST_F(ApiAlerts, BeginWithGlobalOnes) {
  EXPECT_EQ(Resolved(),
            "- failure_ratio 0.1 0.25 t, - p95_duration 120000 - t, "
            "- stuck_runs 1 - t");
}

TEST_F(ApiAlerts, AreSetAndReplacedAndRemoved) {
  const auto set =
      Set(ada_, "workflow", Workflow("a1"), std::string(kSlow) + R"(,
          "critical": 900.5, "window": "24h")");
  for (const auto& [member, value] :
       {std::pair{"scope", "workflow"}, std::pair{"metric", "p95_duration"},
        std::pair{"warning", "500"}, std::pair{"critical", "900.5"},
        std::pair{"window", "24h"}, std::pair{"enabled", "true"},
        std::pair{"updated_by", kAda}}) {
    EXPECT_EQ(Member(set, member), value) << member;
  }
  EXPECT_EQ(Member(set, "workflow_id"), Workflow("a1"));
  EXPECT_EQ(Member(set, "project_id"), Project("a1"));
  EXPECT_EQ(Answer(ada_, "alerts", R"({"scope": "workflow"})"),
            db_.Exec("SELECT jsonb_build_object('items', jsonb_build_array(" +
                     Quoted(set) + "::jsonb), 'next_cursor', NULL)"));

  const auto again = Set(ada_, "workflow", Workflow("a1"), kSlow);
  EXPECT_EQ(Member(again, "threshold_id"), Member(set, "threshold_id"));
  EXPECT_EQ(Member(again, "critical"), "");
  EXPECT_EQ(Member(again, "window"), "1h");
  EXPECT_EQ(Member(again, "created_at"), Member(set, "created_at"));

  const auto id = Of("threshold_id", Member(set, "threshold_id"));
  EXPECT_EQ(Answer(ada_, "remove_alert", id), "{}");
  EXPECT_EQ(Answer(ada_, "remove_alert", id), "");
  EXPECT_EQ(Answer(ada_, "alerts", R"({"scope": "workflow"})"),
            R"({"items": [], "next_cursor": null})");
}

TEST_F(ApiAlerts, RefuseWhatIsNoThreshold) {
  for (const auto& [request, complaint] :
       {std::pair{R"("warning": 1)", "metric is missing"},
        std::pair{R"("metric": "mood", "warning": 1)",
                  "metric is none of those there are"},
        std::pair{R"("metric": "failure_ratio")",
                  "warning is missing, as is critical"},
        std::pair{R"("metric": "failure_ratio", "warning": null,
                     "critical": null, "enabled": true)",
                  "warning is missing, as is critical"},
        std::pair{R"("metric": "failure_ratio", "warning": 0)",
                  "warning is not in range"},
        std::pair{R"("metric": "failure_ratio", "critical": 1.0001)",
                  "critical is not in range"},
        std::pair{R"("metric": "failure_ratio", "warning": "0.5")",
                  "warning is not in range"},
        std::pair{R"("metric": "failure_ratio", "warning": "NaN")",
                  "warning is not in range"},
        std::pair{R"("metric": "p95_duration", "warning": 0)",
                  "warning is not in range"},
        std::pair{R"("metric": "p95_duration", "warning": 1e400)",
                  "warning is not in range"},
        std::pair{R"("metric": "p95_duration", "warning": -1)",
                  "warning is not in range"},
        std::pair{R"("metric": "minimum_runs", "warning": 1.5)",
                  "warning is not in range"},
        std::pair{R"("metric": "stuck_runs", "warning": 0)",
                  "warning is not in range"},
        std::pair{R"("metric": "stuck_runs", "warning": true)",
                  "warning is not in range"},
        std::pair{R"("metric": "stuck_runs", "warning": [1])",
                  "warning is not in range"},
        std::pair{R"("metric": "failure_ratio", "warning": 0.5,
                     "critical": 0.4)",
                  "critical is milder than warning"},
        std::pair{R"("metric": "minimum_runs", "warning": 5, "critical": 6)",
                  "critical is milder than warning"},
        std::pair{R"("metric": "stuck_runs", "warning": 5, "window": "2h")",
                  "window is none of those there are"},
        std::pair{R"("metric": "stuck_runs", "warning": 5, "enabled": 1)",
                  "enabled is none of those there are"}}) {
    EXPECT_EQ(Wrong(request), std::string("MH400 ") + complaint) << request;
  }
  for (const auto* request :
       {R"("metric": "failure_ratio", "warning": 0.5, "critical": 0.5)",
        R"("metric": "failure_ratio", "warning": 1)",
        R"("metric": "minimum_runs", "warning": 6, "critical": 5)",
        R"("metric": "stuck_runs", "critical": 1)",
        R"("metric": "p95_duration", "critical": 1000000000000)",
        R"("metric": "p95_duration", "enabled": false)"}) {
    EXPECT_EQ(Wrong(request), kDone) << request;
  }
}

TEST_F(ApiAlerts, NeedTheIdOfTheirScopeAndNoOther) {
  const std::string metric = R"("metric": "stuck_runs", "warning": 1)";
  const auto workflow = "\"workflow_id\": \"" + Workflow("a1") + "\", ";
  const auto project = "\"project_id\": \"" + Project("a1") + "\", ";
  for (const auto& [request, complaint] :
       {std::pair{metric, "scope is missing"},
        std::pair{"\"scope\": \"all\", " + metric,
                  "scope is none of those there are"},
        std::pair{"\"scope\": \"workflow\", " + metric,
                  "workflow_id is missing"},
        std::pair{"\"scope\": \"project\", " + metric, "project_id is missing"},
        std::pair{"\"scope\": \"project\", " + workflow + metric,
                  "project_id is missing"},
        std::pair{"\"scope\": \"project\", " + project + workflow + metric,
                  "workflow_id is not for scope project"},
        std::pair{"\"scope\": \"workflow\", " + project + workflow + metric,
                  "project_id is not for scope workflow"},
        std::pair{"\"scope\": \"global\", " + workflow + metric,
                  "workflow_id is not for scope global"}}) {
    EXPECT_EQ(Complaint(ada_, "set_alert", "{" + request + "}"),
              std::string("MH400 ") + complaint)
        << request;
  }
}

TEST_F(ApiAlerts, OfOthersAreNotThere) {
  const auto bobs = Set(bob_, "workflow", Workflow("b1"), kSlow);
  EXPECT_EQ(Set(ada_, "workflow", Workflow("b1"), kSlow), "");
  EXPECT_EQ(Set(ada_, "project", Project("b1"), kSlow), "");
  EXPECT_EQ(Answer(ada_, "remove_alert",
                   Of("threshold_id", Member(bobs, "threshold_id"))),
            "");
  EXPECT_EQ(Answer(ada_, "alerts", "{}").find(Workflow("b1")),
            std::string::npos);
  EXPECT_EQ(
      Set(all_, "workflow", "20000000-0000-4000-8000-0000000000ff", kSlow), "");
  // An operator sets any.
  EXPECT_EQ(Member(Set(all_, "workflow", Workflow("b1"), kSlow), "updated_by"),
            "service_role");
  EXPECT_EQ(Answer(all_, "remove_alert",
                   Of("threshold_id", Member(bobs, "threshold_id"))),
            "{}");
}

TEST_F(ApiAlerts, ThatAreGlobalAreForOperators) {
  EXPECT_EQ(Complaint(ada_, "set_alert", On("global", "", kSlow)),
            "MH403 only operators set global thresholds");
  const auto set = Set(all_, "global", "", kSlow);
  EXPECT_EQ(Member(set, "warning"), "500");
  EXPECT_EQ(Member(set, "updated_by"), "service_role");
  // All see them, but not whose they are.
  const auto seen = Answer(ada_, "alerts",
                           R"({"scope": "global", "metric": "p95_duration"})");
  EXPECT_EQ(Member(seen, "items,0,warning"), "500");
  EXPECT_EQ(Member(seen, "items,0,updated_by"), "");
  const auto id = Of("threshold_id", Member(set, "threshold_id"));
  EXPECT_EQ(Complaint(ada_, "remove_alert", id),
            "MH403 only operators remove global thresholds");
  EXPECT_EQ(Answer(all_, "remove_alert", id), "{}");
}

// With the table itself in their hands, tenants get no further.
TEST_F(ApiAlerts, AreGuardedByRowSecurity) {
  Set(bob_, "workflow", Workflow("b1"), kSlow);
  Set(ada_, "workflow", Workflow("a1"), kSlow);
  const std::string table = "metrics.alert_thresholds";
  EXPECT_EQ(Exec(ada_, "SELECT count(*) FROM " + table), "4");
  EXPECT_EQ(Exec(ada_, "WITH d AS (UPDATE " + table +
                           " SET warning = 1 RETURNING 1) "
                           "SELECT count(*) FROM d"),
            "1");
  EXPECT_EQ(Exec(ada_, "WITH d AS (DELETE FROM " + table +
                           " RETURNING 1) SELECT count(*) FROM d"),
            "1");
  EXPECT_EQ(db_.Exec("SELECT count(*) FROM " + table), "4");
  const std::string insert =
      "INSERT INTO " + table +
      " (scope, project_id, workflow_id, metric, warning) VALUES ";
  const auto with = [](const std::string& text) { return "'" + text + "'"; };
  for (const auto& values :
       {std::string("('global', NULL, NULL, 'minimum_runs', 1)"),
        "('project', " + with(Project("b1")) + ", NULL, 'stuck_runs', 1)",
        // Under a project of one's own.
        "('workflow', " + with(Project("a1")) + ", " + with(Workflow("b1")) +
            ", 'stuck_runs', 1)",
        "('workflow', " + with(Project("a1")) +
            ", gen_random_uuid(), 'stuck_runs', 1)",
        std::string("('project', gen_random_uuid(), NULL, 'stuck_runs', 1)")}) {
    EXPECT_EQ(Refusal(ada_, insert + values), kRefused) << values;
  }
  EXPECT_EQ(Refusal(ada_, insert + "('workflow', NULL, " +
                              with(Workflow("a2")) + ", 'stuck_runs', 1)"),
            kDone);
  for (const std::string assignment :
       {"project_id = NULL", "workflow_id = NULL", "scope = 'global'",
        "metric = 'stuck_runs'", "updated_by = 'me'", "created_by = 'me'",
        "created_at = now()", "threshold_id = gen_random_uuid()"}) {
    EXPECT_EQ(Refusal(ada_, "UPDATE " + table + " SET " + assignment), kRefused)
        << assignment;
  }
  for (const std::string statement :
       {"TRUNCATE metrics.alert_thresholds",
        "SELECT FROM metrics.alert_threshold_changes",
        "DELETE FROM metrics.alert_threshold_changes",
        "SELECT FROM metrics.resolved_alert_thresholds",
        "ALTER TABLE metrics.alert_thresholds DISABLE ROW LEVEL SECURITY",
        "ALTER TABLE metrics.alert_thresholds DISABLE TRIGGER ALL"}) {
    EXPECT_EQ(Refusal(ada_, statement), kRefused) << statement;
  }
  for (const std::string statement :
       {"DELETE FROM metrics.alert_threshold_changes",
        "INSERT INTO metrics.alert_threshold_changes VALUES (now(), "
        "gen_random_uuid(), 'me')"}) {
    EXPECT_EQ(Refusal(all_, statement), kRefused) << statement;
  }
}

// Whoever writes, the owner too.
TEST_F(ApiAlerts, AreHeldToTheirRulesByTheTable) {
  const auto insert = [&](const std::string& values) {
    auto owner = db_.Connect();
    return Refusal(owner,
                   "INSERT INTO metrics.alert_thresholds (scope, project_id, "
                   "workflow_id, metric, warning, critical, \"window\", "
                   "enabled) VALUES (" +
                       values + ")");
  };
  for (const std::string values :
       {"'global', NULL, NULL, 'mood', 1, 1, '1h', true",
        "'all', NULL, NULL, 'minimum_runs', 1, 1, '1h', true",
        "'global', NULL, NULL, 'minimum_runs', 1, 1, '2h', true",
        "'global', NULL, NULL, 'minimum_runs', NULL, NULL, '1h', true",
        "'global', NULL, NULL, 'minimum_runs', 'NaN', NULL, '1h', true",
        "'global', NULL, NULL, 'minimum_runs', 'Infinity', NULL, '1h', true",
        "'global', NULL, NULL, 'minimum_runs', 0.5, NULL, '1h', true",
        "'global', NULL, NULL, 'minimum_runs', 1, 2, '1h', true",
        "'project', NULL, NULL, 'minimum_runs', 1, 1, '1h', true",
        "'workflow', NULL, NULL, 'minimum_runs', 1, 1, '1h', true",
        "'project', gen_random_uuid(), NULL, 'minimum_runs', 1, 1, '1h', "
        "true"}) {
    EXPECT_EQ(insert(values), "23514") << values;
  }
  for (const std::string metric : {"failure_ratio", "p95_duration"}) {
    for (const std::string warning :
         {"0", "-1", "'NaN'", "'Infinity'", "'-Infinity'", "2e12"}) {
      EXPECT_EQ(insert("'project', '" + Project("a1") + "', NULL, '" + metric +
                       "', " + warning + ", NULL, '1h', true"),
                "23514")
          << metric << warning;
    }
  }
  EXPECT_EQ(insert("'global', NULL, NULL, 'stuck_runs', 1, 1, '1h', true"),
            "23505");
}

TEST_F(ApiAlerts, OfANarrowerScopeComeFirst) {
  Set(ada_, "project", Project("a1"),
      R"("metric": "failure_ratio", "warning": 0.2)");
  EXPECT_EQ(Resolved("workflow_id IS NOT NULL AND metric = 'failure_ratio'"),
            "a1 failure_ratio 0.2 - t, a2 failure_ratio 0.2 - t, "
            "a3 failure_ratio 0.2 - t");
  Set(ada_, "workflow", Workflow("a2"),
      R"("metric": "failure_ratio", "critical": 0.5)");
  Set(ada_, "workflow", Workflow("a4"),
      R"("metric": "stuck_runs", "enabled": false)");
  EXPECT_EQ(Resolved("workflow_id IS NOT NULL"),
            "a1 failure_ratio 0.2 - t, a1 p95_duration 120000 - t, "
            "a1 stuck_runs 1 - t, "
            "a2 failure_ratio - 0.5 t, a2 p95_duration 120000 - t, "
            "a2 stuck_runs 1 - t, "
            "a3 failure_ratio 0.2 - t, a3 p95_duration 120000 - t, "
            "a3 stuck_runs 1 - t, "
            "a4 failure_ratio 0.1 0.25 t, a4 p95_duration 120000 - t, "
            "a4 stuck_runs - - f");
  const auto held = [&](const std::string& workflow) {
    const auto answer =
        Answer(ada_, "alerts",
               Of("workflow_id", Workflow(workflow), "\"resolved\": true"));
    return db_.Exec(
        "SELECT string_agg(concat_ws(' ', i ->> 'scope', "
        "i ->> 'metric'), ', ' ORDER BY i ->> 'metric') FROM "
        "jsonb_array_elements(" +
        Quoted(answer) + "::jsonb -> 'items') AS i");
  };
  EXPECT_EQ(held("a2"),
            "workflow failure_ratio, global p95_duration, global stuck_runs");
  EXPECT_EQ(held("a3"),
            "project failure_ratio, global p95_duration, global stuck_runs");
  EXPECT_EQ(held("a4"),
            "global failure_ratio, global p95_duration, workflow stuck_runs");
  EXPECT_EQ(Complaint(ada_, "alerts", R"({"resolved": true})"),
            "MH400 workflow_id is missing");
}

TEST_F(ApiAlerts, KeepWhoChangedWhat) {
  const auto set = Set(ada_, "workflow", Workflow("a1"), kSlow);
  Set(ada_, "workflow", Workflow("a1"), kSlow);  // changes nothing
  Set(all_, "workflow", Workflow("a1"),
      R"("metric": "p95_duration", "warning": 600)");
  Answer(ada_, "remove_alert", Of("threshold_id", Member(set, "threshold_id")));
  EXPECT_EQ(
      Exec(all_, R"(
      SELECT string_agg(concat_ws(' ', changed_by,
                 coalesce(before ->> 'warning', '-'),
                 coalesce(after ->> 'warning', '-')), ', ' ORDER BY at)
      FROM metrics.alert_threshold_changes)"),
      std::string(kAda) + " - 500, service_role 500 600, " + kAda + " 600 -");
  db_.Exec(
      "UPDATE metrics.alert_threshold_changes "
      "SET at = now() - interval '401 days' WHERE before IS NULL");
  db_.Exec("SELECT metrics.maintain()");
  EXPECT_EQ(db_.Exec("SELECT count(*) FROM metrics.alert_threshold_changes"),
            "2");
}

TEST_F(ApiAlerts, NeverKeepMeshHookFromDeletingAndAreThenPruned) {
  Set(ada_, "workflow", Workflow("a1"), kSlow);
  Set(ada_, "workflow", Workflow("a4"), kSlow);
  Set(ada_, "project", Project("a2"), kSlow);
  db_.Exec("DELETE FROM workflow_definitions WHERE id = '" + Workflow("a1") +
           "'; DELETE FROM projects WHERE id = '" + Project("a2") + "'");
  EXPECT_EQ(Resolved("workflow_id IS NOT NULL"), "");
  db_.Exec("SELECT metrics.maintain()");
  EXPECT_EQ(db_.Exec("SELECT count(*) FROM metrics.alert_thresholds "
                     "WHERE scope <> 'global'"),
            "0");
}

TEST_F(ApiAlerts, AreAThousandOfATenantAtMost) {
  db_.Exec(
      "INSERT INTO workflow_definitions (id, project_id, slug, name) "
      "SELECT gen_random_uuid(), '" +
      Project("a1") +
      "', 'more' || i, 'More' "
      "FROM generate_series(1, 1000) AS i");
  db_.Exec(
      "INSERT INTO metrics.alert_thresholds (scope, workflow_id, metric, "
      "warning) SELECT 'workflow', id, 'stuck_runs', 1 "
      "FROM workflow_definitions WHERE name = 'More'");
  EXPECT_EQ(Wrong(kSlow),
            "MH400 scope has no room: there are 1000 thresholds of the "
            "caller's");
  // One that is there may be changed, and an operator may go on.
  const auto more = db_.Exec(
      "SELECT max(id::text) FROM workflow_definitions "
      "WHERE name = 'More'");
  EXPECT_NE(
      Set(ada_, "workflow", more, R"("metric": "stuck_runs", "warning": 2)"),
      "");
  EXPECT_NE(Set(all_, "workflow", Workflow("a1"), kSlow), "");
  EXPECT_NE(Set(bob_, "workflow", Workflow("b1"), kSlow), "");
}

}  // namespace
