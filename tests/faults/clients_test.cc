// SPDX-License-Identifier: MIT
// Clients that hang up, dawdle, do not listen or talk rubbish; and many at
// once.
#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <thread>

#include "tests/faults/page.h"
#include "tests/faults/watched.h"
#include "tests/support/database.h"
#include "tests/support/sessions.h"

namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;
using test::Await;
using test::Custom;
using test::Database;
using test::HttpConnection;
using test::SampleSum;
using test::ScrapeRequest;
using test::Watched;
using Clients = std::vector<std::unique_ptr<HttpConnection>>;

const Custom kOne{"app_one", "SELECT 1 AS v"};
const Custom kSleeper{"app_sleeper", "SELECT 1 AS v FROM pg_sleep(60)"};
// Much more than the system takes in for one who does not read.
const Custom kLong{"app_long",
                   "SELECT n || repeat('x', 1000) AS l, 1 AS v "
                   "FROM generate_series(1, 10000) AS n",
                   true};
constexpr int kSmallBuffer = 4096;

class ClientFaults : public testing::Test {
 protected:
  // Some who ask, and have asked.
  Clients Asking(const Watched& exporter, int count,
                 std::chrono::milliseconds timeout) {
    Clients clients;
    for (int i = 0; i < count; ++i) {
      clients.push_back(
          std::make_unique<HttpConnection>(exporter.port(), kSmallBuffer));
      clients.back()->Send(ScrapeRequest(timeout));
    }
    return clients;
  }
  // A scrape that sleeps in the database until its client is gone.
  Clients Sleepers(const Watched& exporter, int count) {
    auto clients = Asking(exporter, count, 20s);
    EXPECT_TRUE(Await([this] { return test::Sleeping(db_) == 1; }));
    return clients;
  }
  // A scrape that is as it should be.
  static void ExpectGood(Watched& exporter) {
    const auto page = exporter.Page(2s);
    EXPECT_EQ(SampleSum(page, "pg_up"), 1);
    EXPECT_EQ(SampleSum(page, "app_one"), 1);
    EXPECT_TRUE(test::Succeeded(page).contains("stat_database"));
  }

  Database db_;
  const std::string url_ = db_.Url(test::kExporter);
};

// The best of three, as other tests run beside this one.
TEST_F(ClientFaults, OneWhoHangsUpLeavesNoWorkBehind) {
  auto best = Clock::duration::max();
  for (int i = 0; i < 3 && best > 100ms; ++i) {
    Watched exporter(url_, {kOne, kSleeper});
    auto clients = Sleepers(exporter, 1);
    const auto hung_up = Clock::now();
    clients.clear();
    EXPECT_TRUE(Await([this] { return test::Busy(db_) == 0; }, 2s));
    best = std::min(best, Clock::now() - hung_up);
    ExpectGood(exporter);
    EXPECT_LE(test::Sessions(db_), 2);
  }
  EXPECT_LT(best, 100ms);
}

TEST_F(ClientFaults, OneWhoHangsUpSpoilsNothingForAnother) {
  for (const size_t who : {0, 1}) {
    Watched exporter(url_, {kOne, kSleeper});
    auto clients = Asking(exporter, 1, 3s);
    ASSERT_TRUE(Await([this] { return test::Sleeping(db_) == 1; }));
    auto second = Asking(exporter, 1, 3s);
    clients.push_back(std::move(second[0]));
    EXPECT_FALSE(clients[1]->Readable(100));
    clients[who].reset();
    const auto answer = clients[1 - who]->ReadToEnd();
    EXPECT_TRUE(answer.starts_with("HTTP/1.1 200 OK\r\n")) << answer;
    const auto page = answer.substr(answer.find("\r\n\r\n") + 4);
    test::ExpectSound(page);
    EXPECT_EQ(SampleSum(page, "pg_up"), 1) << who;
    EXPECT_EQ(SampleSum(page, "app_one"), 1) << who;
    EXPECT_TRUE(test::Succeeded(page).contains("stat_database")) << who;
  }
}

// By TCP alone nobody can tell this from hanging up.
TEST_F(ClientFaults, OneWhoOnlyStopsTalkingGetsAWholePageOrNone) {
  Watched exporter(url_, {kOne});
  ExpectGood(exporter);
  const HttpConnection client(exporter.port());
  client.Send(ScrapeRequest(2s));
  client.SendEnd();
  const auto answer = client.ReadToEnd();
  if (!answer.empty() && !answer.starts_with("HTTP/1.1 503 ")) {
    EXPECT_TRUE(answer.starts_with("HTTP/1.1 200 OK\r\n")) << answer;
    test::ExpectSound(answer.substr(answer.find("\r\n\r\n") + 4));
  }
  ExpectGood(exporter);
}

TEST_F(ClientFaults, ManyWhoHangUpAtOnceLeaveNothingOpen) {
  Watched exporter(url_, {kOne});
  ExpectGood(exporter);
  const auto files = [&] {
    return SampleSum(exporter.Page(), "process_open_fds");
  };
  const double before = files();
  for (int i = 0; i < 100; ++i) Asking(exporter, 1, 2s);
  ExpectGood(exporter);
  EXPECT_TRUE(Await([&] { return files() <= before + 2; }));
  EXPECT_LE(test::Sessions(db_), 2);
}

TEST_F(ClientFaults, OnesWhoHangUpInTheMiddleOfAnAnswerHurtNobody) {
  Watched exporter(url_, {kOne, kLong});
  EXPECT_EQ(SampleSum(exporter.Page(), "app_long"), 10000);
  for (int i = 0; i < 5; ++i) {
    auto clients = Asking(exporter, 3, 2s);
    for (const auto& client : clients) {
      EXPECT_TRUE(client->ReadSome().starts_with("HTTP/1.1 200"));
    }
  }
  ExpectGood(exporter);
  EXPECT_LE(test::Sessions(db_), 2);
}

TEST_F(ClientFaults, OnesWhoNeverReadHoldNobodyUp) {
  Watched exporter(url_, {kOne, kLong});
  EXPECT_EQ(SampleSum(exporter.Page(), "app_long"), 10000);
  const auto idle = Asking(exporter, 20, 2s);
  ExpectGood(exporter);
  ExpectGood(exporter);
}

TEST_F(ClientFaults, OnesWhoSendAByteAtATimeHoldNobodyUp) {
  Watched exporter(url_, {kOne});
  Clients clients;
  for (int i = 0; i < 20; ++i) {
    clients.push_back(std::make_unique<HttpConnection>(exporter.port()));
  }
  for (const char byte : std::string("GET /")) {
    for (const auto& client : clients) client->Send({byte});
    ExpectGood(exporter);
  }
}

TEST_F(ClientFaults, TwoHundredWhoSayNothingHoldNobodyUp) {
  Watched exporter(url_, {kOne});
  ExpectGood(exporter);
  const long before = exporter.Resident();
  Clients clients;
  for (int i = 0; i < 200; ++i) {
    clients.push_back(std::make_unique<HttpConnection>(exporter.port()));
  }
  for (int i = 0; i < 3; ++i) ExpectGood(exporter);
  EXPECT_LT(exporter.Resident() - before, 20 * 1024);
}

TEST_F(ClientFaults, RubbishIsRefusedAndForgotten) {
  Watched exporter(url_, {kOne});
  std::string noise(3000, '\0');
  for (size_t i = 0; i < noise.size(); ++i) {
    noise[i] = static_cast<char>(i * 37 % 256);
  }
  for (const auto& bytes :
       {noise, "GET /metrics HTTP/1.1\r\nX: " + std::string(65536, 'x'),
        "GET " + std::string(65536, '/') + " HTTP/1.1\r\n\r\n",
        std::string("GET /metrics HTTP/9.9\r\n\r\n"),
        std::string("\r\n\r\n\r\n\r\n")}) {
    const HttpConnection client(exporter.port());
    try {
      client.Send(bytes);
    } catch (const std::system_error&) {  // refused before it was read
    }
    ASSERT_TRUE(client.Readable(4000));
    const auto answer = client.ReadSome();
    const auto status = answer.substr(0, answer.find("\r\n"));
    EXPECT_TRUE(status.empty() || status.find(" 4") != status.npos ||
                status.find(" 505 ") != status.npos)
        << status;
  }
  ExpectGood(exporter);
}

// By what the server counts; a second round is for those who came late.
TEST_F(ClientFaults, TwentyAtOnceShareWhatTheDatabaseIsAsked) {
  Watched exporter(
      url_,
      {kOne,
       {"app_marked", "SELECT 1 AS v, 'twenty' AS mark FROM pg_sleep(1)"}});
  auto clients = Asking(exporter, 20, 5s);
  for (const auto& client : clients) {
    const auto answer = client->ReadToEnd();
    const auto page = answer.substr(answer.find("\r\n\r\n") + 4);
    test::ExpectSound(page);
    EXPECT_EQ(SampleSum(page, "app_marked"), 1);
    EXPECT_EQ(test::Failed(page), std::set<std::string>{});
  }
  const auto calls = std::stol(db_.Exec(
      "SELECT sum(calls)::int FROM extensions.pg_stat_statements AS s "
      "JOIN pg_database AS d ON d.oid = dbid "
      "WHERE datname = current_database() AND query LIKE '%AS mark %pg_sleep%'",
      test::kSuperuser));
  EXPECT_GE(calls, 1);
  EXPECT_LE(calls, 2);
}

}  // namespace
