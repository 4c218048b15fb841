// SPDX-License-Identifier: MIT
// The threads that keep the data layer fresh.
#include "exporter/worker.h"

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <optional>
#include <thread>

#include "tests/support/database.h"
#include "tests/support/process.h"
#include "tests/support/runs.h"

namespace {

using namespace std::chrono_literals;
using meshhook::Task;
using meshhook::pg::Clock;
using meshhook::pg::Stop;
using test::Await;
using test::Database;

constexpr auto kRun = R"(
    INSERT INTO workflow_runs (project_id, workflow_id, status, finished_at)
    SELECT project_id, id, 'succeeded', now() FROM workflow_definitions)";
constexpr auto kCounted =
    "SELECT coalesce(sum(success_count), 0) FROM metrics.workflow_run_metrics";

// How the fold stands in metrics.worker_tasks.
std::string Fold(const std::string& expression) {
  return "SELECT " + expression +
         " FROM metrics.worker_tasks WHERE task = 'fold'";
}

// A worker for the length of a test.
class Working {
 public:
  Working(const Database& db, std::vector<Task> tasks,
          const std::string& role = test::kExporter)
      : worker_(db.Conninfo(role), std::move(tasks), &interrupt_) {}
  ~Working() { interrupt_.Fire(); }
  Working(const Working&) = delete;
  Working& operator=(const Working&) = delete;

 private:
  Stop interrupt_;
  meshhook::Worker worker_;
};

// Takes connections and never answers.
class SilentPort {
 public:
  SilentPort() : socket_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    address_.sin_family = AF_INET;
    address_.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    auto* address = reinterpret_cast<sockaddr*>(&address_);
    socklen_t size = sizeof address_;
    EXPECT_EQ(bind(socket_, address, size), 0);
    EXPECT_EQ(listen(socket_, 5), 0);
    EXPECT_EQ(getsockname(socket_, address, &size), 0);
  }
  ~SilentPort() { close(socket_); }
  SilentPort(const SilentPort&) = delete;
  SilentPort& operator=(const SilentPort&) = delete;

  std::string port() const { return std::to_string(ntohs(address_.sin_port)); }

 private:
  const int socket_;
  sockaddr_in address_{};
};

TEST(Worker, FoldsARunWithinTwoSeconds) {
  Database db;
  db.Exec(test::kOneWorkflow);
  const Working worker(db, meshhook::FoldTasks());
  for (const char* counted : {"1", "2", "3"}) {
    db.Exec(kRun);
    EXPECT_TRUE(Await([&] { return db.Exec(kCounted) == counted; }, 2s));
  }
}

TEST(Worker, RefreshesAndMaintains) {
  Database db;
  db.Exec(test::kOneWorkflow);
  db.Exec(kRun);
  db.Exec("SELECT metrics.fold()");
  const Working worker(db, meshhook::UpkeepTasks());
  EXPECT_TRUE(Await([&] {
    return db.Exec(
               "SELECT count(*) FROM metrics.worker_tasks "
               "WHERE last_success_at IS NOT NULL "
               "AND task IN ('maintenance', 'mv_workflow_metrics')") == "2";
  }));
  EXPECT_EQ(db.Exec("SELECT execution_count FROM metrics.mv_workflow_metrics"),
            "1");
}

TEST(Worker, GoesOnAfterItsSessionWasTerminated) {
  Database db;
  db.Exec(test::kOneWorkflow);
  const Working worker(db, meshhook::FoldTasks());
  for (const char* counted : {"1", "2"}) {
    db.Exec(kRun);
    EXPECT_TRUE(Await([&] { return db.Exec(kCounted) == counted; }, 4s));
    EXPECT_EQ(db.Exec("SELECT count(pg_terminate_backend(pid)) "
                      "FROM pg_stat_activity "
                      "WHERE usename = 'meshhook_exporter' "
                      "AND datname = current_database()",
                      test::kSuperuser),
              "1");
  }
  db.Exec(kRun);
  EXPECT_TRUE(Await([&] { return db.Exec(kCounted) == "3"; }, 4s));
}

TEST(Worker, RecordsAFailureAndCatchesUp) {
  Database db;
  db.Exec(test::kOneWorkflow);
  db.Exec(kRun);
  auto holder = db.Connect();
  test::Exec(holder, "BEGIN; LOCK TABLE metrics.workflow_run_metrics");
  testing::internal::CaptureStderr();
  {
    const Working worker(db, meshhook::FoldTasks());
    EXPECT_TRUE(
        Await([&] { return db.Exec(Fold("failures_total >= 2")) == "t"; }));
    EXPECT_EQ(db.Exec(Fold("last_success_at IS NULL")), "t");
    EXPECT_EQ(db.Exec("SELECT DISTINCT sqlstate FROM metrics.refresh_log "
                      "WHERE task = 'fold'"),
              "55P03");
    test::Exec(holder, "COMMIT");
    EXPECT_TRUE(Await(
        [&] { return db.Exec(Fold("last_success_at IS NOT NULL")) == "t"; }));
    EXPECT_EQ(db.Exec(kCounted), "1");
  }
  const auto log = testing::internal::GetCapturedStderr();
  const size_t first = log.find("task failed");
  ASSERT_NE(first, log.npos) << log;
  EXPECT_EQ(log.find("task failed", first + 1), log.npos) << "once: " << log;
  EXPECT_NE(log.find("sqlstate=55P03"), log.npos) << log;
}

TEST(Worker, EndsAtOnceInTheMiddleOfATask) {
  Database db;
  const auto sleeping =
      "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep' "
      "AND datname = current_database()";
  std::optional<Working> worker(
      std::in_place, db,
      std::vector<Task>{{.name = "",
                         .query = "SELECT pg_sleep(60) IS NULL",
                         .interval = 1s,
                         .timeout = 90s}});
  ASSERT_TRUE(
      Await([&] { return db.Exec(sleeping, test::kSuperuser) == "1"; }));
  const auto started = Clock::now();
  worker.reset();
  EXPECT_LT(Clock::now() - started, 1s);
  // It does not go on in the database either.
  EXPECT_TRUE(
      Await([&] { return db.Exec(sleeping, test::kSuperuser) == "0"; }, 2s));
}

TEST(Worker, EndsAtOnceWhileItConnects) {
  const SilentPort silent;
  Stop interrupt;
  const auto started = Clock::now();
  {
    const meshhook::Worker worker(
        test::ConninfoOf("postgresql://x@127.0.0.1:" + silent.port() + "/x"),
        meshhook::FoldTasks(), &interrupt);
    std::this_thread::sleep_for(200ms);
    interrupt.Fire();
  }
  EXPECT_LT(Clock::now() - started, 1s);
}

}  // namespace
