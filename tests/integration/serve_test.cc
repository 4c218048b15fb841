// SPDX-License-Identifier: MIT
// What a client of the HTTP server gets.
#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <optional>
#include <thread>

#include "collectors/all.h"
#include "exporter/errors.h"
#include "tests/support/site.h"

namespace {

using test::CollectorOf;
using test::Database;
using test::Get;
using test::Gunzip;
using test::HttpConnection;
using test::Request;
using test::SampleSum;
using test::Site;

// Nothing listens on port 1.
constexpr auto kNowhere = "postgresql://nobody@127.0.0.1:1/nothing";

class Serve : public testing::Test {
 protected:
  Database db_;
  Site site_{db_.Url(test::kExporter), meshhook::collectors::All()};
};

TEST_F(Serve, GivesMetricsInTheTextFormat) {
  const auto response = site_.Get("/metrics");
  EXPECT_EQ(response.status, 200);
  EXPECT_EQ(response.headers.at("content-type"),
            "text/plain; version=0.0.4; charset=utf-8");
  EXPECT_EQ(response.headers.at("content-length"),
            std::to_string(response.body.size()));
  EXPECT_EQ(response.headers.count("content-encoding"), 0u);
  EXPECT_EQ(SampleSum(response.body, "pg_up"), 1);
  EXPECT_EQ(SampleSum(response.body, "pg_exporter_last_scrape_error"), 0);
  EXPECT_GT(SampleSum(response.body, "pg_settings_max_connections"), 0);
}

TEST_F(Serve, PacksThePageForThoseWhoTakeGzip) {
  const auto response = site_.Get("/metrics", {"Accept-Encoding: gzip"});
  EXPECT_EQ(response.status, 200);
  EXPECT_EQ(response.headers.at("content-encoding"), "gzip");
  EXPECT_EQ(response.headers.at("vary"), "Accept, Accept-Encoding");
  EXPECT_EQ(SampleSum(Gunzip(response.body), "pg_up"), 1);
  const auto plain = site_.Get("/metrics", {"Accept-Encoding: gzip;q=0"});
  EXPECT_EQ(plain.headers.count("content-encoding"), 0u);
  EXPECT_EQ(SampleSum(plain.body, "pg_up"), 1);
}

TEST_F(Serve, AnswersHeadWithTheHeadersAlone) {
  const auto response = Request(site_.port(), "HEAD", "/metrics");
  EXPECT_EQ(response.status, 200);
  EXPECT_GT(std::stoi(response.headers.at("content-length")), 1000);
  EXPECT_EQ(response.body, "");
}

TEST_F(Serve, SaysWhatThereIsWhereNothingIs) {
  for (const char* path : {"/metric", "/metrics/", "/../etc/passwd"}) {
    const auto response = site_.Get(path);
    EXPECT_GE(response.status, 400) << path;
    EXPECT_LT(response.status, 500) << path;
  }
  const auto response = site_.Get("/favicon.ico");
  EXPECT_EQ(response.status, 404);
  EXPECT_NE(response.body.find("/metrics"), response.body.npos);
}

TEST_F(Serve, TakesNoMethodButGetAndHead) {
  for (const char* method : {"POST", "PUT", "DELETE", "OPTIONS"}) {
    auto response =
        Request(site_.port(), method, "/metrics", {"Content-Length: 0"});
    EXPECT_EQ(response.status, 405) << method;
    EXPECT_EQ(response.headers["allow"], "GET, HEAD") << method;
  }
}

TEST_F(Serve, GoesOnAfterGarbageAndClientsThatHangUp) {
  for (const std::string& bytes :
       {std::string("\x16\x03\x01\x02\x00\x01", 6), std::string("GET\r\n\r\n"),
        "GET / HTTP/1.1\r\nX: " + std::string(20000, 'x') + "\r\n\r\n",
        std::string("GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")}) {
    const HttpConnection client(site_.port());
    client.Send(bytes);
  }
  EXPECT_EQ(site_.Get("/metrics").status, 200);
}

TEST_F(Serve, KeepsAConnectionForTheNextRequest) {
  const HttpConnection client(site_.port());
  client.Send("GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n");
  ASSERT_TRUE(client.Readable(5000));
  client.Send("GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  const auto answers = client.ReadToEnd();
  EXPECT_EQ(answers.rfind("HTTP/1.1 200 OK\r\n", 0), 0u);
  const size_t second = answers.find("HTTP/1.1 200 OK\r\n", 1);
  ASSERT_NE(second, answers.npos) << answers;
  EXPECT_NE(answers.find("\r\n\r\nok\n", second), answers.npos);
}

TEST_F(Serve, AnswersThoughManyClientsSayNothing) {
  std::vector<std::unique_ptr<HttpConnection>> silent;
  for (int i = 0; i < 12; ++i) {
    silent.push_back(std::make_unique<HttpConnection>(site_.port()));
  }
  const auto started = std::chrono::steady_clock::now();
  EXPECT_EQ(site_.Get("/healthz").status, 200);
  EXPECT_LT(std::chrono::steady_clock::now() - started,
            std::chrono::milliseconds(1500));
}

TEST_F(Serve, AnswersThoughManyClientsAnnounceABodyAndSendNone) {
  std::vector<std::unique_ptr<HttpConnection>> slow;
  for (int i = 0; i < 20; ++i) {
    slow.push_back(std::make_unique<HttpConnection>(site_.port()));
    slow.back()->Send("POST /metrics HTTP/1.1\r\nHost: x\r\n" +
                      std::string(i % 2 == 0
                                      ? "Content-Length: 1000000000\r\n\r\nx"
                                      : "Transfer-Encoding: chunked\r\n\r\n"));
  }
  const auto started = std::chrono::steady_clock::now();
  EXPECT_EQ(site_.Get("/healthz").status, 200);
  for (const auto& client : slow) {
    EXPECT_EQ(client->ReadToEnd().rfind("HTTP/1.1 413 ", 0), 0u);
  }
  EXPECT_LT(std::chrono::steady_clock::now() - started,
            std::chrono::milliseconds(1500));
}

TEST_F(Serve, IsHealthyAndReadyWithItsDatabase) {
  EXPECT_EQ(site_.Get("/healthz").status, 200);
  EXPECT_EQ(site_.Get("/readyz").status, 200);
}

TEST(ServeWithoutDatabase, IsHealthyButNotReady) {
  const Site site(kNowhere, meshhook::collectors::All());
  EXPECT_EQ(site.Get("/healthz").status, 200);
  const auto ready = site.Get("/readyz");
  EXPECT_EQ(ready.status, 503);
  EXPECT_NE(ready.body.find("database"), ready.body.npos);
}

TEST(ServeWithoutDatabase, SaysSoOnItsStatusPage) {
  const Site site(kNowhere, meshhook::collectors::All());
  EXPECT_NE(site.Get("/").body.find("not asked yet"), std::string::npos);
  site.Get("/metrics");
  const auto page = site.Get("/");
  EXPECT_EQ(page.status, 200);
  EXPECT_EQ(page.headers.at("content-type"), "text/html; charset=utf-8");
  EXPECT_NE(page.body.find("unreachable"), page.body.npos);
  EXPECT_NE(page.body.find("Connection refused"), page.body.npos);
  EXPECT_NE(page.body.find("check host and port"), page.body.npos);
}

TEST(StatusPage, ShowsEachCollectorAndWhyItFailed) {
  Database db;
  const Site site(db.Url(test::kExporter),
                  {CollectorOf("good", "SELECT 1 AS v"),
                   CollectorOf("bad", "SELECT v FROM metrics.nothing")});
  site.Get("/metrics");
  const auto page = site.Get("/").body;
  EXPECT_NE(page.find("<td>good</td><td class=\"ok\">ok</td>"), page.npos);
  EXPECT_NE(page.find("<td>bad</td><td class=\"bad\">failed</td>"), page.npos);
  EXPECT_NE(page.find("relation &quot;metrics.nothing&quot; does not exist — "
                      "install the data layer: meshhook-exporter migrate"),
            page.npos)
      << page;
}

TEST(StatusPage, EscapesWhatTheDatabaseSays) {
  Database db;
  const Site site(
      db.Url(test::kExporter),
      {CollectorOf("c", "SELECT '<script>alert(\"&\")</script>'::int AS v")});
  site.Get("/metrics");
  const auto page = site.Get("/").body;
  EXPECT_EQ(page.find("<script"), page.npos);
  EXPECT_NE(page.find("&lt;script&gt;alert(&quot;&amp;&quot;)&lt;/script&gt;"),
            page.npos)
      << page;
}

TEST(Server, ServesMetricsWhereItIsTold) {
  Database db;
  meshhook::Scraper scraper(db.Conninfo(test::kExporter),
                            {CollectorOf("c", "SELECT 1 AS v")}, nullptr);
  const meshhook::HttpServer server(
      {.listen_addresses = {"127.0.0.1:0", "127.0.0.1:0"},
       .telemetry_path = "/pg/metrics"},
      scraper);
  ASSERT_EQ(server.Ports().size(), 2u);
  for (const int port : server.Ports()) {
    EXPECT_EQ(SampleSum(Get(port, "/pg/metrics").body, "test_c"), 1);
    EXPECT_EQ(Get(port, "/metrics").status, 404);
  }
}

TEST(Server, ListensOnEveryAddressWhereNoneIsNamed) {
  meshhook::Scraper scraper(test::ConninfoOf(kNowhere), {}, nullptr);
  const meshhook::HttpServer server({.listen_addresses = {":0"}}, scraper);
  EXPECT_EQ(Get(server.Ports().at(0), "/healthz").status, 200);
}

TEST(Server, ListensOnIpv6OrSaysWhyNot) {
  meshhook::Scraper scraper(test::ConninfoOf(kNowhere), {}, nullptr);
  try {
    const meshhook::HttpServer server({.listen_addresses = {"[::1]:0"}},
                                      scraper);
    EXPECT_EQ(server.Ports().size(), 1u);
  } catch (const meshhook::UsageError& error) {
    EXPECT_STREQ(error.what(),
                 "cannot listen on [::1]:0: this CivetWeb was built without "
                 "IPv6, as Debian's is");
  }
}

TEST(Server, StopsAtOnce) {
  meshhook::Scraper scraper(test::ConninfoOf(kNowhere), {}, nullptr);
  std::optional<meshhook::HttpServer> server(
      std::in_place, meshhook::HttpOptions{.listen_addresses = {"127.0.0.1:0"}},
      scraper);
  EXPECT_EQ(Get(server->Ports().at(0), "/healthz").status, 200);
  const auto started = std::chrono::steady_clock::now();
  server.reset();
  EXPECT_LT(std::chrono::steady_clock::now() - started,
            std::chrono::milliseconds(500));
}

TEST_F(Serve, AnswersManyAtOnce) {
  std::vector<std::thread> clients;
  std::vector<int> up(30);
  for (auto& one : up) {
    clients.emplace_back([&] {
      one = static_cast<int>(SampleSum(site_.Get("/metrics").body, "pg_up"));
    });
  }
  for (auto& client : clients) client.join();
  EXPECT_EQ(up, std::vector<int>(30, 1));
}

}  // namespace
