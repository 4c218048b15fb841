// SPDX-License-Identifier: MIT
// Each finish of a run becomes a fact in its month, and never fails MeshHook.
#include <gtest/gtest.h>

#include "tests/support/database.h"
#include "tests/support/runs.h"

namespace {

using test::Database;
using test::kCounted;
using test::kRun;
using test::kWorkflows;

TEST(Capture, CountsEachFinishOfARunThatIsReplayed) {
  Database db;
  db.Exec(kWorkflows);
  db.Exec(kRun);
  db.Exec("UPDATE workflow_runs SET status = 'running', finished_at = NULL");
  db.Exec("UPDATE workflow_runs SET status = 'failed', finished_at = now()");
  db.Exec("UPDATE workflow_runs SET updated_at = now()");
  db.Exec("SELECT metrics.fold()");
  EXPECT_EQ(db.Exec(kCounted), "2");
}

TEST(Capture, NeverFailsMeshHooksOwnWrite) {
  Database db;
  db.Exec(kWorkflows);
  auto session = db.Connect();
  for (const char* times :
       {"now(), NULL", "'infinity', '-infinity'", "now(), 'infinity'",
        "'4713-01-01 BC', '294276-12-31'", "now() + interval '1 year', now()",
        "'1999-12-31', '2000-01-01'"}) {
    EXPECT_EQ(test::Refusal(session,
                            "INSERT INTO workflow_runs (project_id, "
                            "workflow_id, status, started_at, finished_at) "
                            "SELECT project_id, id, 'failed', " +
                                std::string(times) +
                                " FROM workflow_definitions LIMIT 1"),
              "")
        << times;
  }
  db.Exec("SELECT metrics.fold()");
  EXPECT_EQ(db.Exec(kCounted), "6");
  EXPECT_EQ(db.Exec("SELECT min(execution_time_ms) "
                    "FROM metrics.execution_time_statistics"),
            "0");
}

TEST(Capture, SurvivesTheDeletionOfItsProject) {
  Database db;
  db.Exec(kWorkflows);
  db.Exec(kRun);
  db.Exec("DELETE FROM projects");
  db.Exec("SELECT metrics.fold()");
  EXPECT_EQ(db.Exec(kCounted), "1");
  EXPECT_EQ(db.Exec("SELECT count(*) FROM metrics.workflow_counters"), "1");
}

TEST(Partitions, AreMadeAheadWithoutHoldingUpWriters) {
  Database db;
  db.Exec(kWorkflows);
  auto writer = db.Connect();
  test::Exec(writer, std::string("BEGIN;") + kRun);
  db.Exec("SET lock_timeout = '500ms'");
  // The installation made two months ahead: three more of every table.
  EXPECT_EQ(db.Exec("SELECT metrics.ensure_partitions(5)"),
            db.Exec("SELECT 3 * count(*) FROM metrics.retention "
                    "WHERE by_month"));
  EXPECT_EQ(db.Exec("SELECT metrics.ensure_partitions(5)"), "0");
  test::Exec(writer, "COMMIT");
  EXPECT_EQ(db.Exec("SELECT count(*) "
                    "FROM metrics.execution_time_statistics_default"),
            "0");
}

}  // namespace
