// SPDX-License-Identifier: MIT
// The API while its database is stopped, started, frozen and full: it says so
// in time, and goes on by itself.
#include "tests/support/api.h"

#include <gtest/gtest.h>

#include <chrono>
#include <string>

#include "tests/support/api_program.h"
#include "tests/support/process.h"
#include "tests/support/runs.h"
#include "tests/support/server.h"

namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;
using test::ApiProgram;
using test::Await;
using test::HttpConnection;

long Count(const std::string& text, const std::string& part) {
  long count = 0;
  for (size_t at = 0; (at = text.find(part, at)) != text.npos; ++at) ++count;
  return count;
}

// One test, as a server takes seconds to make.
TEST(ApiFaults, IsAwayWithItsDatabaseAndBackWithIt) {
  test::Server server;
  server.Shell(R"(pg_database_create "$1" app && pg_fixtures_load "$1" app
                  DATABASE_URL="postgresql://postgres@127.0.0.1:$PGPORT/app" \
                    "$2" migrate >/dev/null)",
               MESHHOOK_EXPORTER);
  const auto address =
      "@127.0.0.1:" + test::PortOf(server.directory()) + "/app";
  const auto psql = [&](const std::string& sql) {
    auto session = meshhook::pg::Connection::Open(
        test::ConninfoOf(server.Url("app")), Clock::now() + 20s);
    return test::Exec(session, sql);
  };
  psql(test::kOneWorkflow);
  ApiProgram program("postgresql://meshhook_exporter" + address,
                     "postgresql://meshhook_api" + address);
  const auto token =
      test::Signer::Secret(test::kSecret).Token(test::ServiceClaims());
  const auto ask = [&] { return program.Get("/api/metrics", token); };
  const auto is_back = [&] { return ask().status == 200; };
  // In time, whatever the database does.
  const auto expect_away = [&] {
    const auto began = Clock::now();
    const auto answer = ask();
    EXPECT_EQ(answer.status, 503) << answer.body;
    EXPECT_TRUE(answer.headers.contains("retry-after"));
    EXPECT_EQ(answer.body.find("127.0.0.1"), std::string::npos) << answer.body;
    EXPECT_LT(Clock::now() - began, 4s);
  };
  ASSERT_TRUE(is_back());
  const HttpConnection listener(program.port());
  listener.Send(
      "GET /api/metrics/stream HTTP/1.1\r\nHost: x\r\n"
      "Authorization: Bearer " +
      token + "\r\n\r\n");
  std::string events;
  const auto got = [&](const std::string& part) {
    return Await([&] {
      while (listener.Readable(0)) {
        const auto some = listener.ReadSome();
        if (some.empty()) return false;
        events += some;
      }
      return events.find(part) != events.npos;
    });
  };
  ASSERT_TRUE(got("event: ready"));

  server.Stop();
  for (int i = 0; i < 3; ++i) expect_away();
  EXPECT_EQ(program.Get("/api/openapi.json", token).status, 200);
  EXPECT_EQ(program.Get("/api/metrics", "x").status, 401);
  server.Start();
  EXPECT_TRUE(Await(is_back));
  auto log = program.exporter().err();
  EXPECT_EQ(Count(log, "the API cannot reach its database"), 1) << log;
  EXPECT_EQ(Count(log, "the API reaches its database again"), 1) << log;
  // Who listened need not begin again.
  psql(test::kRun);
  psql("SELECT metrics.fold()");
  EXPECT_TRUE(got("event: change")) << events;

  server.Freeze();
  for (int i = 0; i < 2; ++i) expect_away();
  server.Thaw();
  EXPECT_TRUE(Await(is_back));

  // It takes no part of a server that is full, and says what is wrong.
  psql("ALTER ROLE meshhook_api CONNECTION LIMIT 1");
  psql(
      "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
      "WHERE usename = 'meshhook_api'");
  auto last = meshhook::pg::Connection::Open(
      test::ConninfoOf("postgresql://meshhook_api" + address),
      Clock::now() + 5s);
  EXPECT_TRUE(Await([&] { return ask().status == 503; }));
  psql("ALTER ROLE meshhook_api CONNECTION LIMIT -1");
  EXPECT_TRUE(Await(is_back));
  log = program.exporter().err();
  EXPECT_NE(log.find("raise the CONNECTION LIMIT of that role"), log.npos)
      << log;
  EXPECT_EQ(Count(log, "level=error msg=\"an API request failed\""), 0) << log;
  // Nothing that was asked is missing, nor there twice.
  const auto asked = Count(log, "msg=\"api access\"");
  EXPECT_TRUE(Await([&] {
    return std::stol(psql("SELECT count(*) FROM metrics.api_audit")) >= asked;
  }));
  EXPECT_EQ(std::stol(psql("SELECT count(*) FROM metrics.api_audit")),
            Count(program.exporter().err(), "msg=\"api access\""));
}

}  // namespace
