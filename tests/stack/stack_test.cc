// SPDX-License-Identifier: MIT
// The main job, end to end, on the real parts: a run finishes in MeshHook's
// database, and soon after a human is told.
//
// One stack (scripts/stack.sh, as the demo runs it) serves all tests, which
// run in the order they stand here.
#include "tests/stack/stack.h"

#include <gtest/gtest.h>

#include <iostream>
#include <utility>

#include "tests/support/database.h"

namespace {

using namespace std::chrono_literals;
using test::Eventually;
using test::Stack;

constexpr auto kCounted =
    "sum(max by (project_id, workflow_id, status) "
    "(meshhook_workflow_runs_total))";
constexpr auto kFinished =
    "SELECT count(*) FROM workflow_runs "
    "WHERE status IN ('succeeded', 'failed', 'canceled')";

// Counters and facts that wait to be folded, against the runs themselves, all
// in one snapshot: equal at every moment, whatever is under way.
constexpr auto kOff = R"(
    SELECT (SELECT count(*) FROM workflow_runs
            WHERE status IN ('succeeded', 'failed', 'canceled'))
         - (SELECT coalesce(sum(success_count + failure_count
                                + canceled_count), 0)
            FROM metrics.workflow_run_metrics)
         - metrics.pending_facts())";

class StackTest : public testing::Test {
 protected:
  static void SetUpTestSuite() { stack_ = new Stack(); }
  static void TearDownTestSuite() {
    delete stack_;
    stack_ = nullptr;
  }
  static Stack& stack() { return *stack_; }

  // Prometheus has every finished run, to the one. The load is held still for
  // a moment, as its runs would otherwise finish between the two readings.
  static void ExpectCountersEqualRuns() {
    stack().Signal("load", "STOP");
    // What the server had been sent by then, it still finishes.
    std::string finished;
    EXPECT_TRUE(Eventually(20s, [&] {
      const auto before = std::exchange(finished, stack().Sql(kFinished));
      std::this_thread::sleep_for(500ms);
      return finished == before;
    }));
    EXPECT_GT(std::stol(finished), 0);
    EXPECT_TRUE(Eventually(
        20s, [&] { return stack().Query(kCounted) == std::stod(finished); }))
        << "Prometheus: " << stack().Query(kCounted)
        << ", finished runs: " << finished;
    EXPECT_EQ(stack().Sql(kFinished), finished);
    stack().Signal("load", "CONT");
  }

 private:
  static inline Stack* stack_ = nullptr;
};

TEST_F(StackTest, AllTargetsAreUpAndAllRulesEvaluate) {
  EXPECT_TRUE(Eventually(60s, [] {
    return stack().Query("min(up)") == 1 && stack().Query("count(up)") >= 4;
  }));
  EXPECT_TRUE(Eventually(60s, [] { return stack().RulesAreHealthy(); }));
  EXPECT_TRUE(
      Eventually(30s, [] { return stack().Firing("MeshHookWatchdog", ""); }));
}

TEST_F(StackTest, CountersAreExactAtEveryMomentUnderLoad) {
  for (int i = 0; i < 50; ++i) EXPECT_EQ(stack().Sql(kOff), "0");
  ExpectCountersEqualRuns();
}

TEST_F(StackTest, CountersStayExactOverKillNineOfTheExporter) {
  const double before = stack().Query(kCounted);
  stack().Do("kill exporter");
  std::this_thread::sleep_for(3s);
  EXPECT_EQ(stack().Sql(kOff), "0");
  stack().Do("start exporter");
  ExpectCountersEqualRuns();
  EXPECT_GE(stack().Query(kCounted), before);
}

TEST_F(StackTest, CountersStayExactWhileAWriteTransactionIsHeldOpen) {
  const auto opened = std::chrono::steady_clock::now();
  const double before = stack().Query(kCounted);
  auto holder = stack().Connect();
  test::Exec(holder, R"(
      BEGIN;
      INSERT INTO workflow_runs
          (project_id, workflow_id, status, started_at, finished_at)
      SELECT project_id, id, 'succeeded', now(), now()
      FROM workflow_definitions LIMIT 1)");
  while (std::chrono::steady_clock::now() - opened < 10s) {
    EXPECT_EQ(stack().Sql(kOff), "0");
    std::this_thread::sleep_for(500ms);
  }
  ExpectCountersEqualRuns();
  EXPECT_GT(stack().Query(kCounted), before) << "others waited for it";
  test::Exec(holder, "COMMIT");
  EXPECT_EQ(stack().Sql(kOff), "0");
  ExpectCountersEqualRuns();
}

TEST_F(StackTest, PromtoolFindsFaultOnlyWithNamesKeptForCompatibility) {
  for (const auto& fault : stack().MetricFaults()) {
    EXPECT_EQ(fault.rfind("pg_", 0), 0) << fault;
  }
}

TEST_F(StackTest, NothingButTheWatchdogFiresInHealth) {
  EXPECT_EQ(stack().FiringBut("MeshHookWatchdog"), "");
}

TEST_F(StackTest, EveryDashboardQueryReturnsData) {
  EXPECT_EQ(stack().CheckDashboards(), 0);
}

TEST_F(StackTest, AHumanIsToldWhenAWorkflowFailsAndWhenItRecovers) {
  const auto workflow = stack().Sql(
      "SELECT workflow_id FROM demo.workflow_behaviour "
      "ORDER BY weight / median_ms DESC LIMIT 1");
  const auto name = stack().Sql(
      "SELECT name FROM workflow_definitions WHERE id = '" + workflow + "'");
  stack().Sql(
      "UPDATE demo.workflow_behaviour SET failure_ratio = 1 "
      "WHERE workflow_id = '" +
      workflow + "'");

  const auto began = std::chrono::steady_clock::now();
  const auto told = [&](const std::string& channel, const std::string& state,
                        const std::string& what) {
    return stack().Notified(channel,
                            {state, name, "% of its runs failed", what});
  };
  for (const char* channel : {"slack", "mail"}) {
    EXPECT_TRUE(Eventually(began + 60s,
                           [&] {
                             return told(channel, "FIRING",
                                         "runbooks/MeshHookWorkflowFailing");
                           }))
        << channel << " heard: " << stack().Notifications();
    std::cout << channel << " was told within "
              << std::chrono::ceil<std::chrono::seconds>(
                     std::chrono::steady_clock::now() - began)
                     .count()
              << " s\n";
  }

  stack().Sql(
      "UPDATE demo.workflow_behaviour SET failure_ratio = 0 "
      "WHERE workflow_id = '" +
      workflow + "'");
  const auto mended = std::chrono::steady_clock::now();
  for (const char* channel : {"slack", "mail"}) {
    EXPECT_TRUE(Eventually(
        mended + 300s,
        [&] { return told(channel, "RESOLVED", "MeshHookWorkflowFailing"); }))
        << channel << " heard: " << stack().Notifications();
  }
}

TEST_F(StackTest, TheExporterOutlivesTheDatabase) {
  stack().Do("kill postgres");
  EXPECT_TRUE(Eventually(20s, [] { return stack().Query("pg_up") == 0; }));
  EXPECT_EQ(stack().Query("up{job=\"meshhook\"}"), 1);
  stack().Do("start postgres");
  EXPECT_TRUE(Eventually(40s, [] { return stack().Query("pg_up") == 1; }));
  EXPECT_TRUE(Eventually(30s, [] { return stack().Sql(kOff) == "0"; }));
  ExpectCountersEqualRuns();
}

}  // namespace
