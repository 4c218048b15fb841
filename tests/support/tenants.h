// SPDX-License-Identifier: MIT
// Two tenants with runs of fifty days, and what the API's functions say to
// them.
#pragma once

#include <gtest/gtest.h>

#include <string>

#include "tests/support/database.h"
#include "tests/support/runs.h"

namespace test {

// Ada has two projects of three workflows, of which the last one of the second
// never ran, and Bob has one of three. Ids end in a1, a2 … and b1, b2 ….
class TwoTenants : public testing::Test {
 protected:
  static constexpr auto kAda = "00000000-0000-4000-8000-00000000000a";
  static constexpr auto kBob = "00000000-0000-4000-8000-00000000000b";
  static constexpr auto kNobody = "00000000-0000-4000-8000-00000000000c";
  static constexpr auto kRefused = "42501";
  static constexpr auto kWrong = "MH400";
  static constexpr auto kDone = "";

  // With or without runs.
  explicit TwoTenants(bool with_runs = true) {
    db_.Exec(R"(
        INSERT INTO projects (id, owner, name)
        SELECT ('10000000-0000-4000-8000-0000000000' || p)::uuid,
               ('00000000-0000-4000-8000-00000000000' || left(p, 1))::uuid, p
        FROM unnest('{a1,a2,b1}'::text[]) AS p;
        INSERT INTO workflow_definitions (id, project_id, slug, name, status)
        SELECT ('20000000-0000-4000-8000-0000000000' || w)::uuid,
               ('10000000-0000-4000-8000-0000000000' || p)::uuid, w, name,
               status
        FROM (VALUES ('a1', 'a1', 'Zebra', 'published'),
                     ('a2', 'a1', 'apple', 'published'),
                     ('a3', 'a1', 'Mango', 'archived'),
                     ('a4', 'a2', 'mango', 'published'),
                     ('a5', 'a2', 'Éclair', 'archived'),
                     ('a6', 'a2', 'Never ran', 'draft'),
                     ('b1', 'b1', 'Bread', 'published'),
                     ('b2', 'b1', 'Butter', 'published'),
                     ('b3', 'b1', 'Beer', 'draft'))
             AS d (w, p, name, status))");
    if (!with_runs) return;
    // More of some than of others, dense near now, none of Bob's third.
    db_.Exec(R"(
        SELECT setseed(0.4);
        INSERT INTO workflow_runs
            (project_id, workflow_id, status, started_at, finished_at)
        SELECT project_id, id,
               (ARRAY['succeeded', 'succeeded', 'succeeded', 'failed',
                      'canceled'])[1 + floor(random() * 5)],
               ended - 3000 * exp(3 * random() - 1) * interval '1 ms', ended
        FROM workflow_definitions,
             LATERAL (SELECT now() - random() * random() * interval '50 days'
                             * (1 + 0 * length(slug))
                      FROM generate_series(
                          1, 200 * right(slug, 1)::int % 900)
                      UNION ALL
                      SELECT date_trunc('day', now(), 'UTC')
                             - i * interval '24 hours'
                      FROM generate_series(0, 35) AS i) AS t (ended)
        WHERE status <> 'draft';
        INSERT INTO workflow_events (run_id, type, payload)
        SELECT id, type, '{"node": {"id": "call", "type": "http_call"},
                           "error": "HTTP 503"}'
        FROM workflow_runs,
             unnest('{step_started,step_failed,step_succeeded}'::text[]) AS type
        WHERE finished_at > now() - interval '20 hours')");
    Refresh();
  }

  void Fold() {
    while (db_.Exec("SELECT metrics.fold()") != "0") continue;
    while (db_.Exec("SELECT metrics.fold_trends()") != "0") continue;
    while (db_.Exec("SELECT metrics.fold_steps(100000, '0')") != "0") continue;
  }
  void Refresh() {
    Fold();
    for (const std::string view :
         {"mv_workflow_metrics", "mv_step_latency", "mv_failure_hotspots"}) {
      db_.Exec("REFRESH MATERIALIZED VIEW metrics." + view);
    }
    db_.Exec("SELECT metrics.maintain()");
  }

  // Sessions, as the server's for a request.
  meshhook::pg::Connection With(const std::string& claims) {
    auto session = db_.Connect("meshhook_api");
    Exec(session, "SET ROLE authenticated");
    Exec(session,
         "SELECT set_config('request.jwt.claims', '" + claims + "', false)");
    return session;
  }
  meshhook::pg::Connection User(const std::string& id) {
    return With("{\"sub\": \"" + id + "\", \"role\": \"authenticated\"}");
  }
  meshhook::pg::Connection Operator() {
    auto session = db_.Connect("meshhook_api");
    Exec(session, "SET ROLE meshhook_operator");
    Exec(session,
         "SELECT set_config('request.jwt.claims', "
         "'{\"role\": \"service_role\"}', false)");
    return session;
  }

  static std::string Quoted(const std::string& text) {
    std::string quoted = "'";
    for (const char c : text) quoted += c == '\'' ? "''" : std::string(1, c);
    return quoted + "'";
  }
  static std::string Call(const std::string& function,
                          const std::string& request) {
    return "SELECT metrics.api_" + function + "(" + Quoted(request) + ")";
  }
  // What it answers; "" for NULL.
  static std::string Answer(meshhook::pg::Connection& session,
                            const std::string& function,
                            const std::string& request) {
    return Exec(session, Call(function, request));
  }
  // A member of it, by its path: "period,execution_count".
  std::string Member(const std::string& answer, const std::string& path) {
    return db_.Exec("SELECT " + Quoted(answer) + "::jsonb #>> '{" + path +
                    "}'");
  }
  // The SQLSTATE and the message, "" where it is answered.
  static std::string Complaint(meshhook::pg::Connection& session,
                               const std::string& function,
                               const std::string& request) {
    try {
      Answer(session, function, request);
      return "";
    } catch (const meshhook::pg::Error& error) {
      return error.sqlstate() + " " + error.what();
    }
  }

  static std::string Project(const std::string& name) {
    return "10000000-0000-4000-8000-0000000000" + name;
  }
  static std::string Workflow(const std::string& name) {
    return "20000000-0000-4000-8000-0000000000" + name;
  }
  // {"NAME": "VALUE"}, with more members if given.
  static std::string Of(const std::string& name, const std::string& value,
                        const std::string& more = "") {
    return "{\"" + name + "\": \"" + value + "\"" +
           (more.empty() ? "" : ", " + more) + "}";
  }

  Database db_;
};

}  // namespace test
