// SPDX-License-Identifier: MIT
// What the events of runs say of each step, exactly, whatever is in them.
#include "tests/support/steps.h"

#include <gtest/gtest.h>

#include <ctime>

namespace {

using test::Node;
using test::Runs;

constexpr auto kCounts = "success_count, failure_count, event_count";

// Half a minute before the first call, and that many milliseconds.
std::string At(int milliseconds) {
  static const auto kBegin = std::to_string(std::time(nullptr) - 30);
  return "to_timestamp(" + kBegin + ") + interval '" +
         std::to_string(milliseconds) + " ms'";
}

TEST(Steps, TakeFromTheFirstStartToTheSuccessThroughTheirRetries) {
  Runs runs;
  runs.Begin(1);
  runs.Event(1, "step_started", Node("call"), At(0));
  runs.Event(1, "http_attempted", Node("call", R"("status": 503)"), At(100));
  runs.Event(1, "step_failed",
             Node("call", R"("attempt": 1, "error": "Error: HTTP 503")"),
             At(110));
  runs.Event(1, "step_started", Node("call"), At(1000));
  runs.Event(1, "step_failed",
             Node("call", R"("attempt": 2, "error": "ETIMEDOUT")"), At(1500));
  runs.Event(1, "step_started", Node("call"), At(2000));
  runs.Event(1, "http_attempted", Node("call", R"("status": 200)"), At(2300));
  runs.Event(1, "step_succeeded", Node("call", R"("next": "end")"), At(2400));
  runs.Set(1, "succeeded");
  EXPECT_EQ(runs.Fold(), "1");
  EXPECT_EQ(runs.Figures("call", kCounts), "1 2 8");
  EXPECT_EQ(runs.Figures("call",
                         "failures_http_5xx, failures_timeout, "
                         "http_2xx, http_5xx, node_type"),
            "1 1 1 1 http_call");
  EXPECT_EQ(runs.db.Exec("SELECT concat_ws(' ', duration_sum_ms, "
                         "duration_buckets) FROM metrics.step_metrics"),
            "2400 {0,0,0,1,1,1,1,1,1,1}");
  EXPECT_EQ(runs.db.Exec("SELECT concat_ws(' ', success_count, failure_count, "
                         "duration_min_ms, duration_max_ms) "
                         "FROM metrics.step_metrics_hourly"),
            "1 2 2400 2400");
  EXPECT_EQ(runs.Differences(), "0");
}

TEST(Steps, ThatFailHaveNoDuration) {
  Runs runs;
  runs.Begin(1);
  runs.Event(1, "step_started", Node("call"), At(0));
  runs.Event(1, "step_failed", Node("call", R"("error": "boom")"), At(900));
  runs.Event(1, "step_succeeded", Node("unstarted"), At(950));
  runs.Set(1, "failed");
  runs.Fold();
  EXPECT_EQ(runs.Figures("call", kCounts), "0 1 2");
  EXPECT_EQ(runs.Figures("unstarted", kCounts), "1 0 1");
  EXPECT_EQ(runs.db.Exec("SELECT sum(duration_buckets[10]) "
                         "FROM metrics.step_metrics"),
            "0");
  EXPECT_EQ(runs.db.Exec("SELECT count(duration_min_ms) "
                         "FROM metrics.step_metrics_hourly"),
            "0");
}

TEST(Steps, AreCountedForEachTimeTheirNodeIsVisited) {
  Runs runs;
  runs.Begin(1);
  for (int visit = 0; visit < 3; ++visit) {
    runs.Event(1, "step_started", Node("loop"), At(visit * 1000));
    runs.Event(1, "step_succeeded", Node("loop"), At(visit * 1000 + 50));
  }
  runs.Set(1, "succeeded");
  runs.Fold();
  EXPECT_EQ(runs.Figures("loop", kCounts), "3 0 6");
  EXPECT_EQ(runs.Figures("loop", "duration_sum_ms, duration_buckets[1]"),
            "150 3");
}

TEST(Steps, TellHttpAnswersApartByTheirClass) {
  Runs runs;
  runs.Begin(1);
  for (const char* status : {"100", "204", "\"302\"", "404", "429", "599",
                             "600", "99", "2000", "\"200 OK\"", "-200", "null",
                             "{}", "[200]", "1e400", "200.5", "\"\""}) {
    runs.Event(1, "http_attempted",
               Node("call", std::string(R"("status": )") + status));
  }
  runs.Event(1, "http_attempted", Node("call"));
  runs.Set(1, "succeeded");
  runs.Fold();
  EXPECT_EQ(runs.Figures("call",
                         "http_1xx, http_2xx, http_3xx, http_4xx, "
                         "http_5xx, http_other"),
            "1 1 1 2 1 12");
  EXPECT_EQ(runs.Differences(), "0");
}

TEST(Steps, TellFailuresApartByTheShapeOfTheMessage) {
  Runs runs;
  const struct {
    const char* message;
    const char* node_type;
    const char* error_class;
  } kCases[] = {
      {"Error: HTTP 503", "http_call", "http_5xx"},
      {"HTTP 404 Not Found", "http_call", "http_4xx"},
      {"Request failed with status code 429", "http_call", "http_4xx"},
      {"http status: 500", "http_call", "http_5xx"},
      {"HTTP/1.1 502 Bad Gateway", "http_call", "http_5xx"},
      {"read ETIMEDOUT", "http_call", "timeout"},
      {"The operation timed out", "http_call", "timeout"},
      {"AbortError: This operation was aborted", "http_call", "timeout"},
      {"Timeout of 5000ms exceeded", "http_call", "timeout"},
      {"connect ECONNREFUSED 10.0.0.1:443", "http_call", "connection"},
      {"getaddrinfo ENOTFOUND api.example", "http_call", "connection"},
      {"TypeError: fetch failed", "http_call", "connection"},
      {"unable to verify the first certificate", "http_call", "connection"},
      {"Invalid JSONata expression", "branch", "transform"},
      {"Cannot read properties of undefined", "transform", "transform"},
      {"Cannot read properties of undefined", "branch", "other"},
      {"", "http_call", "other"},
      {"order 503 is unknown", "http_call", "other"},
      {"HTTP 5030", "http_call", "other"},
  };
  for (const auto& c : kCases) {
    EXPECT_EQ(runs.db.Exec(std::string("SELECT metrics.error_class($$") +
                           c.message + "$$, '" + c.node_type + "')"),
              c.error_class)
        << c.message;
  }
}

TEST(Steps, ThatAreMalformedFailNothingAndCountOnce) {
  Runs runs;
  const std::string long_id(5000, 'n');
  runs.Begin(1);
  for (const char* type :
       {"step_started", "http_attempted", "step_failed", "step_succeeded"}) {
    for (const std::string& payload : {
             std::string("null"),
             std::string("1"),
             std::string("\"text\""),
             std::string("[]"),
             std::string("[{\"node\": {\"id\": \"x\"}}]"),
             std::string("{}"),
             std::string("{\"node\": null}"),
             std::string("{\"node\": \"call\"}"),
             std::string("{\"node\": [\"id\", \"x\"]}"),
             std::string("{\"node\": {\"id\": null, \"type\": 7}}"),
             std::string("{\"node\": {\"type\": {\"id\": []}}}"),
         }) {
      runs.Event(1, type, payload);
    }
    runs.Event(1, type, Node(long_id));
    runs.Event(1, type, R"({"node": {"id": {"deep": [1]}}})");
    runs.Event(1, type, Node("odd", R"("error": {"message": "HTTP 503"})"));
    runs.Event(1, type, Node("odd", R"("error": ["HTTP", 404])"));
    runs.Event(1, type, Node("odd", R"("error": 503, "status": "999999999")"));
    runs.Event(1, type,
               Node("odd", R"("error": ")" + std::string(100000, 'e') + "\""));
    runs.Event(1, type, Node("\\u00e9\\ud83d\\ude00' \\\\ $1"));
  }
  runs.Set(1, "failed");
  EXPECT_EQ(runs.Fold(), "1");
  EXPECT_EQ(runs.Fold(), "0");
  EXPECT_EQ(runs.db.Exec("SELECT sum(event_count) FROM metrics.step_metrics"),
            "72");
  EXPECT_EQ(runs.Figures("", kCounts), "11 11 44");
  EXPECT_EQ(runs.Figures(std::string(100, 'n'), kCounts), "1 1 4");
  EXPECT_EQ(runs.Figures("odd",
                         "failures_http_5xx, failures_http_4xx, "
                         "failures_other, http_other"),
            "1 1 2 4");
  EXPECT_EQ(runs.db.Exec("SELECT sum(event_bytes) = (SELECT "
                         "sum(pg_column_size(payload)) FROM workflow_events) "
                         "FROM metrics.step_metrics"),
            "t");
}

TEST(Steps, LeaveWhatCustomersSentUnread) {
  Runs runs;
  runs.Begin(1);
  runs.Event(1, "run_created", Node("secret", R"("error": "HTTP 500")"));
  runs.Event(1, "run_completed", Node("secret"));
  runs.Event(1, "step_started", Node("call"));
  runs.Event(1, "run_created", Node("call", R"("status": 500)"));
  runs.Event(1, "step_succeeded", Node("call"));
  runs.Set(1, "succeeded");
  runs.Fold();
  EXPECT_EQ(runs.db.Exec("SELECT string_agg(node_id, ' ') "
                         "FROM metrics.step_metrics"),
            "call");
  EXPECT_EQ(runs.Figures("call", kCounts), "1 0 2");
}

TEST(Steps, ThatAreCommittedShortlyAfterTheFinishAreCounted) {
  Runs runs;
  runs.Begin(1);
  runs.Event(1, "step_started", Node("call"));
  runs.Set(1, "succeeded");
  const auto fold = "SELECT metrics.fold_steps(2000, '300 ms')";
  EXPECT_EQ(runs.db.Exec(fold), "0");
  EXPECT_EQ(runs.db.Exec(fold), "0");  // it has not settled
  runs.Event(1, "step_succeeded", Node("call"));
  runs.db.Exec("SELECT pg_sleep(0.31)");
  EXPECT_EQ(runs.db.Exec(fold), "1");
  EXPECT_EQ(runs.Figures("call", kCounts), "1 0 2");
}

TEST(Steps, SettleWithoutLossThoughCallersDifferInPatience) {
  Runs runs;
  auto slow = runs.db.Connect();
  runs.Begin(100);
  test::Exec(slow, "BEGIN; UPDATE workflow_runs SET status = 'failed'");
  for (int run = 1; run <= 3; ++run) runs.Whole(run);
  const auto patient = "SELECT metrics.fold_steps(1, '50 ms')";
  runs.db.Exec(patient);  // sees the slow one under way
  for (int run = 4; run <= 6; ++run) runs.Whole(run);
  runs.Event(100, "step_started", Node("slow"));
  test::Exec(slow, "COMMIT");
  runs.db.Exec("SELECT metrics.fold_steps(1, '0')");
  for (int i = 0; i < 10; ++i) {
    runs.db.Exec("SELECT pg_sleep(0.06)");
    runs.db.Exec(patient);
  }
  EXPECT_EQ(runs.Figures("slow", "event_count"), "1");
  EXPECT_EQ(runs.Differences(), "0");
}

TEST(Steps, OfATransactionWithManyRunsAreTaken) {
  Runs runs;
  for (int run = 1; run <= 5; ++run) {
    runs.Begin(run);
    runs.Event(run, "step_started", Node("call"));
  }
  runs.db.Exec("UPDATE workflow_runs SET status = 'canceled'");
  runs.Whole(6);
  for (int i = 0; i < 3; ++i) {
    runs.db.Exec("SELECT metrics.fold_steps(2, '0')");
  }
  EXPECT_EQ(runs.Differences(), "0");
}

TEST(Steps, OfThousandsOfRunsThatOneTransactionEndedAreCounted) {
  Runs runs;
  runs.db.Exec(R"(
      INSERT INTO workflow_runs (project_id, workflow_id, status)
      SELECT project_id, id, 'running'
      FROM workflow_definitions, generate_series(1, 4100);
      INSERT INTO workflow_events (run_id, type, payload)
      SELECT id, t, '{"node": {"id": "call"}}'
      FROM workflow_runs, unnest('{step_started,step_succeeded}'::text[]) AS t;
      UPDATE workflow_runs SET status = 'canceled')");
  EXPECT_EQ(runs.Fold(), "4100");
  EXPECT_EQ(runs.Figures("call", kCounts), "4100 0 8200");
  EXPECT_EQ(runs.Fold(), "0");
}

TEST(Steps, OfRunsAndMonthsThatAreGoneDoNoHarm) {
  Runs runs;
  runs.Whole(1);
  runs.db.Exec("DELETE FROM workflow_runs");
  runs.Whole(2);
  EXPECT_EQ(runs.Fold(), "2");
  EXPECT_EQ(runs.Figures("call", kCounts), "1 1 3");
  runs.Whole(3);
  runs.db.Exec(R"(DO $$ BEGIN EXECUTE (
      SELECT 'DROP TABLE ' || string_agg(inhrelid::regclass::text, ', ')
      FROM pg_inherits WHERE inhparent = 'workflow_events'::regclass);
      END $$)");
  EXPECT_EQ(runs.Fold(), "1");
  EXPECT_EQ(runs.Figures("call", kCounts), "1 1 3");
}

TEST(StepViews, SayHowLongStepsTakeAndWhereTheyFail) {
  Runs runs;
  for (int run = 1; run <= 4; ++run) {
    runs.Begin(run);
    runs.Event(run, "step_started", Node("call"), At(0));
    runs.Event(run, "step_failed", Node("call", R"("error": "HTTP 503")"));
    runs.Event(run, "step_succeeded", Node("call"), At(run * 1000));
    runs.Event(run, "step_failed", Node("mail", R"("error": "ETIMEDOUT")"));
    runs.Set(run, "failed", run == 4 ? "now() - interval '2 hours'" : "now()");
  }
  runs.Fold();
  runs.db.Exec(test::kRefreshAll);
  EXPECT_EQ(runs.db.Exec("SELECT concat_ws(' ', step_count, attempt_count, "
                         "failure_count, average_duration::int, min_duration, "
                         "max_duration, abs(median_duration / 2000 - 1) < .01, "
                         "abs(p95_duration / 4000 - 1) < .01) "
                         "FROM metrics.mv_step_latency "
                         "WHERE node_id = 'call'"),
            "4 8 4 2500 1000 4000 t t");
  EXPECT_EQ(runs.db.Exec("SELECT concat_ws(' ', step_count, attempt_count, "
                         "median_duration IS NULL, max_duration IS NULL) "
                         "FROM metrics.mv_step_latency "
                         "WHERE node_id = 'mail'"),
            "0 4 t t");
  EXPECT_EQ(runs.db.Exec("SELECT string_agg(concat_ws(' ', node_id, "
                         "error_class, failures_1h, failures_24h, "
                         "share::float8), ', ' ORDER BY node_id) "
                         "FROM metrics.mv_failure_hotspots"),
            "call http_5xx 3 4 0.5, mail timeout 3 4 0.5");
}

}  // namespace
