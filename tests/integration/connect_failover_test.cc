// SPDX-License-Identifier: MIT
// A URL that names a primary and its standby, before and after a failover.
#include <gtest/gtest.h>

#include <memory>

#include "exporter/pg.h"
#include "tests/support/database.h"
#include "tests/support/exporter.h"
#include "tests/support/runs.h"
#include "tests/support/server.h"

namespace {

using namespace std::chrono_literals;
using meshhook::pg::Clock;
using meshhook::pg::Connection;
using meshhook::pg::Error;
using test::Await;
using test::Exec;
using test::Exporter;
using test::SampleSum;
using test::Server;

Connection Open(const std::string& url) {
  return Connection::Open(test::ConninfoOf(url), Clock::now() + 20s);
}

// The database `app` with the data layer, on a primary and its standby.
class Failover : public testing::Test {
 protected:
  Failover() {
    primary_.Shell(R"(pg_database_create "$1" app && pg_fixtures_load "$1" app
                      DATABASE_URL="postgresql://postgres@127.0.0.1:$PGPORT/app" \
                        "$2" migrate)",
                   MESHHOOK_EXPORTER);
    auto session = Open(primary_.Url("app"));
    Exec(session, test::kOneWorkflow);
    Exec(session, test::kRun);
    standby_ = Server::StandbyOf(primary_);
  }

  std::string Url(const std::string& session_attrs,
                  const std::string& role = test::kExporter) const {
    return "postgresql://" + role +
           "@127.0.0.1:" + test::PortOf(primary_.directory()) +
           ",127.0.0.1:" + test::PortOf(standby_->directory()) +
           "/app?target_session_attrs=" + session_attrs;
  }

  // Which of the two that session is with.
  std::string Chosen(const std::string& session_attrs) const {
    auto session = Open(Url(session_attrs));
    return session.port() == test::PortOf(primary_.directory()) ? "primary"
                                                                : "standby";
  }

  Server primary_;
  std::unique_ptr<Server> standby_;
};

double Up(const Exporter& exporter) {
  return SampleSum(exporter.Page(), "pg_up");
}

// The runs that the page counts.
double Runs(const Exporter& exporter) {
  return SampleSum(exporter.Page(), "meshhook_workflow_runs_total{");
}

TEST_F(Failover, ChoosesAHostByItsKindAsLibpqDoes) {
  EXPECT_EQ(Chosen("any"), "primary");
  EXPECT_EQ(Chosen("primary"), "primary");
  EXPECT_EQ(Chosen("read-write"), "primary");
  EXPECT_EQ(Chosen("standby"), "standby");
  EXPECT_EQ(Chosen("read-only"), "standby");
  EXPECT_EQ(Chosen("prefer-standby"), "standby");
  standby_->Stop();
  EXPECT_EQ(Chosen("prefer-standby"), "primary");
  try {
    Open(Url("standby"));
    ADD_FAILURE() << "a session";
  } catch (const Error& error) {
    const std::string what = error.what();
    EXPECT_NE(what.find("server is not in hot standby mode; "), what.npos)
        << what;
    EXPECT_NE(what.find("Connection refused"), what.npos) << what;
  }
}

TEST_F(Failover, LosesNoRunAndGoesOnFolding) {
  const Exporter writer(Url("read-write"));
  const Exporter reader(Url("any"), {"--no-worker"});
  EXPECT_TRUE(Await([&] { return Runs(writer) == 1; }));
  EXPECT_EQ(Runs(reader), 1);
  // What the standby has of it by then.
  auto copy = Open(standby_->Url("app"));
  EXPECT_TRUE(Await([&] { return Exec(copy, test::kCounted) == "1"; }));

  primary_.Stop();
  EXPECT_TRUE(Await([&] { return Up(reader) == 1; }));
  EXPECT_EQ(Runs(reader), 1);
  EXPECT_EQ(Up(writer), 0);
  EXPECT_NE(writer.err().find("session is read-only"), std::string::npos)
      << writer.err();

  standby_->Promote();
  auto promoted = Open(standby_->Url("app"));
  Exec(promoted, test::kRun);
  EXPECT_TRUE(Await([&] { return Up(writer) == 1; }));
  EXPECT_TRUE(Await([&] { return Runs(writer) == 2; }));
  EXPECT_EQ(Runs(reader), 2);
  EXPECT_EQ(Exec(promoted, test::kDifferences), "0");
}

}  // namespace
