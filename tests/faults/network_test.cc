// SPDX-License-Identifier: MIT
// A network that delays, drops, breaks and refuses.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "collectors/all.h"
#include "tests/faults/page.h"
#include "tests/faults/watched.h"
#include "tests/support/database.h"
#include "tests/support/proxy.h"
#include "tests/support/runs.h"
#include "tests/support/sessions.h"

namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;
using test::Await;
using test::Custom;
using test::Database;
using test::HttpConnection;
using test::SampleSum;
using test::Watched;

// Each way.
constexpr auto kFar = 50ms;
constexpr int kRuns = 3;
constexpr auto kRunsTotal = "meshhook_workflow_runs_total";
const Custom kOne{"app_one", "SELECT 1 AS v"};
const Custom kSleeper{"app_sleeper", "SELECT 1 AS v FROM pg_sleep(60)"};

class NetworkFaults : public testing::Test {
 protected:
  NetworkFaults() {
    db_.Exec(test::kOneWorkflow);
    for (int i = 0; i < kRuns; ++i) db_.Exec(test::kRun);
    db_.Exec("SELECT metrics.fold()");
  }

  std::string Url() const {
    return "postgresql://" + std::string(test::kExporter) +
           "@127.0.0.1:" + std::to_string(proxy_.port()) + "/" + db_.name();
  }
  static void ExpectDown(Watched& exporter) {
    const auto page = exporter.Page(1s);
    EXPECT_EQ(SampleSum(page, "pg_up"), 0) << page;
    EXPECT_EQ(test::Succeeded(page), std::set<std::string>{});
  }
  void ExpectUp(Watched& exporter) {
    std::string page;
    EXPECT_TRUE(Await([&] {
      page = exporter.Page();
      return SampleSum(page, "pg_up") == 1 && test::Failed(page).empty();
    })) << page
        << exporter.log();
    EXPECT_EQ(SampleSum(page, kRunsTotal), kRuns);
    EXPECT_TRUE(Await([this] { return test::Sessions(db_) <= 2; }));
  }

  Database db_;
  test::Proxy proxy_{test::ClusterPort()};
};

// All that are asked on the scrape's own connection.
std::vector<std::string> Fast() {
  std::vector<std::string> names;
  for (const auto& collector : meshhook::collectors::All()) {
    if (collector.interval.count() == 0) names.push_back(collector.name);
  }
  return names;
}

// By the program's word, by count, and by the time it takes more than where it
// is near.
TEST_F(NetworkFaults, ADistantServerIsAskedInOneRoundTrip) {
  Watched exporter(Url(), {kOne}, test::Only(Fast()));
  ExpectUp(exporter);
  const auto best = [&exporter](auto check) {
    auto least = 10000ms;
    for (int i = 0; i < 5; ++i) {
      check(exporter.Page());
      least = std::min(least, exporter.took());
    }
    return least;
  };
  const auto near = best([](const std::string& /*page*/) {});
  const long connections = proxy_.connections();
  proxy_.Delay(kFar);
  // The first answer may be there before a busy machine has sent the last
  // question, which looks like one more.
  long round_trips = proxy_.round_trips();
  long fewest = 1000;
  const auto far = best([&](const std::string& page) {
    EXPECT_EQ(test::Failed(page), std::set<std::string>{});
    EXPECT_EQ(SampleSum(page, "meshhook_exporter_last_scrape_round_trips"), 1);
    fewest = std::min(fewest, proxy_.round_trips() - round_trips);
    round_trips = proxy_.round_trips();
  });
  EXPECT_EQ(fewest, 1);
  EXPECT_GE(far, 2 * kFar);
  EXPECT_LT(far - near, 4 * kFar);
  EXPECT_EQ(proxy_.connections(), connections);
}

// More than there is time for.
TEST_F(NetworkFaults, ATooDistantServerIsDownInTime) {
  Watched exporter(Url(), {kOne});
  ExpectUp(exporter);
  proxy_.Delay(1500ms);
  for (int i = 0; i < 2; ++i) ExpectDown(exporter);
  proxy_.Heal();
  ExpectUp(exporter);
}

TEST_F(NetworkFaults, SilenceIsAnOutageInTimeAndNoMoreThanThat) {
  Watched exporter(Url(), {kOne});
  ExpectUp(exporter);
  proxy_.Drop();
  for (int i = 0; i < 3; ++i) ExpectDown(exporter);
  proxy_.Heal();
  ExpectUp(exporter);
}

TEST_F(NetworkFaults, SilenceFromTheStartIsAnOutageInTime) {
  proxy_.Drop();
  Watched exporter(Url(), {kOne});
  for (int i = 0; i < 2; ++i) ExpectDown(exporter);
  proxy_.Heal();
  ExpectUp(exporter);
}

TEST_F(NetworkFaults, RefusalIsAnOutageAndNoMoreThanThat) {
  Watched exporter(Url(), {kOne});
  ExpectUp(exporter);
  proxy_.Refuse();
  for (int i = 0; i < 3; ++i) ExpectDown(exporter);
  EXPECT_NE(exporter.log().find("Connection refused"), std::string::npos);
  proxy_.Heal();
  ExpectUp(exporter);
}

// Wherever in the answer that is: what came whole is there, no more, and the
// number that one can know is right.
TEST_F(NetworkFaults, AResetInTheMiddleOfAnAnswerLeavesNoHalfCollector) {
  Watched exporter(Url(), {kOne}, test::Only(Fast()));
  ExpectUp(exporter);
  const auto bytes = proxy_.bytes();
  exporter.Page();
  const auto all = proxy_.bytes() - bytes;  // the questions' own, too
  for (const auto part : {int64_t{0}, all / 32, all / 16, all / 8}) {
    proxy_.ResetAfter(part);
    const auto page = exporter.Page(2s);
    const double runs = SampleSum(page, kRunsTotal);
    EXPECT_TRUE(std::isnan(runs) || runs == kRuns) << runs;
    EXPECT_FALSE(test::Failed(page).empty());
    proxy_.Heal();
    ExpectUp(exporter);
  }
}

TEST_F(NetworkFaults, AWaitThatIsCutOffByAResetIsNotWaitedFor) {
  Watched exporter(Url(), {kOne, kSleeper}, test::Only({"stat_database"}));
  const HttpConnection client(exporter.port());
  client.Send(test::ScrapeRequest(20s));
  ASSERT_TRUE(Await([this] { return test::Sleeping(db_) == 1; }));
  proxy_.Refuse();
  const auto answer = client.ReadToEnd();
  test::ExpectSound(answer.substr(answer.find("\r\n\r\n") + 4));
  EXPECT_EQ(SampleSum(answer,
                      "pg_scrape_collector_success{collector="
                      "\"app_sleeper\"}"),
            0);
}

}  // namespace
