// SPDX-License-Identifier: MIT
#include "exporter/page.h"

#include <gtest/gtest.h>

#include <random>
#include <thread>
#include <vector>

#include "exporter/gzip.h"
#include "exporter/pg.h"
#include "tests/support/http_client.h"

namespace {

using meshhook::Family;
using meshhook::Format;
using meshhook::Gzip;
using meshhook::Page;
using prometheus::MetricType;
using test::Gunzip;

Family Of(const std::string& name, MetricType type) {
  return {{name, "Help.", type, {{}}}};
}

// Why `second` has no place on a page that has `first`; "" where it has one.
std::string Clash(const Family& first, const Family& second) {
  Page page(Format::kText);
  page.Take({first}, "collector a");
  try {
    page.Take({second}, "collector b");
    return "";
  } catch (const meshhook::pg::Error& error) {
    return error.what();
  }
}

TEST(Page, EndsAsItsFormatDoes) {
  Page text(Format::kText);
  text.Append({Of("g", MetricType::Gauge)});
  text.End();
  EXPECT_EQ(text.text(), "# HELP g Help.\n# TYPE g gauge\ng 0\n");
  Page open(Format::kOpenMetrics);
  open.Append({Of("g", MetricType::Gauge)});
  open.End();
  EXPECT_EQ(open.text(), text.text() + "# EOF\n");
}

TEST(Page, HasEachNameOnce) {
  EXPECT_EQ(Clash(Of("a", MetricType::Gauge), Of("a", MetricType::Gauge)),
            "the metric a takes the name a, which collector a has taken");
  EXPECT_EQ(
      Clash(Of("h", MetricType::Histogram), Of("h_count", MetricType::Gauge)),
      "the metric h_count takes the name h_count, which collector a has "
      "taken");
  EXPECT_EQ(
      Clash(Of("h_sum", MetricType::Gauge), Of("h", MetricType::Histogram)),
      "the metric h takes the name h_sum, which collector a has taken");
  EXPECT_EQ(
      Clash(Of("a", MetricType::Gauge), Of("a_total", MetricType::Counter)),
      "the metric a_total takes the name a, which collector a has taken");
  EXPECT_NE(Clash(Of("a_total", MetricType::Counter),
                  Of("a_created", MetricType::Gauge)),
            "");
  EXPECT_NE(Clash(Of("s", MetricType::Summary), Of("s_sum", MetricType::Gauge)),
            "");
}

TEST(Page, TellsNamesApartThatOnlyLookAlike) {
  EXPECT_EQ(Clash(Of("a", MetricType::Gauge), Of("a_total", MetricType::Gauge)),
            "");
  EXPECT_EQ(
      Clash(Of("a_count", MetricType::Gauge), Of("a_sum", MetricType::Gauge)),
      "");
  EXPECT_EQ(
      Clash(Of("a", MetricType::Counter), Of("a_info", MetricType::Gauge)), "");
}

TEST(Page, TakesNoNameForAFamilyWithoutSamples) {
  Family empty = Of("a", MetricType::Gauge);
  empty.metric.clear();
  EXPECT_EQ(Clash(empty, Of("a", MetricType::Gauge)), "");
  EXPECT_EQ(Clash(Of("a", MetricType::Gauge), empty), "");
}

TEST(Page, TakesAllNamesOfACollectorOrNone) {
  Page page(Format::kText);
  page.Take("a", MetricType::Gauge, "collector a");
  EXPECT_THROW(
      page.Take({Of("new", MetricType::Gauge), Of("a", MetricType::Gauge)},
                "collector b"),
      meshhook::pg::Error);
  EXPECT_NO_THROW(page.Take({Of("new", MetricType::Gauge)}, "collector c"));
  EXPECT_THROW(page.Take({Of("a", MetricType::Gauge)}, "collector d"),
               meshhook::pg::Error);
}

TEST(Page, IsPackedOnceForAllWhoWantIt) {
  Page page(Format::kText);
  page.Append({Of("g", MetricType::Gauge)});
  page.End();
  std::vector<const std::string*> packed(4);
  std::vector<std::thread> threads;
  for (auto& one : packed) {
    threads.emplace_back([&one, &page] { one = &page.Gzipped(); });
  }
  for (auto& thread : threads) thread.join();
  for (const auto* one : packed) EXPECT_EQ(one, packed[0]);
  EXPECT_EQ(Gunzip(*packed[0]), page.text());
}

TEST(Gzip, GivesBackWhatWentIn) {
  std::string text;
  std::minstd_rand random(1);
  for (int i = 0; i < 100000; ++i) text += static_cast<char>(random());
  for (const std::string& original :
       {std::string(), std::string("x"), std::string(1000000, 'a'), text}) {
    EXPECT_EQ(Gunzip(Gzip(original)), original);
  }
}

TEST(Gzip, MakesAPageSmall) {
  std::string page;
  for (int i = 0; i < 1000; ++i) {
    page +=
        "meshhook_workflow_runs_total{id=\"" + std::to_string(i) + "\"} 1\n";
  }
  EXPECT_LT(Gzip(page).size(), page.size() / 5);
}

}  // namespace
