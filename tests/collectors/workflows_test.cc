// SPDX-License-Identifier: MIT
// What the collectors publish, read as the exporter's own role.
#include <gtest/gtest.h>

#include "collectors/all.h"
#include "exporter/scraper.h"
#include "tests/support/database.h"
#include "tests/support/runs.h"

namespace {

using namespace std::chrono_literals;
using test::Database;
using test::SampleSum;

constexpr auto kOneWorkflow = R"(
    INSERT INTO projects (id, owner, name)
    VALUES ('00000000-0000-0000-0000-00000000000a', gen_random_uuid(), 'Acme');
    INSERT INTO workflow_definitions
        (id, project_id, slug, version, definition, name, status)
    VALUES ('00000000-0000-0000-0000-00000000000b',
            '00000000-0000-0000-0000-00000000000a', 'w', 3, '{}',
            E'Leads "now"\\ \n', 'published'))";

constexpr auto kStart = R"(
    INSERT INTO workflow_runs (project_id, workflow_id, status, started_at)
    SELECT project_id, id, 'running', now() - interval '2 seconds'
    FROM workflow_definitions;)";

// A step that fails once and then succeeds.
constexpr auto kSteps = R"(
    INSERT INTO workflow_events (run_id, type, payload)
    SELECT r.id, e.type, e.payload::jsonb
    FROM workflow_runs AS r, (VALUES
        ('step_started', '{"node": {"id": "call", "type": "http_call"}}'),
        ('http_attempted',
         '{"node": {"id": "call", "type": "http_call"}, "status": 503}'),
        ('step_failed', '{"node": {"id": "call", "type": "http_call"},
                          "error": "Error: HTTP 503"}'),
        ('step_succeeded', '{"node": {"id": "call", "type": "http_call"}}'))
        AS e (type, payload))";

std::string Finish(const std::string& status) {
  return std::string(kStart) + "UPDATE workflow_runs SET status = '" + status +
         "', finished_at = now() WHERE status = 'running'";
}

std::string Page(const Database& db) {
  meshhook::Scraper scraper(db.Conninfo(test::kExporter),
                            meshhook::collectors::All(), nullptr);
  return scraper.Scrape(meshhook::pg::Clock::now() + 10s)->text();
}

// The rest is for servers on which more goes on: tests/contract/.
TEST(Collectors, HaveEveryMetricOfMeshHookOnceThereAreRuns) {
  Database db;
  db.Exec(kOneWorkflow);
  db.Exec(kStart);
  db.Exec(kSteps);
  db.Exec(Finish("failed"));
  db.Exec(kStart);
  db.Exec(
      "SELECT metrics.fold(); SELECT metrics.fold_trends(); "
      "SELECT metrics.fold_steps(10, '0'); SELECT metrics.maintain()");
  db.Exec(test::kRefreshAll);
  const auto page = Page(db);
  for (const auto& collector :
       {meshhook::collectors::WorkflowRuns(),
        meshhook::collectors::WorkflowWindows(),
        meshhook::collectors::WorkflowInfo(),
        meshhook::collectors::WorkflowActive(), meshhook::collectors::Steps(),
        meshhook::collectors::WorkflowSteps(),
        meshhook::collectors::FailureHotspots(), meshhook::collectors::Worker(),
        meshhook::collectors::Fold()}) {
    for (const auto& metric : collector.metrics) {
      EXPECT_NE(page.find("\n# TYPE " + metric.name + " "), page.npos)
          << metric.name;
    }
  }
}

TEST(WorkflowRuns, AreThereAtZeroBeforeTheFirstRun) {
  Database db;
  db.Exec(kOneWorkflow);
  const auto page = Page(db);
  for (const char* status : {"succeeded", "failed", "canceled"}) {
    EXPECT_EQ(
        SampleSum(page, std::string("meshhook_workflow_runs_total{project_id="
                                    "\"00000000-0000-0000-0000-00000000000a\","
                                    "workflow_id=\"00000000-0000-0000-0000-"
                                    "00000000000b\",status=\"") +
                            status + "\"}"),
        0)
        << status;
  }
  EXPECT_EQ(SampleSum(page, "meshhook_workflow_run_duration_seconds_count"), 0);
}

TEST(WorkflowRuns, CountARunOnceItEndsAndLeaveCanceledOutOfDurations) {
  Database db;
  db.Exec(kOneWorkflow);
  db.Exec(Finish("succeeded"));
  db.Exec(Finish("canceled"));
  db.Exec(kStart);
  db.Exec("SELECT metrics.fold()");
  const auto page = Page(db);
  EXPECT_EQ(SampleSum(page, "meshhook_workflow_runs_total"), 2);
  EXPECT_EQ(SampleSum(page, "meshhook_workflow_run_duration_seconds_count"), 1);
  EXPECT_NEAR(SampleSum(page, "meshhook_workflow_run_duration_seconds_sum"), 2,
              0.5);
  EXPECT_EQ(SampleSum(page, "meshhook_workflow_active_runs"), 1);
}

TEST(WorkflowInfo, EscapesWhatATenantCallsAWorkflow) {
  Database db;
  db.Exec(kOneWorkflow);
  EXPECT_NE(Page(db).find(R"(workflow="Leads \"now\"\\ \n",version="3"} 1)"),
            std::string::npos);
}

TEST(WorkflowWindows, AreEmptyWhereNothingRan) {
  Database db;
  db.Exec(kOneWorkflow);
  db.Exec("SELECT metrics.fold(); SELECT metrics.refresh_if_due()");
  EXPECT_EQ(Page(db).find("meshhook_workflow_window_runs{"), std::string::npos);
}

// A workflow keeps its windows together, however its hour compares.
TEST(WorkflowWindows, OfTheBusiestWorkflowsComeFirst) {
  Database db;
  db.Exec(kOneWorkflow);
  db.Exec(
      "INSERT INTO workflow_definitions (project_id, slug, name) SELECT "
      "project_id, 'idle', 'idle' FROM workflow_definitions");
  for (int i = 0; i < 3; ++i) {
    db.Exec(
        "INSERT INTO workflow_runs (project_id, workflow_id, status, "
        "started_at, finished_at) SELECT project_id, id, 'succeeded', now(), "
        "now() FROM workflow_definitions WHERE slug = 'w' OR " +
        std::string(i == 0 ? "true" : "false"));
  }
  db.Exec(
      "SELECT metrics.fold(), metrics.fold_trends(); "
      "SELECT metrics.refresh_if_due()");
  auto windows = meshhook::collectors::WorkflowWindows();
  windows.limit.rows = 3;
  meshhook::Scraper scraper(db.Conninfo(test::kExporter), {windows}, nullptr);
  const auto page = scraper.Scrape(meshhook::pg::Clock::now() + 10s)->text();
  const std::string busiest =
      "meshhook_workflow_window_runs{project_id=\"00000000-0000-0000-0000-"
      "00000000000a\",workflow_id=\"00000000-0000-0000-0000-00000000000b\"";
  EXPECT_EQ(SampleSum(page, busiest), 9);
  EXPECT_EQ(SampleSum(page, "meshhook_workflow_window_runs"), 9);
}

TEST(Steps, CountAttemptsAndKindsOfFailure) {
  Database db;
  db.Exec(kOneWorkflow);
  db.Exec(kStart);
  db.Exec(kSteps);
  db.Exec(Finish("succeeded"));
  db.Exec("SELECT metrics.fold_steps(10, '0')");
  db.Exec(test::kRefreshAll);
  const auto page = Page(db);
  const std::string call = "{node_type=\"http_call\",";
  EXPECT_EQ(SampleSum(page, "meshhook_step_attempts_total" + call +
                                "status=\"succeeded\"}"),
            1);
  EXPECT_EQ(SampleSum(page, "meshhook_step_failures_total" + call +
                                "error_class=\"http_5xx\"}"),
            1);
  EXPECT_EQ(SampleSum(page, "meshhook_step_http_responses_total" + call +
                                "status_class=\"5xx\"}"),
            1);
  EXPECT_EQ(SampleSum(page, "meshhook_step_duration_seconds_count"), 1);
  EXPECT_EQ(SampleSum(page, "meshhook_workflow_step_attempts_total"), 2);
  EXPECT_EQ(SampleSum(page, "meshhook_failure_hotspot_failures"), 2);
  EXPECT_EQ(SampleSum(page, "meshhook_failure_hotspot_ratio"), 1);
}

}  // namespace
