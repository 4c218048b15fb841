// SPDX-License-Identifier: MIT
// What the collectors publish, read as the exporter's own role.
#include <gtest/gtest.h>

#include <cmath>

#include "collectors/all.h"
#include "exporter/scraper.h"
#include "tests/support/collect.h"
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

// Of that collector alone.
std::string OpenMetricsPage(const Database& db,
                            const meshhook::Collector& collector) {
  meshhook::Scraper scraper(db.Conninfo(test::kExporter), {collector}, nullptr);
  return scraper
      .Scrape(meshhook::pg::Clock::now() + 10s, -1,
              meshhook::Format::kOpenMetrics)
      ->text();
}

TEST(WorkflowRuns, BeganWithTheirWorkflow) {
  Database db;
  db.Exec(kOneWorkflow);
  db.Exec(
      "UPDATE workflow_definitions "
      "SET created_at = '2024-11-21 00:00:00.5+00'");
  const auto created = [&db](const meshhook::Collector& collector) {
    const auto page = OpenMetricsPage(db, collector);
    const double counters = SampleSum(page, "meshhook_workflow_runs_created{");
    const double histogram =
        SampleSum(page, "meshhook_workflow_run_duration_seconds_created{");
    EXPECT_TRUE(counters == 3 * histogram || std::isnan(counters)) << page;
    return histogram;
  };
  const auto collector = meshhook::collectors::WorkflowRuns();
  EXPECT_EQ(created(collector), 1732147200.5);
  EXPECT_TRUE(std::isnan(created(test::With(collector, "created", "false"))));
  for (const char* time : {"infinity", "-infinity", "tomorrow"}) {
    db.Exec("UPDATE workflow_definitions SET created_at = '" +
            std::string(time) + "'");
    EXPECT_TRUE(std::isnan(created(collector))) << time;
  }
}

// The bucket's exemplar without its time, "" where there is none.
std::string ExemplarOf(const std::string& page, const std::string& le) {
  const size_t at = page.find("le=\"" + le + "\"} ");
  const auto line = page.substr(at, page.find('\n', at) - at);
  const size_t start = line.find(" # ");
  if (start == line.npos) return "";
  return line.substr(start + 3, line.rfind(' ') - start - 3);
}

TEST(WorkflowRuns, NameTheNewestRunOfEachSlowBucket) {
  Database db;
  db.Exec(kOneWorkflow);
  // Ids end in the order of their insertion; the run of 100 s ended long ago.
  db.Exec(R"(
      INSERT INTO workflow_runs (id, project_id, workflow_id, status,
                                 started_at, finished_at)
      SELECT ('00000000-0000-0000-0000-00000000000' || r.n)::uuid, d.project_id,
             d.id, r.status, now() - r.ago - r.took, now() - r.ago
      FROM workflow_definitions AS d, (VALUES
          (1, 'succeeded', interval '9 min', interval '1 s'),
          (2, 'succeeded', interval '9 min', interval '1.001 s'),
          (3, 'failed',    interval '5 min', interval '2.5 s'),
          (4, 'succeeded', interval '7 min', interval '2 s'),
          (5, 'canceled',  interval '1 min', interval '4 s'),
          (6, 'succeeded', interval '2 min', interval '1 h'),
          (7, 'succeeded', interval '2 h',   interval '100 s'))
          AS r (n, status, ago, took) ORDER BY n)");
  db.Exec("SELECT metrics.fold()");
  const auto on =
      test::With(meshhook::collectors::WorkflowRuns(), "exemplars", "true");
  const auto page = OpenMetricsPage(db, on);
  const auto run = [](const std::string& n) {
    return "{run_id=\"00000000-0000-0000-0000-00000000000" + n + "\"} ";
  };
  EXPECT_EQ(ExemplarOf(page, "1.0"), "");
  EXPECT_EQ(ExemplarOf(page, "2.5"), run("3") + "2.5");
  EXPECT_EQ(ExemplarOf(page, "5.0"), "");
  EXPECT_EQ(ExemplarOf(page, "120.0"), "");
  EXPECT_EQ(ExemplarOf(page, "+Inf"), run("6") + "3600");
  EXPECT_EQ(test::Collect(db, on).find("run_id"), std::string::npos);
  EXPECT_EQ(
      OpenMetricsPage(db, meshhook::collectors::WorkflowRuns()).find("run_id"),
      std::string::npos);
}

TEST(SlowRuns, CostTheSameHoweverManyRunsThereAre) {
  Database db;
  db.Exec(kOneWorkflow);
  db.Exec(R"(
      INSERT INTO metrics.execution_time_statistics
          (project_id, workflow_id, run_id, status, execution_time_ms,
           created_at)
      SELECT gen_random_uuid(), gen_random_uuid(), gen_random_uuid(),
             'succeeded', 5000, now()
      FROM generate_series(1, 20000))");
  // What it read of them, from tables and through indexes.
  auto session = db.Connect();
  EXPECT_EQ(test::Exec(session,
                       "SELECT count(*) FROM metrics.slow_runs(); "
                       "SELECT sum(seq_tup_read) || ' ' || sum(idx_tup_fetch) "
                       "FROM pg_stat_xact_all_tables "
                       "WHERE relname LIKE 'execution_time_statistics%'"),
            "0 2000");
  EXPECT_EQ(db.Exec("SELECT count(*) FROM metrics.slow_runs()"), "2000");
  EXPECT_EQ(db.Exec("SELECT count(*) FROM metrics.slow_runs(7)"), "7");
  EXPECT_EQ(db.Exec("SELECT count(*) FROM metrics.slow_runs(-1)"), "0");
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
