// SPDX-License-Identifier: MIT
// A server that freezes, dies, starts, is full or knows another password. One
// for all these tests, as it takes seconds to make.
#include "tests/support/server.h"

#include <gtest/gtest.h>
#include <signal.h>

#include <fstream>
#include <memory>
#include <sstream>
#include <thread>

#include "tests/faults/page.h"
#include "tests/faults/watched.h"
#include "tests/support/database.h"
#include "tests/support/pgbouncer.h"
#include "tests/support/runs.h"

namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;
using meshhook::pg::Connection;
using meshhook::pg::Error;
using test::Await;
using test::Custom;
using test::SampleSum;
using test::Watched;

const Custom kOne{"app_one", "SELECT 1 AS v"};
constexpr int kMostConnections = 20;
constexpr int kRuns = 7;

class ServerFaults : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    server_ = new test::Server();
    server_->Shell(
        "pg_psql \"$1\" postgres --command "
        "'ALTER SYSTEM SET max_connections = " +
        std::to_string(kMostConnections) + "'");
    Restart();
    server_->Shell(R"(pg_database_create "$1" app && pg_fixtures_load "$1" app
                      DATABASE_URL="postgresql://postgres@127.0.0.1:$PGPORT/app" \
                        "$2" migrate >/dev/null)",
                   MESHHOOK_EXPORTER);
    Psql(test::kOneWorkflow);
    for (int i = 0; i < kRuns; ++i) Psql(test::kRun);
    Psql("SELECT metrics.fold()");
  }
  static void TearDownTestSuite() { delete server_; }

  static void Restart() {
    server_->Stop();
    server_->Start();
  }
  static std::string Url(const std::string& role = test::kExporter,
                         const std::string& password = "") {
    return "postgresql://" + role + (password.empty() ? "" : ":" + password) +
           "@127.0.0.1:" + test::PortOf(server_->directory()) + "/app";
  }
  static Connection Connect(const std::string& role = test::kSuperuser) {
    return Connection::Open(test::ConninfoOf(Url(role)), Clock::now() + 20s);
  }
  static std::string Psql(const std::string& sql) {
    auto session = Connect();
    return test::Exec(session, sql);
  }
  static long Sessions() {
    return std::stol(
        Psql("SELECT count(*) FROM pg_stat_activity "
             "WHERE usename = 'meshhook_exporter'"));
  }
  static long CountInLog(const std::string& words) {
    std::ifstream log(server_->directory() + "/postgres.log");
    long count = 0;
    for (std::string line; std::getline(log, line);) {
      count += line.find(words) != line.npos ? 1 : 0;
    }
    return count;
  }

  static void ExpectDown(Watched& exporter) {
    const auto page = exporter.Page(1s);
    EXPECT_EQ(SampleSum(page, "pg_up"), 0) << page;
    EXPECT_EQ(test::Succeeded(page), std::set<std::string>{});
  }
  // All collectors, the one right number of runs, and no session too many.
  static void ExpectUp(Watched& exporter) {
    std::string page;
    EXPECT_TRUE(Await([&] {
      page = exporter.Page();
      return SampleSum(page, "pg_up") == 1 && test::Failed(page).empty();
    })) << page
        << exporter.log();
    EXPECT_EQ(SampleSum(page, "app_one"), 1);
    EXPECT_EQ(SampleSum(page, "meshhook_workflow_runs_total"), kRuns);
    EXPECT_TRUE(Await([] { return Sessions() <= 2; })) << Sessions();
  }

  static test::Server* server_;
};

test::Server* ServerFaults::server_ = nullptr;

TEST_F(ServerFaults, AFrozenOneIsDownInTimeAndHasNoSessionTooManyAfterwards) {
  Watched exporter(Url(), {kOne});
  ExpectUp(exporter);
  server_->Freeze();
  for (int i = 0; i < 4; ++i) ExpectDown(exporter);
  server_->Thaw();
  ExpectUp(exporter);
}

TEST_F(ServerFaults, ADeadOneIsDownAndUpAgain) {
  Watched exporter(Url(), {kOne});
  ExpectUp(exporter);
  const long before = exporter.Resident();
  for (int i = 0; i < 2; ++i) {
    server_->Stop();
    for (int j = 0; j < 5; ++j) ExpectDown(exporter);
    server_->Start();
    ExpectUp(exporter);
  }
  EXPECT_LT(exporter.Resident() - before, 4 * 1024);
}

// The server ends all sessions and recovers when one of its processes is
// killed.
TEST_F(ServerFaults, ABackendKilledIsNoMoreThanAMoment) {
  Watched exporter(Url(), {kOne});
  ExpectUp(exporter);
  const auto pid =
      std::stoi(Psql("SELECT min(pid) FROM pg_stat_activity "
                     "WHERE usename = 'meshhook_exporter'"));
  ASSERT_EQ(kill(pid, SIGKILL), 0);
  EXPECT_TRUE(Await([] {
    try {
      return Psql("SELECT 1") == "1";
    } catch (const Error&) {
      return false;
    }
  }));
  ExpectUp(exporter);
}

TEST_F(ServerFaults, OneThatRestartsHasAllOfTheProgramBack) {
  Watched exporter(Url(), {kOne}, {});
  const auto counted = [&](long runs) {
    return Await([&] {
      return SampleSum(exporter.Page(), "meshhook_workflow_runs_total") ==
             static_cast<double>(runs);
    });
  };
  EXPECT_TRUE(counted(kRuns));
  EXPECT_LE(Sessions(), 4);
  Restart();
  EXPECT_TRUE(counted(kRuns)) << exporter.log();
  EXPECT_LE(Sessions(), 4);
}

TEST_F(ServerFaults, OneThatIsStartingUpIsDownWithItsReason) {
  Watched exporter(Url(), {kOne});
  ExpectUp(exporter);
  const auto hold = server_->directory() + "/hold";
  server_->Stop();
  std::ofstream(hold) << "";
  // It asks for WAL of an archive before it takes sessions.
  server_->Shell(R"(_pg_as_server touch "$PG_DATA/recovery.signal"
                    echo "restore_command = 'while [ -e $2 ]; do sleep 0.05; done; false'" \
                      >>"$PG_DATA/postgresql.auto.conf")",
                 hold);
  std::thread starter([] { server_->Start(); });
  EXPECT_TRUE(Await([&] {
    ExpectDown(exporter);
    return exporter.log().find("the database system is starting up") !=
           std::string::npos;
  })) << exporter.log();
  std::filesystem::remove(hold);
  starter.join();
  ExpectUp(exporter);
}

TEST_F(ServerFaults, AFullOneIsDownWithARemedyAndOthersKeepTheirPlaces) {
  Watched exporter(Url(), {kOne});
  ExpectUp(exporter);
  std::vector<Connection> others;
  std::string refusal;
  while (refusal.empty() && others.size() < kMostConnections) {
    try {
      others.push_back(Connect(test::kOwner));
    } catch (const Error& error) {
      refusal = error.what();
    }
  }
  EXPECT_NE(refusal.find("remaining connection slots"), refusal.npos);
  // The sessions that it has go on.
  EXPECT_EQ(SampleSum(exporter.Page(), "pg_up"), 1);
  test::Exec(others[0], "SELECT 1");
  Psql(
      "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity "
      "WHERE usename = 'meshhook_exporter'");
  while (true) {
    try {
      others.push_back(Connect(test::kOwner));
    } catch (const Error&) {
      break;
    }
  }
  ExpectDown(exporter);
  ExpectDown(exporter);
  EXPECT_NE(exporter.log().find("raise max_connections"), std::string::npos)
      << exporter.log();
  others.clear();
  ExpectUp(exporter);
}

// A role that must give a password.
class Passwords {
 public:
  explicit Passwords(std::function<std::string(const std::string&)> psql)
      : psql_(std::move(psql)) {
    Set("first");
    psql_("GRANT password_user TO meshhook_exporter");
  }
  ~Passwords() {
    psql_("REVOKE password_user FROM meshhook_exporter");
    psql_("ALTER ROLE meshhook_exporter PASSWORD NULL");
  }
  Passwords(const Passwords&) = delete;
  Passwords& operator=(const Passwords&) = delete;

  void Set(const std::string& password) {
    psql_("ALTER ROLE meshhook_exporter PASSWORD '" + password + "'");
  }

 private:
  std::function<std::string(const std::string&)> psql_;
};

TEST_F(ServerFaults, APasswordChangedIsAnOutageWithARemedyAndNoStorm) {
  Passwords passwords(Psql);
  Watched exporter(Url(test::kExporter, "first"), {kOne}, {});
  EXPECT_TRUE(
      Await([&] { return SampleSum(exporter.Page(), "app_one") == 1; }));
  // The sessions that it has go on.
  passwords.Set("second");
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(SampleSum(exporter.Page(), "pg_up"), 1);
  }

  constexpr auto kRefused = "password authentication failed";
  const long before = CountInLog(kRefused);
  Psql(
      "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity "
      "WHERE usename = 'meshhook_exporter'");
  const auto end = Clock::now() + 2500ms;
  int scrapes = 0;
  for (; Clock::now() < end; ++scrapes) {
    ExpectDown(exporter);
    std::this_thread::sleep_for(20ms);
  }
  // Two lanes and two workers, each at 0, 0.5, 1.5 s or a little sooner.
  const long refused = CountInLog(kRefused) - before;
  EXPECT_GE(refused, 1);
  EXPECT_LE(refused, 4 * 4);
  EXPECT_GT(scrapes, 4 * 4);
  EXPECT_NE(exporter.log().find("check the password"), std::string::npos)
      << exporter.log();
  EXPECT_EQ(exporter.log().find("first"), std::string::npos);

  passwords.Set("first");
  EXPECT_TRUE(
      Await([&] { return SampleSum(exporter.Page(), "app_one") == 1; }, 15s));
}

TEST_F(ServerFaults, ADeadOneBehindAPoolerIsDownAndUpAgain) {
  test::PgBouncer pooler(std::stoi(test::PortOf(server_->directory())));
  Watched exporter(pooler.Url(test::kExporter, "app"), {kOne});
  ExpectUp(exporter);
  server_->Stop();
  for (int i = 0; i < 3; ++i) ExpectDown(exporter);
  server_->Start();
  ExpectUp(exporter);
}

}  // namespace
