// SPDX-License-Identifier: MIT
// From each release to this one: no number is lost, none is counted twice, and
// what the release did not count yet is caught up with.
#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "exporter/migrations.h"
#include "tests/support/database.h"
#include "tests/support/exporter.h"
#include "tests/support/process.h"
#include "tests/support/runs.h"

namespace {

using namespace std::chrono_literals;
using test::Database;
using test::Template;

// The last migration of each release. What the first of them did not count is
// more than what any later one did not.
constexpr size_t kFirst = 8;
constexpr size_t kLatest = 21;

// The released files, which must stay as they are: a database that has applied
// one refuses another. Put what you want to change into a new migration.
constexpr auto kChecksums =
    R"(0001_roles.sql 60bf596f9e0165e051a9161e257bb8cfcb0cacae59afe21af7564d7ea33a1329
0002_facts.sql c1009d4c8c9b194f9652c233569463e77f42fc612838abfe0a60b0c2abc5c950
0003_fold.sql f20f5a74c731e8176b65e83e9febb3908540898717a7197c9b602d66de09fd1b
0004_views.sql 7a95c62d67265f0d6b1b3f498879dab5f8da6dc0284e754233230853869b5f86
0005_reads.sql 7f34e10b5be60e94b6e3ff1790489420e9e714b76dfa65c852323cb383c1968d
0006_backfill.sql 61fa7c675cc0186d7aadcbaa315997b76a5bbf3afad972389621db39c73e2d42
0007_capture.sql 79c529164d9373993d9f9461928ddae3401217f31829ba5c444f9be5c0000363
0008_privileges.sql 5b22f07e7cd46b96c0374d350a21a44f6ebe92db23968e3463ac984a30b102f9
0009_fact_stream.sql aa8d108b5d428815a970c63ed4ada4ca1cb4462aa4ac61d1250065346732baa6
0010_fold.sql 2e6d32478038e86ed67f13a5f9a4cd15254fefcc900f066ee4594a8a46e8be7c
0011_trends.sql 003a9e77c7a84ba89644c3e6cdcda46fbc702b94fdd1a3357b0af2966c305227
0012_steps.sql 4913c8c367adc09b4fe5d44749efbe361c3aee0c171796425747d90e501e5a19
0013_fold_steps.sql 390c81d882c1b61230397998e7f853657a907b65783ab64247487f43e355e79f
0014_views.sql 086fd881a023ceaaf0712d4a5fa3efb6c588fbd6262fc6ce0e094423caac4c0b
0015_retention.sql a4abeb4d5d629369520a95dc630d61263599ad66698b4fb9a732a66093313c2d
0016_exactness.sql 21126a2f8af43169bb569d5906d41c89ec150e2ab773f85f483d974eb1504d63
0017_replays.sql 44b9c19db8c9197cc75cc290ad35cd7ae992e15b01eacac1028ef756b45cc2a2
0018_tenants.sql c9f5b7573a2cdb390805f55079ecc813737d6f0cbc5b77bb6e962915b050e1ff
0019_access.sql cecce8afb3d5ecf3ac88b8d666fe7c514b958cb280ed011ee6682817d4a25456
0020_queues.sql d332d45e415937841dce879d16550d0fa3b410296f04b468fcd46c0b9b0dc40a
0021_openmetrics.sql 1b5e99af702a3585f2a1bb544f165c5a6965a72f7f4340218cdd5cc19c9a28eb)";

// A run of each workflow that begins 20 minutes ago, and its events but for the
// last ones: a step that succeeds, and one that does so at the second attempt.
constexpr auto kBeginRuns = R"(
    WITH runs AS (
        INSERT INTO workflow_runs (project_id, workflow_id, status, started_at)
        SELECT project_id, id, 'running', now() - interval '20 minutes'
        FROM workflow_definitions RETURNING id
    )
    INSERT INTO workflow_events (run_id, ts, type, payload)
    SELECT runs.id, now() - interval '20 minutes' + i * interval '1 second',
           type, payload::jsonb
    FROM runs, (VALUES
        (1, 'run_created', '{"body": {"card": "4111"}}'),
        (2, 'step_started', '{"node": {"id": "map", "type": "transform"}}'),
        (3, 'step_succeeded', '{"node": {"id": "map", "type": "transform"}}'),
        (4, 'step_started', '{"node": {"id": "call", "type": "http_call"}}'),
        (5, 'http_attempted', '{"node": {"id": "call"}, "status": 503}'),
        (6, 'step_failed', '{"node": {"id": "call", "type": "http_call"},
                             "error": "HTTP 503"}'))
        AS e (i, type, payload) ORDER BY i)";

// The last events of those that run, and the finish.
constexpr auto kFinishRuns = R"(
    INSERT INTO workflow_events (run_id, ts, type, payload)
    SELECT id, now() - interval '15 minutes', type, payload::jsonb
    FROM workflow_runs, (VALUES
        (1, 'http_attempted', '{"node": {"id": "call"}, "status": 200}'),
        (2, 'step_succeeded', '{"node": {"id": "call", "type": "http_call"}}'),
        (3, 'run_completed', '{}')) AS e (i, type, payload)
    WHERE status = 'running' ORDER BY i;
    UPDATE workflow_runs
    SET status = 'succeeded', finished_at = now() - interval '15 minutes'
    WHERE status = 'running')";

// Two finished runs that have not been taken up again yet are, run a step, and
// finish anew.
constexpr auto kTakeUp = R"(
    UPDATE workflow_runs SET status = 'running', finished_at = NULL
    WHERE id IN (SELECT id FROM workflow_runs
                 WHERE status = 'succeeded' ORDER BY created_at DESC LIMIT 2))";
constexpr auto kFinishAnew = R"(
    INSERT INTO workflow_events (run_id, type, payload)
    SELECT id, type, '{"node": {"id": "again", "type": "delay"}}'
    FROM workflow_runs, unnest('{step_started,step_succeeded}'::text[]) AS type
    WHERE status = 'running';
    UPDATE workflow_runs SET status = 'failed', finished_at = now()
    WHERE status = 'running')";

constexpr auto kTotals =
    "SELECT string_agg(m::text, E'\\n' ORDER BY workflow_id) "
    "FROM (SELECT workflow_id, project_id, success_count, failure_count, "
    "canceled_count, duration_sum_ms, duration_buckets, last_updated "
    "FROM metrics.workflow_run_metrics) AS m";
constexpr auto kFacts =
    "SELECT string_agg(f::text, E'\\n' ORDER BY f::text) "
    "FROM metrics.execution_time_statistics AS f";

// What the events say, and what the steps do.
constexpr auto kEvents = R"(
    SELECT (count(*) FILTER (WHERE type = 'step_succeeded'),
            count(*) FILTER (WHERE type = 'step_failed'),
            count(*) FILTER (WHERE type = 'http_attempted'),
            count(*) FILTER (WHERE type LIKE 'step%' OR type LIKE 'http%'))
    FROM workflow_events)";
constexpr auto kSteps = R"(
    SELECT (sum(success_count), sum(failure_count),
            sum(http_1xx + http_2xx + http_3xx + http_4xx + http_5xx
                + http_other), sum(event_count))
    FROM metrics.step_metrics)";

class Upgrade : public testing::Test {
 protected:
  explicit Upgrade(size_t release = kFirst) {
    db_.Exec(test::kWorkflows);
    for (int i = 0; i < 8; ++i) Runs();  // 40 from before
    auto released = meshhook::EmbeddedMigrations();
    released.resize(release);
    Install(released);
  }

  void Install(const std::vector<meshhook::Migration>& migrations) {
    meshhook::Migrate(db_.Conninfo(), migrations, 60s,
                      [](const std::string&) {});
  }
  void Upgrading() { Install(meshhook::EmbeddedMigrations()); }

  // Five of them.
  void Runs() {
    db_.Exec(kBeginRuns);
    db_.Exec(kFinishRuns);
  }
  // Two of them.
  void Replays() {
    db_.Exec(kTakeUp);
    db_.Exec(kFinishAnew);
  }

  // A life under the release: 8 of 40 runs from before brought in, 20 runs and
  // 2 replays folded, and not folded 5 runs of a transaction that was open
  // while that fold ran, 10 later runs and 2 replays.
  void Live() {
    db_.Exec("SELECT metrics.backfill(8)");
    for (int i = 0; i < 4; ++i) Runs();
    Replays();
    auto slow = db_.Connect();
    test::Exec(slow, std::string("BEGIN;") + kBeginRuns + ";" + kFinishRuns);
    db_.Exec("SELECT metrics.fold()");
    test::Exec(slow, "COMMIT");
    Runs();
    Runs();
    Replays();
  }

  void CatchUp() {
    for (const auto* step :
         {"SELECT metrics.fold()", "SELECT metrics.fold_trends()",
          "SELECT metrics.fold_steps(2000, '0')"}) {
      while (db_.Exec(step) != "0") continue;
    }
  }
  void ExpectAllCounted(const std::string& finishes) {
    EXPECT_EQ(db_.Exec(test::kCounted), finishes);
    EXPECT_EQ(db_.Exec("SELECT sum(success_count + failure_count "
                       "+ canceled_count) FROM metrics.project_metrics_daily"),
              finishes);
    EXPECT_EQ(db_.Exec("SELECT string_agg(v::text, E'\\n') "
                       "FROM metrics.verify() AS v"),
              "");
  }

  Database db_{Template::kFixture};
};

class EachRelease : public Upgrade, public testing::WithParamInterface<size_t> {
 protected:
  EachRelease() : Upgrade(GetParam()) {}
};

INSTANTIATE_TEST_SUITE_P(Upgrade, EachRelease,
                         testing::Values(kFirst, kLatest));

TEST(ReleasedMigrations, AreNeverEdited) {
  Database db;
  EXPECT_EQ(db.Exec("SELECT string_agg(name || ' ' || checksum, E'\\n' "
                    "ORDER BY version) FROM metrics.schema_migrations "
                    "WHERE version <= " +
                    std::to_string(kLatest)),
            kChecksums);
}

TEST_P(EachRelease, KeepsEveryNumberAndEveryFact) {
  Live();
  const auto totals = db_.Exec(kTotals);
  const auto facts = db_.Exec(kFacts);
  const auto pending = db_.Exec("SELECT metrics.pending_facts()");
  EXPECT_EQ(db_.Exec(test::kCounted), "30");
  EXPECT_EQ(pending, "17");
  Upgrading();
  EXPECT_EQ(db_.Exec(kTotals), totals);
  EXPECT_EQ(db_.Exec(kFacts), facts);
  EXPECT_EQ(db_.Exec("SELECT metrics.pending_facts()"), pending);
}

TEST_P(EachRelease, FoldsExactlyOnceWhatWasNotFolded) {
  Live();
  Upgrading();
  EXPECT_EQ(db_.Exec("SELECT metrics.fold()"), "17");
  EXPECT_EQ(db_.Exec("SELECT metrics.fold()"), "0");
  CatchUp();
  ExpectAllCounted("47");
}

TEST_P(EachRelease, GoesOnWithTheBackfillAndCatchesUpWithSteps) {
  Live();
  Upgrading();
  CatchUp();
  Runs();
  Replays();
  CatchUp();
  meshhook::Backfill(db_.Conninfo(), [](const std::string&) {});
  CatchUp();
  EXPECT_EQ(db_.Exec("SELECT runs_added FROM metrics.backfill_state"), "40");
  // 40 from before, 20 + 5 + 10 + 5 runs since, 3 times 2 replays.
  EXPECT_EQ(db_.Exec(test::kFinishedRuns), "80");
  ExpectAllCounted("86");
  EXPECT_EQ(db_.Exec(kSteps), db_.Exec(kEvents));
}

TEST_F(Upgrade, CountsTheEventsOfARunThatFinishedTwiceOnce) {
  db_.Exec("DELETE FROM workflow_runs");
  Runs();
  Replays();
  EXPECT_EQ(db_.Exec("SELECT count(*) FROM metrics.execution_time_statistics"),
            "7");
  Upgrading();
  CatchUp();
  EXPECT_EQ(db_.Exec(kSteps), db_.Exec(kEvents));
  EXPECT_EQ(db_.Exec("SELECT (sum(success_count), sum(failure_count)) "
                     "FROM metrics.step_metrics"),
            "(12,5)");
}

TEST_F(Upgrade, IsDoneWhileTheReleasesExporterAndWritersGoOn) {
  std::atomic<bool> stop{false};
  std::thread writer([&] {
    auto session = db_.Connect();
    while (!stop) test::Exec(session, test::kRun);
  });
  // What the release's worker calls, from a session that stays.
  std::thread folder([&] {
    auto session = db_.Connect(test::kExporter);
    while (!stop) {
      test::Exec(session, "SELECT metrics.fold(), metrics.refresh_if_due()");
    }
  });
  std::this_thread::sleep_for(200ms);
  Upgrading();
  std::this_thread::sleep_for(200ms);
  stop = true;
  writer.join();
  folder.join();
  meshhook::Backfill(db_.Conninfo(), [](const std::string&) {});
  CatchUp();
  ExpectAllCounted(db_.Exec(test::kFinishedRuns));
  EXPECT_EQ(db_.Exec(test::kDifferences), "0");
}

// Each file commits alone, so any of them may be the last for a while.
TEST_F(Upgrade, MayBeBrokenOffAfterAnyFileAndTheExporterGoesOn) {
  Live();
  auto exporter = db_.Connect(test::kExporter);
  const auto& all = meshhook::EmbeddedMigrations();
  for (auto next = kFirst + 1; next <= all.size(); ++next) {
    Install({all.begin(), all.begin() + static_cast<long>(next)});
    Runs();
    for (const auto* statement :
         {"SELECT metrics.fold()", "SELECT metrics.refresh_if_due()",
          "SELECT metrics.maintain()", "SELECT metrics.pending_facts()",
          "SELECT FROM metrics.mv_workflow_metrics"}) {
      EXPECT_EQ(test::Refusal(exporter, statement), "")
          << statement << " after " << all[next - 1].name;
    }
    EXPECT_EQ(db_.Exec("SELECT count(*) FROM pg_proc "
                       "WHERE pronamespace = 'metrics'::regnamespace "
                       "AND has_function_privilege('public', oid, 'EXECUTE')"),
              "0")
        << all[next - 1].name;
  }
  CatchUp();
  ExpectAllCounted(std::to_string(47 + 5 * (all.size() - kFirst)));
  EXPECT_EQ(db_.Exec("SELECT count(*) FROM metrics.refresh_log "
                     "WHERE sqlstate IS NOT NULL"),
            "0");
}

// The worker of this version, from the first second.
TEST_F(Upgrade, IsFollowedByAnExporterThatCatchesUpByItself) {
  Live();
  Upgrading();
  const test::Exporter exporter(db_.Url(test::kExporter));
  EXPECT_TRUE(test::Await(
      [&] {
        return db_.Exec(
                   "SELECT bool_and(facts_total >= 47) "
                   "FROM metrics.fold_state WHERE consumer <> 'runs'") == "t";
      },
      30s));
  ExpectAllCounted("47");
}

}  // namespace
