// SPDX-License-Identifier: MIT
// No finish is lost or counted twice when a fold, a session or the server is
// killed, when a standby takes over, or when a dump is restored elsewhere.
#include <gtest/gtest.h>
#include <signal.h>

#include <atomic>
#include <thread>

#include "tests/support/database.h"
#include "tests/support/process.h"
#include "tests/support/server.h"
#include "tests/support/steps.h"

namespace {

using namespace std::chrono_literals;
using meshhook::pg::Connection;
using test::Await;
using test::Exec;
using test::Node;
using test::Server;

Connection Open(const std::string& url) {
  return Connection::Open(test::ConninfoOf(url),
                          meshhook::pg::Clock::now() + 20s);
}

// The database `app`, with one workflow and a log of finishes of its own that
// is written in the same transactions.
void MakeApp(const Server& server) {
  server.Shell(R"(pg_database_create "$1" app && pg_fixtures_load "$1" app
                  DATABASE_URL="postgresql://postgres@127.0.0.1:$PGPORT/app" \
                    "$2" migrate)",
               MESHHOOK_EXPORTER);
  auto session = Open(server.Url("app"));
  Exec(session, test::kOneWorkflow);
  Exec(session, "CREATE TABLE public.finishes (run_id uuid, status text)");
}

// Uses twenty thousand transaction ids up.
void Burn(const Server& server) {
  auto session = Open(server.Url());
  Exec(session, R"(DO $$ BEGIN
      CREATE TABLE burnt (n int);
      FOR i IN 1 .. 20000 LOOP
          BEGIN
              INSERT INTO burnt VALUES (i);
          EXCEPTION WHEN division_by_zero THEN NULL;
          END;
      END LOOP; END $$)");
}

std::string Finish(const std::string& run, const std::string& status) {
  return "UPDATE public.workflow_runs SET status = '" + status +
         "', finished_at = now() WHERE id = " + run +
         "; INSERT INTO public.finishes VALUES (" + run + ", '" + status +
         "');";
}

std::string Events(const std::string& run) {
  return "INSERT INTO public.workflow_events (run_id, type, payload) "
         "SELECT " +
         run + ", t, $$" + Node("call", R"("error": "HTTP 503")") +
         "$$ FROM unnest('{step_started,step_failed,step_succeeded}'::text[]) "
         "AS t;";
}

// A run from its beginning to its end, in one transaction.
std::string WholeRun(const std::string& run) {
  return "INSERT INTO public.workflow_runs (id, project_id, workflow_id, "
         "status, started_at) SELECT " +
         run +
         ", project_id, id, 'running', "
         "now() - interval '3 s' FROM public.workflow_definitions;" +
         Events(run) + Finish(run, "failed");
}

std::string AnyId(Connection& session) {
  return "'" + Exec(session, "SELECT gen_random_uuid()") + "'";
}

// Writers and folds that go on, through every loss of their session, for as
// long as this lives.
class Load {
 public:
  explicit Load(const std::string& url) : url_(url) {
    for (int writer = 0; writer < 2; ++writer) Start(Write);
    for (const char* fold :
         {"SELECT metrics.fold(40)", "SELECT metrics.fold_trends(40)",
          "SELECT metrics.fold_steps(40, '20 ms')", "SELECT metrics.fold()"}) {
      Start([fold](Connection& session) { Exec(session, fold); });
    }
  }
  ~Load() {
    stop_ = true;
    for (auto& thread : threads_) thread.join();
  }

 private:
  void Start(const std::function<void(Connection&)>& step) {
    threads_.emplace_back([this, step] {
      while (!stop_) {
        try {
          auto session = Open(url_);
          while (!stop_) step(session);
        } catch (const meshhook::pg::Error&) {
          std::this_thread::sleep_for(20ms);
        }
      }
    });
  }
  static void Write(Connection& session) {
    const auto run = AnyId(session);
    Exec(session, "BEGIN;" + WholeRun(run) + "SELECT pg_sleep(0.003); COMMIT");
    if (run[1] > '4') return;
    Exec(session,
         "UPDATE workflow_runs SET status = 'running' WHERE id = " + run);
    Exec(session, "BEGIN;" + Events(run) + Finish(run, "succeeded") + "COMMIT");
  }

  const std::string url_;
  std::atomic<bool> stop_{false};
  std::vector<std::thread> threads_;
};

std::string Finishes(Connection& session) {
  return Exec(session, "SELECT count(*) FROM public.finishes");
}

// Until so many more finishes are there.
void AwaitFinishes(const std::string& url, long more) {
  auto session = Open(url);
  const long before = std::stol(Finishes(session));
  EXPECT_TRUE(Await(
      [&] { return std::stol(Finishes(session)) >= before + more; }, 30s));
}

void ExpectExact(const std::string& url) {
  auto session = Open(url);
  // Those that a crash has left between two finishes.
  Exec(session,
       "WITH left_over AS (UPDATE workflow_runs SET status = 'canceled' "
       "WHERE status = 'running' RETURNING id) "
       "INSERT INTO finishes SELECT id, 'canceled' FROM left_over");
  while (Exec(session, "SELECT metrics.is_adopted()") != "t") {
    Exec(session, "SELECT metrics.fold()");
  }
  while (Exec(session,
              "SELECT metrics.fold() + metrics.fold_trends() + "
              "metrics.fold_steps(2000, '0')") != "0") {
    continue;
  }
  EXPECT_GT(std::stol(Finishes(session)), 0);
  EXPECT_EQ(Exec(session,
                 "SELECT concat_ws(' ', success_count, failure_count, "
                 "canceled_count) FROM metrics.workflow_run_metrics"),
            Exec(session,
                 "SELECT concat_ws(' ', "
                 "count(*) FILTER (WHERE status = 'succeeded'), "
                 "count(*) FILTER (WHERE status = 'failed'), "
                 "count(*) FILTER (WHERE status = 'canceled')) "
                 "FROM finishes"));
  EXPECT_EQ(Exec(session,
                 "SELECT string_agg(v::text, E'\\n') "
                 "FROM metrics.verify() AS v"),
            "");
  EXPECT_EQ(Exec(session, test::kStepDifferences), "0");
}

// The process that folds, held in mid-fold by a lock that it waits for.
int HeldFold(Connection& session, const std::string& table) {
  std::string pid;
  Exec(session, "BEGIN; LOCK TABLE metrics." + table);
  EXPECT_TRUE(Await([&] {
    pid = Exec(session,
               "SELECT pid FROM pg_stat_activity "
               "WHERE query LIKE '%metrics.fold%' "
               "AND wait_event_type = 'Lock' LIMIT 1");
    return !pid.empty();
  }));
  return std::stoi("0" + pid);
}

bool Answers(Connection& session) {
  try {
    Exec(session, "SELECT 1");
    return true;
  } catch (const meshhook::pg::Error&) {
    return false;
  }
}

TEST(Crash, OfAFoldOrItsServerLosesNothingAndCountsNothingTwice) {
  Server server;
  MakeApp(server);
  const auto url = server.Url("app");
  {
    const Load load(url);
    AwaitFinishes(url, 50);
    for (const char* table :
         {"workflow_run_metrics", "workflow_metrics_daily", "step_failures"}) {
      {
        auto session = Open(url);
        const int pid = HeldFold(session, table);
        EXPECT_EQ(Exec(session, "SELECT pg_terminate_backend(" +
                                    std::to_string(pid) + ")"),
                  "t");
        Exec(session, "ROLLBACK");
      }
      AwaitFinishes(url, 20);
      auto session = Open(url);
      const int pid = HeldFold(session, table);
      ASSERT_GT(pid, 1);
      kill(pid, SIGKILL);
      EXPECT_TRUE(Await([&] { return !Answers(session); }));
      EXPECT_TRUE(Await([&] {  // the server has restarted itself
        try {
          session = Open(url);
          return true;
        } catch (const meshhook::pg::Error&) {
          return false;
        }
      }));
      AwaitFinishes(url, 20);
    }
    server.Stop();
    server.Start();
    AwaitFinishes(url, 20);
  }
  ExpectExact(url);
}

TEST(Failover, ToAStandbyLosesNothingAndCountsNothingTwice) {
  Server primary;
  MakeApp(primary);
  const auto standby = Server::StandbyOf(primary);
  {
    const Load load(primary.Url("app"));
    AwaitFinishes(primary.Url("app"), 100);
    primary.Stop();  // amid the load
  }
  standby->Promote();
  {
    const Load load(standby->Url("app"));
    AwaitFinishes(standby->Url("app"), 100);
  }
  ExpectExact(standby->Url("app"));
}

// A database with facts in every state, dumped and restored elsewhere.
class Restore : public testing::Test {
 protected:
  Restore() { MakeApp(source_); }

  void Fill() {
    const auto url = source_.Url("app");
    {
      const Load load(url);
      AwaitFinishes(url, 150);
    }
    auto session = Open(url);
    auto early = Open(url);
    auto late = Open(url);
    Exec(early, "BEGIN;" + WholeRun(AnyId(early)));
    Exec(late, "BEGIN;" + WholeRun(AnyId(late)));
    for (const char* fold :
         {"SELECT metrics.fold()", "SELECT metrics.fold_trends()",
          "SELECT metrics.fold_steps(2000, '0')",
          "SELECT metrics.fold_steps(2000, '1 h')", "SELECT metrics.fold(3)",
          "SELECT 1"}) {
      for (int i = 0; i < 5; ++i) Exec(session, WholeRun(AnyId(session)));
      Exec(session, fold);
    }
    Exec(early, "COMMIT");  // below what was folded, and in progress then
    // Is on its way still, so the dump has neither the run nor its fact.
    Dump();
    Exec(late, "COMMIT");
  }
  void Dump() {
    source_.Shell(
        R"("$PG_BINDIR/pg_dump" --host="$PGHOST" --port="$PGPORT" \
             --username=supabase_admin --file="$1/dump.sql" app)");
  }
  void RestoreInto(const Server& target) {
    target.Shell(R"(
        pg_database_create "$1" app
        pg_psql "$1" app --output=/dev/null \
          --command='CREATE ROLE meshhook_exporter LOGIN' \
          --command='CREATE ROLE meshhook_operator NOLOGIN' \
          --command='CREATE ROLE meshhook_api LOGIN NOINHERIT'
        pg_psql "$1" app --output=/dev/null --file="$2/dump.sql")",
                 source_.directory());
  }
  void GoOnIn(const Server& target) {
    {
      const Load load(target.Url("app"));
      AwaitFinishes(target.Url("app"), 60);
    }
    ExpectExact(target.Url("app"));
  }
  long NextId(const Server& server) {
    auto session = Open(server.Url("app"));
    return std::stol(
        Exec(session, "SELECT pg_snapshot_xmax(pg_current_snapshot())"));
  }

  Server source_;
};

TEST_F(Restore, WhereTransactionIdsAreLowerKeepsTheCount) {
  Burn(source_);
  Fill();
  Server target;
  RestoreInto(target);
  EXPECT_LT(NextId(target) + 10000, NextId(source_));
  GoOnIn(target);
}

TEST_F(Restore, WhereTransactionIdsAreHigherKeepsTheCount) {
  Fill();
  Server target;
  Burn(target);
  RestoreInto(target);
  EXPECT_GT(NextId(target), NextId(source_) + 10000);
  GoOnIn(target);
}

TEST_F(Restore, IsAdoptedInPiecesThoughItIsInterrupted) {
  Burn(source_);
  Fill();
  Server target;
  RestoreInto(target);
  auto session = Open(target.Url("app"));
  const auto piece = "SELECT metrics.adopt_restored_facts(20)";
  Exec(session, WholeRun(AnyId(session)));
  Exec(session, "BEGIN");
  EXPECT_EQ(Exec(session, piece), "f");
  Exec(session, "ROLLBACK");
  int pieces = 0;
  for (std::string done; done != "t"; ++pieces) {
    Exec(session, WholeRun(AnyId(session)));
    EXPECT_EQ(Exec(session, "SELECT metrics.fold_trends() IS NULL"), "t");
    for (const char* later :
         {"SELECT metrics.rebuild()", "SELECT metrics.verify()"}) {
      EXPECT_EQ(test::Refusal(session, later), "55000");
    }
    if (pieces == 2) {
      auto lost = Open(target.Url("app"));
      Exec(lost, std::string("BEGIN;") + piece);
    }
    if (pieces == 3) {  // the server crashes amid it
      Exec(session, std::string("BEGIN;") + piece);
      target.Stop();
      target.Start();
      session = Open(target.Url("app"));
    }
    done = Exec(session, piece);
  }
  EXPECT_GT(pieces, 5);
  GoOnIn(target);
}

}  // namespace
