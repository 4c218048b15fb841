// SPDX-License-Identifier: MIT
// Pages of a real server in both formats, judged by those who read them:
// Prometheus' own parsers and the reference parser of OpenMetrics.
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>
#include <thread>

#include "collectors/all.h"
#include "tests/support/process.h"
#include "tests/support/runs.h"
#include "tests/support/site.h"

namespace {

using meshhook::Format;
using prometheus::MetricType;
using test::CollectorOf;
using test::Database;
using test::Site;

constexpr auto kAcceptOpenMetrics =
    "Accept: application/openmetrics-text;version=1.0.0,"
    "text/plain;version=0.0.4;q=0.5,*/*;q=0.1";

// What a command says of a file of that text, "" when it takes it.
std::string Judge(const std::string& command, const std::string& text) {
  const auto directory =
      testing::TempDir() + "meshhook-output-" + std::to_string(getpid());
  std::filesystem::create_directories(directory);
  std::ofstream(directory + "/page") << text;
  const auto ended =
      test::Run({"bash", "-c", "cd \"$0\" && " + command, directory});
  std::filesystem::remove_all(directory);
  return ended.status == 0 ? "" : "refused: " + ended.out + ended.err;
}

std::string Reference(const std::string& page) {
  return Judge(
      "/usr/bin/python3 -c 'import sys; from "
      "prometheus_client.openmetrics.parser import "
      "text_string_to_metric_families as p; list(p(sys.stdin.read()))' <page",
      page);
}

// promtool has Prometheus' parser of OpenMetrics where it makes blocks, which
// wants a time with each sample.
std::string Prometheus(const std::string& page) {
  std::string timed;
  std::istringstream lines(page);
  for (std::string line; std::getline(lines, line);) {
    if (line[0] != '#') {
      line.insert(std::min(line.find(" # {run_id="), line.size()),
                  " 1700000000");
    }
    timed += line + "\n";
  }
  return Judge("promtool tsdb create-blocks-from openmetrics page blocks",
               timed);
}

// Naming is not judged, which contract_test.cc does.
std::string PrometheusText(const std::string& page) {
  return Judge("promtool check metrics <page || test $? = 3", page);
}

// What stands before the values.
std::set<std::string> Series(const std::string& page) {
  std::set<std::string> series;
  std::istringstream lines(page);
  for (std::string line; std::getline(lines, line);) {
    if (line[0] == '#') continue;
    line.resize(std::min(line.find(" # {"), line.size()));
    series.insert(line.substr(0, line.rfind(' ')));
  }
  return series;
}

void ExpectValid(meshhook::Scraper& scraper) {
  const auto deadline = [] {
    return meshhook::pg::Clock::now() + std::chrono::seconds(10);
  };
  const auto text = scraper.Scrape(deadline());
  EXPECT_EQ(PrometheusText(text->text()), "") << text->text();
  const auto open = scraper.Scrape(deadline(), -1, Format::kOpenMetrics);
  EXPECT_EQ(Reference(open->text()), "") << open->text();
  EXPECT_EQ(Prometheus(open->text()), "") << open->text();
}

TEST(Judges, RefuseWhatIsNoPage) {
  EXPECT_EQ(Reference("# TYPE a gauge\na 1\n# EOF\n"), "");
  EXPECT_NE(Reference("# TYPE a gauge\na 1\n"), "");
  EXPECT_NE(Reference("# TYPE a counter\na_total -1\n# EOF\n"), "");
  EXPECT_EQ(Prometheus("# TYPE a gauge\na 1\n# EOF\n"), "");
  EXPECT_NE(Prometheus("# TYPE a gauge\na 1\n"), "");
  EXPECT_NE(Prometheus("# TYPE a gauge\na{b=1} 1\n# EOF\n"), "");
  EXPECT_EQ(PrometheusText("# TYPE a gauge\na 1\n"), "");
  EXPECT_NE(PrometheusText("# TYPE a gauge\na{b=1} 1\n"), "");
}

class Output : public testing::Test {
 protected:
  Output() {
    db_.Exec(test::kWorkflows);
    for (int i = 0; i < 5; ++i) db_.Exec(test::kRun);
    db_.Exec("SELECT metrics.fold(), metrics.fold_trends(1000)");
    db_.Exec(test::kRefreshAll);
  }

  Database db_;
  Site site_{db_.Url(test::kExporter), meshhook::collectors::All()};
};

TEST_F(Output, IsValidInBothFormats) { ExpectValid(site_.scraper()); }

TEST_F(Output, HasTheSameSeriesInBothFormats) {
  // Of collectors whose series are the same from scrape to scrape.
  namespace collectors = meshhook::collectors;
  const Site site(db_.Url(test::kExporter),
                  {collectors::WorkflowRuns(), collectors::WorkflowWindows(),
                   collectors::Settings(), collectors::StatUserTables(),
                   collectors::Replication()});
  site.Get("/metrics");  // which gives rise to series of its own
  const auto text = Series(site.Get("/metrics").body);
  auto open = Series(site.Get("/metrics", {kAcceptOpenMetrics}).body);
  const size_t created = std::erase_if(open, [](const auto& series) {
    return series.find("_created{") != series.npos;
  });
  EXPECT_EQ(created, 5u * 4);  // a workflow has three counters and a histogram
  EXPECT_GT(text.size(), 500u);
  EXPECT_EQ(open, text);
}

TEST_F(Output, ComesAsTheClientWantsIt) {
  const auto response = site_.Get("/metrics", {kAcceptOpenMetrics});
  EXPECT_EQ(response.status, 200);
  EXPECT_EQ(response.headers.at("content-type"),
            "application/openmetrics-text; version=1.0.0; charset=utf-8");
  EXPECT_EQ(response.headers.at("vary"), "Accept, Accept-Encoding");
  EXPECT_TRUE(response.body.ends_with("\n# EOF\n"));
  const auto packed =
      site_.Get("/metrics", {kAcceptOpenMetrics, "Accept-Encoding: gzip"});
  EXPECT_EQ(packed.headers.at("content-encoding"), "gzip");
  EXPECT_EQ(packed.headers.at("content-length"),
            std::to_string(packed.body.size()));
  EXPECT_TRUE(test::Gunzip(packed.body).ends_with("\n# EOF\n"));
}

TEST_F(Output, HasTheSameHeadersForHead) {
  for (const std::string encoding : {"identity", "gzip"}) {
    const std::vector<std::string> wishes{kAcceptOpenMetrics,
                                          "Accept-Encoding: " + encoding};
    auto get = site_.Get("/metrics", wishes).headers;
    auto head = test::Request(site_.port(), "HEAD", "/metrics", wishes);
    EXPECT_EQ(head.status, 200);
    EXPECT_EQ(head.body, "");
    // Two pages are about as long.
    EXPECT_NEAR(std::stod(head.headers["content-length"]) /
                    std::stod(get["content-length"]),
                1, 0.1);
    get.erase("content-length");
    head.headers.erase("content-length");
    EXPECT_EQ(head.headers, get);
  }
}

TEST_F(Output, IsInEachClientsFormatWhenTheyAskAtOnce) {
  std::vector<std::thread> clients;
  std::vector<std::string> ends(12);
  for (size_t i = 0; i < ends.size(); ++i) {
    clients.emplace_back([this, i, &end = ends[i]] {
      const auto response = i % 2 == 0
                                ? site_.Get("/metrics")
                                : site_.Get("/metrics", {kAcceptOpenMetrics});
      end = response.headers.at("content-type").substr(0, 4) +
            (response.body.ends_with("# EOF\n") ? " with" : " without");
    });
  }
  for (auto& client : clients) client.join();
  for (size_t i = 0; i < ends.size(); ++i) {
    EXPECT_EQ(ends[i], i % 2 == 0 ? "text without" : "appl with");
  }
}

meshhook::Collector Odd(const std::string& name, MetricType type,
                        const std::string& query) {
  auto collector = CollectorOf(name, query);
  collector.metrics[0].type = type;
  return collector;
}

TEST(OddOutput, IsValidWhateverTheValuesAre) {
  auto labels = Odd("l", MetricType::Gauge,
                    R"(SELECT E'a"b\\c\nd} 1 # {é' AS label, 1 AS v)");
  labels.labels = {"label"};
  labels.metrics[0].help = "A \"b\" \\ c\n# TYPE d";
  const auto histogram = [](const std::string& name, const std::string& query) {
    auto collector = Odd(name, MetricType::Histogram, query);
    collector.metrics[0].bounds_column = "bounds";
    collector.metrics[0].sum_column = "sum";
    return collector;
  };
  Database db;
  const std::vector<meshhook::Collector> collectors{
      labels,
      Odd("nan_total", MetricType::Counter, "SELECT 'NaN'::float8 AS v"),
      Odd("falls_total", MetricType::Counter, "SELECT -1 AS v"),
      Odd("infinite", MetricType::Gauge, "SELECT '-Infinity'::float8 AS v"),
      Odd("x_created", MetricType::Gauge, "SELECT 1 AS v"),
      Odd("x_info", MetricType::Gauge, "SELECT 2 AS v"),
      Odd("x_bucket", MetricType::Counter, "SELECT 2 AS v"),
      Odd("x_bytes", MetricType::Untyped, "SELECT 2 AS v"),
      histogram("h",
                "SELECT '{1,2}'::int[] AS v, '{-1}'::int[] AS bounds, "
                "-3 AS sum"),
      histogram("hnan",
                "SELECT '{1,2}'::int[] AS v, '{1e6}'::float8[] AS "
                "bounds, 'NaN'::float8 AS sum"),
      histogram("plain",
                "SELECT '{7}'::int[] AS v, '{}'::int[] AS bounds, 0 "
                "AS sum")};
  Site site(db.Url(test::kExporter), collectors);
  ExpectValid(site.scraper());
  for (const auto& collector : site.scraper().Status().collectors) {
    EXPECT_TRUE(collector.success) << collector.name << collector.reason;
  }
}

TEST(OddOutput, HasNoNameTwice) {
  // Names that are known only when the rows are.
  auto second = CollectorOf("second", "SELECT 'first' AS name, 2 AS v");
  second.metrics[0].name = "test_";
  second.metrics[0].name_column = "name";
  auto third = second;
  third.name = "third";
  third.query = "SELECT 'pg_up' AS name, 3 AS v";
  third.metrics[0].name = "";
  auto fourth = Odd("first_total", MetricType::Counter, "SELECT 1 AS v");
  Database db;
  Site site(db.Url(test::kExporter),
            {CollectorOf("first", "SELECT 1 AS v"), second, third, fourth,
             CollectorOf("last", "SELECT 5 AS v")});
  ExpectValid(site.scraper());
  std::string reasons;
  for (const auto& collector : site.scraper().Status().collectors) {
    reasons += collector.name + ": " + collector.reason + "\n";
  }
  EXPECT_EQ(reasons,
            "first: \n"
            "second: the metric test_first takes the name test_first, which "
            "collector first has taken\n"
            "third: the metric pg_up takes the name pg_up, which the exporter "
            "itself has taken\n"
            "first_total: the metric test_first_total takes the name "
            "test_first, which collector first has taken\n"
            "last: \n");
  const auto page = site.Page();
  EXPECT_EQ(test::SampleSum(page, "test_first"), 1);
  EXPECT_EQ(test::SampleSum(page, "pg_up"), 1);
  EXPECT_EQ(test::SampleSum(page, "test_last"), 5);
}

}  // namespace
