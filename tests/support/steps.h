// SPDX-License-Identifier: MIT
// Runs with events, and whether their steps were counted.
#pragma once

#include <string>

#include "tests/support/database.h"
#include "tests/support/runs.h"

namespace test {

// Nodes whose totals differ from what an independent reading of the events of
// finished runs says. Right once every run has finished and been folded.
inline constexpr auto kStepDifferences = R"(
    SELECT count(*)
    FROM (SELECT r.workflow_id, coalesce(e.payload #>> '{node,id}', '') AS node,
                 count(*) AS events, sum(pg_column_size(e.payload)) AS bytes,
                 count(*) FILTER (WHERE e.type = 'step_succeeded') AS succeeded,
                 count(*) FILTER (WHERE e.type = 'step_failed') AS failed,
                 count(*) FILTER (WHERE e.type = 'http_attempted') AS answers
          FROM public.workflow_events AS e
          JOIN public.workflow_runs AS r ON r.id = e.run_id
          WHERE e.type IN ('step_started', 'step_succeeded', 'step_failed',
                           'http_attempted')
            AND r.status IN ('succeeded', 'failed', 'canceled')
          GROUP BY 1, 2) AS truth
    FULL JOIN metrics.step_metrics AS m
        ON m.workflow_id = truth.workflow_id AND m.node_id = truth.node
    WHERE (events, bytes, succeeded, failed, failed, answers)
          IS DISTINCT FROM
          (event_count, event_bytes, success_count, failure_count,
           failures_http_4xx + failures_http_5xx + failures_timeout
           + failures_connection + failures_transform + failures_other,
           http_1xx + http_2xx + http_3xx + http_4xx + http_5xx + http_other))";

// The id of a run, by its number.
inline std::string RunId(int run) {
  const auto digits = std::to_string(run);
  return "'00000000-0000-0000-0000-" + std::string(12 - digits.size(), '0') +
         digits + "'";
}

// A payload of an event of the node, with more members if given.
inline std::string Node(const std::string& id, const std::string& more = "") {
  return R"({"node": {"id": ")" + id + R"(", "type": "http_call"})" +
         (more.empty() ? "" : ", " + more) + "}";
}

// Runs of one workflow, each statement a transaction of its own.
class Runs {
 public:
  Runs() { db.Exec(kOneWorkflow); }

  void Begin(int run) {
    db.Exec(
        "INSERT INTO workflow_runs (id, project_id, workflow_id, status, "
        "started_at) SELECT " +
        RunId(run) +
        ", project_id, id, 'running', now() - interval '1 minute' "
        "FROM workflow_definitions LIMIT 1");
  }
  // An event at that time, as SQL.
  void Event(int run, const std::string& type, const std::string& payload,
             const std::string& at = "now()") {
    db.Exec("INSERT INTO workflow_events (run_id, ts, type, payload) VALUES (" +
            RunId(run) + ", " + at + ", '" + type + "', $$" + payload + "$$)");
  }
  void Set(int run, const std::string& status,
           const std::string& finished_at = "now()") {
    db.Exec("UPDATE workflow_runs SET status = '" + status +
            "', finished_at = " + finished_at + " WHERE id = " + RunId(run));
  }
  // A run from its beginning to its end, with two attempts.
  void Whole(int run, const std::string& node = "call") {
    Begin(run);
    Event(run, "step_started", Node(node));
    Event(run, "step_failed", Node(node, R"("error": "HTTP 503")"));
    Event(run, "step_succeeded", Node(node));
    Set(run, "succeeded");
  }
  // Counts what is there, without letting it settle.
  std::string Fold() { return db.Exec("SELECT metrics.fold_steps(2000, '0')"); }
  // Those figures of a node, apart by spaces.
  std::string Figures(const std::string& node, const std::string& columns) {
    return db.Exec("SELECT concat_ws(' ', " + columns +
                   ") FROM metrics.step_metrics WHERE node_id = $$" + node +
                   "$$");
  }
  std::string Differences() { return db.Exec(kStepDifferences); }

  Database db;
};

}  // namespace test
