// SPDX-License-Identifier: MIT
// The program with the JSON API: how it is told to serve it, what it refuses to
// start with, and how it ends.
#include "tests/support/api_program.h"

#include <gtest/gtest.h>
#include <signal.h>

#include <algorithm>
#include <chrono>
#include <regex>
#include <string>
#include <vector>

#include "tests/support/api.h"
#include "tests/support/process.h"

namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;
using test::ApiProgram;
using test::Await;
using test::Database;
using test::HttpConnection;
using test::SampleSum;
using test::Variables;

constexpr auto kLogin = "meshhook_api";

std::string Ada() {
  return test::Signer::Secret(test::kSecret)
      .Token(test::UserClaims(test::kAda));
}

std::string StreamRequest() {
  return "GET /api/metrics/stream HTTP/1.1\r\nHost: x\r\n"
         "Authorization: Bearer " +
         Ada() + "\r\n\r\n";
}

TEST(ApiProgram, ServesTheApiAndTheMetricsEachOnAPortOfItsOwn) {
  Database db;
  ApiProgram program(db.Url(test::kExporter), db.Url(kLogin));
  EXPECT_NE(program.port(), program.metrics_port());
  EXPECT_EQ(program.Get("/api/metrics", Ada()).status, 200);
  EXPECT_EQ(program.Get("/api/metrics", "x").status, 401);
  EXPECT_EQ(program.Get("/api/metrics?x=1", Ada()).status, 400);
  EXPECT_EQ(program.Get("/nothing", Ada()).status, 404);
  // Neither is where the other is.
  for (const std::string path : {"/metrics", "/healthz", "/readyz", "/"}) {
    EXPECT_EQ(program.Get(path, Ada()).status, 404) << path;
  }
  for (const std::string path : {"/api/metrics", "/api/openapi.json"}) {
    EXPECT_EQ(test::Get(program.metrics_port(), path,
                        {"Authorization: Bearer " + Ada()})
                  .status,
              404)
        << path;
  }
  const auto page = program.exporter().Page();
  const auto requests = [&](const std::string& operation,
                            const std::string& status) {
    return SampleSum(page, "meshhook_api_requests_total{operation=\"" +
                               operation + "\",status=\"" + status + "\"}");
  };
  EXPECT_EQ(requests("overview", "200"), 1);
  EXPECT_EQ(requests("overview", "401"), 1);
  EXPECT_EQ(requests("overview", "400"), 1);
  EXPECT_EQ(requests("none", "404"), 5);
  EXPECT_GT(SampleSum(page, "meshhook_api_request_seconds_total"), 0);
  EXPECT_EQ(SampleSum(page, "meshhook_api_listeners"), 0);
  EXPECT_EQ(SampleSum(page, "meshhook_api_audit_lost_total"), 0);
  EXPECT_EQ(SampleSum(page, "pg_up"), 1);
}

TEST(ApiProgram, HasNoApiUnlessItIsToldWhere) {
  Database db;
  test::Exporter exporter(db.Url(test::kExporter), {"--no-worker"});
  const auto page = exporter.Page();
  EXPECT_EQ(SampleSum(page, "pg_up"), 1);
  EXPECT_EQ(page.find("meshhook_api_"), page.npos);
  EXPECT_EQ(exporter.err().find("serving the API"), std::string::npos);
}

TEST(ApiProgram, IsToldByTheEnvironmentToo) {
  Database db;
  const test::Folder folder;
  test::Exporter exporter(
      db.Url(test::kExporter), {"--no-worker"},
      {{"API_DATABASE_URL_FILE", folder.Write("url", db.Url(kLogin) + "\n")},
       {"PG_EXPORTER_API_LISTEN_ADDRESS", "127.0.0.1:0"},
       {"PG_EXPORTER_API_JWT_SECRET_FILE",
        folder.Write("secret", test::kSecret)},
       {"PG_EXPORTER_API_CORS_ORIGIN", "https://a.example,https://b.example"},
       {"PG_EXPORTER_API_REQUESTS_PER_SECOND", "1"}});
  std::smatch found;
  std::string log;
  ASSERT_TRUE(Await([&] {
    log = exporter.err();
    return std::regex_search(log, found,
                             std::regex("serving the API\" port=([0-9]+)"));
  })) << log;
  const auto ask = [&] {
    return test::Get(
        std::stoi(found[1]), "/api/metrics",
        {"Authorization: Bearer " + Ada(), "Origin: https://b.example"});
  };
  const auto answer = ask();
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.headers.at("access-control-allow-origin"),
            "https://b.example");
  ask();
  EXPECT_EQ(ask().status, 429);
}

TEST(ApiProgram, RefusesToStartWithWhatCannotWork) {
  Database db;
  const test::Folder folder;
  const auto secret =
      "--api.jwt-secret-file=" + folder.Write("secret", test::kSecret);
  const std::string address = "--api.listen-address=127.0.0.1:0";
  const Variables known{{"DATABASE_URL", db.Url(test::kExporter)},
                        {"API_DATABASE_URL", db.Url(kLogin)}};
  Variables without = known;
  without.erase("API_DATABASE_URL");
  Variables missing = without;
  missing["API_DATABASE_URL_FILE"] = "/nowhere/url";
  Variables malformed = known;
  malformed["API_DATABASE_URL"] = "postgresql://u:hidden-word@h:port/x";
  ApiProgram other(db.Url(test::kExporter), db.Url(kLogin));
  const auto taken =
      "--api.listen-address=127.0.0.1:" + std::to_string(other.port());
  struct Case {
    std::vector<std::string> flags;
    Variables variables;
    std::string says;
  };
  for (const auto& [flags, variables, says] : std::vector<Case>{
           {{address}, known, "no keys to check tokens with"},
           {{secret}, known, "nowhere to serve it"},
           {{address, secret}, without, "API_DATABASE_URL is not set"},
           {{address, secret}, missing, "/nowhere/url"},
           {{address, secret}, malformed, "API_DATABASE_URL"},
           {{address, "--api.jwt-secret-file=/nowhere/secret"},
            known,
            "/nowhere/secret"},
           {{address,
             "--api.jwt-secret-file=" + folder.Write("short", "hidden-word")},
            known,
            "short"},
           {{address, "--api.jwt-secret-file=" + folder.Write("empty", "")},
            known,
            "empty"},
           {{address, "--api.jwks-file=" + folder.Write("jwks", "hidden-word")},
            known,
            "jwks"},
           {{address, secret, "--api.jwks-url=ftp://x"}, known, "https://"},
           {{taken, secret}, known, "in use"},
           {{"--api.listen-address=nonsense", secret}, known, "nonsense"},
           {{address, secret, "--api.cors-origin=*"}, known, "http"},
           {{address, secret, "--api.max-connections=0"},
            known,
            "max-connections"},
           {{address, secret, "--api.requests-per-second=0"},
            known,
            "requests-per-second"}}) {
    auto words = flags;
    words.insert(words.begin(),
                 {MESHHOOK_EXPORTER, "--web.listen-address=127.0.0.1:0"});
    const auto ended = test::Run(words, variables);
    EXPECT_EQ(ended.status, 2) << says << ended.err;
    EXPECT_NE(ended.err.find(says), std::string::npos) << says << ended.err;
    EXPECT_EQ(std::count(ended.err.begin(), ended.err.end(), '\n'), 1)
        << ended.err;
    EXPECT_EQ(ended.err.find("hidden-word"), std::string::npos) << ended.err;
    EXPECT_EQ(ended.out, "");
  }
}

TEST(ApiProgram, StartsWhileItsDatabaseIsAway) {
  Database db;
  ApiProgram program(db.Url(test::kExporter),
                     "postgresql://meshhook_api@127.0.0.1:1/x");
  const auto answer = program.Get("/api/metrics", Ada());
  EXPECT_EQ(answer.status, 503);
  EXPECT_TRUE(answer.headers.contains("retry-after"));
  EXPECT_EQ(SampleSum(program.exporter().Page(), "pg_up"), 1);
}

TEST(ApiProgram, EndsItsStreamsAndAnswersWhatIsUnderWayBeforeItEnds) {
  Database db;
  ApiProgram program(db.Url(test::kExporter), db.Url(kLogin));
  const HttpConnection listener(program.port());
  listener.Send(StreamRequest());
  ASSERT_TRUE(Await([&] {
    return SampleSum(program.exporter().Page(), "meshhook_api_listeners") == 1;
  }));
  const HttpConnection idle(program.port());
  auto holder = db.Connect();
  test::Exec(holder, "BEGIN; LOCK TABLE public.projects");
  const HttpConnection waiting(program.port());
  waiting.Send(
      "GET /api/metrics HTTP/1.1\r\nHost: x\r\n"
      "Authorization: Bearer " +
      Ada() + "\r\nConnection: close\r\n\r\n");
  ASSERT_TRUE(Await([&] {
    return db.Exec(
               "SELECT count(*) FROM pg_stat_activity "
               "WHERE wait_event_type = 'Lock' "
               "AND datname = current_database()",
               test::kSuperuser) == "1";
  }));
  const auto began = Clock::now();
  program.exporter().Signal(SIGTERM);
  EXPECT_EQ(program.exporter().Wait(), 0) << program.exporter().err();
  EXPECT_LT(Clock::now() - began, 5s);
  // The lock is held for longer than a request may wait for one.
  const auto answer = waiting.ReadToEnd();
  EXPECT_EQ(answer.rfind("HTTP/1.1 503 ", 0), 0U) << answer;
  const auto events = listener.ReadToEnd();
  EXPECT_NE(events.find("event: end\ndata: {}\n\n"), events.npos) << events;
  EXPECT_EQ(db.Exec("SELECT string_agg(endpoint || ' ' || status, ', ' "
                    "ORDER BY endpoint) FROM metrics.api_audit",
                    test::kSuperuser),
            "/api/metrics 503, /api/metrics/stream 200");
  EXPECT_TRUE(Await([&] {
    return db.Exec(
               "SELECT count(*) FROM pg_stat_activity WHERE usename = "
               "'meshhook_api' AND datname = current_database()",
               test::kSuperuser) == "0";
  }));
}

}  // namespace
