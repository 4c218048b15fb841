// SPDX-License-Identifier: MIT
// What the stream is made of: each change of a workflow's counts, once, however
// late it is committed.
#include "tests/support/tenants.h"

namespace {

using test::Exec;
using test::Refusal;

class ApiChanges : public test::TwoTenants {
 protected:
  ApiChanges() : TwoTenants(false), all_(Operator()) { Ask(); }

  // The workflows that changed since it was last asked, with their counts.
  std::string Ask() {
    const auto answer =
        Exec(all_, "SELECT metrics.api_changes(nullif('" + seen_ + "', ''))");
    seen_ = Member(answer, "seen");
    return db_.Exec(
        "SELECT coalesce(string_agg(right(c ->> 'workflow_id', 2) "
        "|| ' ' || (c ->> 'execution_count'), ', ' "
        "ORDER BY c ->> 'workflow_id'), '') "
        "FROM jsonb_array_elements(" +
        Quoted(answer) + "::jsonb -> 'changes') AS c");
  }
  void Run(const std::string& workflow, const std::string& finished = "now()") {
    db_.Exec(
        "INSERT INTO workflow_runs (project_id, workflow_id, status, "
        "started_at, finished_at) SELECT project_id, id, 'failed', now(), " +
        finished + " FROM workflow_definitions WHERE id = '" +
        Workflow(workflow) + "'");
  }

  meshhook::pg::Connection all_;
  std::string seen_;
};

TEST_F(ApiChanges, AreGivenOnce) {
  EXPECT_EQ(Ask(), "");
  Run("a1");
  Run("a1");
  Run("b1");
  EXPECT_EQ(Ask(), "");
  db_.Exec("SELECT metrics.fold()");
  EXPECT_EQ(Ask(), "a1 2, b1 1");
  EXPECT_EQ(Ask(), "");
  Run("a1");
  db_.Exec("SELECT metrics.fold()");
  EXPECT_EQ(Ask(), "a1 3");
}

// last_updated stays as it was.
TEST_F(ApiChanges, AreGivenOfARunThatEndedLongAgoToo) {
  Run("a1");
  db_.Exec("SELECT metrics.fold()");
  EXPECT_EQ(Ask(), "a1 1");
  Run("a1", "now() - interval '5 days'");
  db_.Exec("SELECT metrics.fold()");
  EXPECT_EQ(Ask(), "a1 2");
}

// A fold that was asked about before it was over, and is over after others.
TEST_F(ApiChanges, AreGivenHoweverLongTheirTransactionTook) {
  Run("a1");
  auto slow = db_.Connect();
  Exec(slow, "BEGIN; SELECT metrics.fold()");
  EXPECT_EQ(Ask(), "");
  for (int i = 0; i < 3; ++i) db_.Exec("SELECT pg_current_xact_id()");
  EXPECT_EQ(Ask(), "");
  Exec(slow, "COMMIT");
  EXPECT_EQ(Ask(), "a1 1");
  EXPECT_EQ(Ask(), "");
}

TEST_F(ApiChanges, HaveAllTheCounts) {
  Run("a1", "'2026-01-02 03:04:05.678901Z'");
  db_.Exec("SELECT metrics.fold()");
  const auto answer = Exec(all_, "SELECT metrics.api_changes('" + seen_ + "')");
  EXPECT_EQ(Member(answer, "changes"),
            R"([{"project_id": ")" + Project("a1") + R"(", "workflow_id": ")" +
                Workflow("a1") +
                R"(", "last_updated": "2026-01-02T03:04:05.678901+00:00", )"
                R"("failure_count": 1, "success_count": 0, )"
                R"("canceled_count": 0, "execution_count": 1}])");
}

TEST_F(ApiChanges, AreForOperators) {
  auto ada = User(kAda);
  EXPECT_EQ(Refusal(ada, "SELECT metrics.api_changes(NULL)"), kRefused);
  for (const std::string seen : {"", "x", "1:0:", "-1:5:", "5:1:"}) {
    EXPECT_EQ(Refusal(all_, "SELECT metrics.api_changes('" + seen + "')"),
              "22P02")
        << seen;
  }
}

}  // namespace
