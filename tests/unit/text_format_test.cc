// SPDX-License-Identifier: MIT
#include "exporter/text_format.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <limits>

namespace {

using meshhook::AppendText;
using prometheus::ClientMetric;
using prometheus::MetricFamily;
using prometheus::MetricType;

std::string Text(const MetricFamily& family) {
  std::string page;
  AppendText({family}, page);
  return page;
}

MetricFamily Gauge(double value, std::vector<ClientMetric::Label> labels = {}) {
  ClientMetric sample;
  sample.gauge.value = value;
  sample.label = std::move(labels);
  return {"g", "Help.", MetricType::Gauge, {sample}};
}

std::string Number(double value) {
  const auto page = Text(Gauge(value));
  const size_t start = page.rfind("\ng ") + 3;
  return page.substr(start, page.size() - start - 1);
}

// The sample's label, as it stands between its quotes.
std::string LabelValue(const std::string& value) {
  const auto page = Text(Gauge(1, {{"l", value}}));
  const size_t start = page.find("l=\"") + 3;
  return page.substr(start, page.rfind("\"}") - start);
}

TEST(TextFormat, WritesHelpTypeAndASampleALine) {
  EXPECT_EQ(Text(Gauge(2, {{"a", "x"}, {"b", ""}})),
            "# HELP g Help.\n# TYPE g gauge\ng{a=\"x\",b=\"\"} 2\n");
}

TEST(TextFormat, AppendsToWhatIsThere) {
  std::string page = "before\n";
  AppendText({Gauge(1)}, page);
  EXPECT_EQ(page.rfind("before\n# HELP", 0), 0u);
}

TEST(TextFormat, LeavesOutAFamilyWithoutSamples) {
  EXPECT_EQ(Text({"g", "Help.", MetricType::Gauge, {}}), "");
}

TEST(TextFormat, WritesBucketBoundsAsFloats) {
  ClientMetric sample;
  sample.label = {{"l", "v"}};
  sample.histogram.bucket = {{1, 0.5},
                             {2, 30},
                             {3, 1e21},
                             {4, std::numeric_limits<double>::infinity()}};
  sample.histogram.sample_sum = 12.25;
  sample.histogram.sample_count = 4;
  EXPECT_EQ(Text({"h", "Help.", MetricType::Histogram, {sample}}),
            "# HELP h Help.\n# TYPE h histogram\n"
            "h_bucket{l=\"v\",le=\"0.5\"} 1\n"
            "h_bucket{l=\"v\",le=\"30.0\"} 2\n"
            "h_bucket{l=\"v\",le=\"1e+21\"} 3\n"
            "h_bucket{l=\"v\",le=\"+Inf\"} 4\n"
            "h_sum{l=\"v\"} 12.25\nh_count{l=\"v\"} 4\n");
}

TEST(TextFormat, WritesAHistogramWithoutOtherLabels) {
  ClientMetric sample;
  sample.histogram.bucket = {{7, 1}};
  const auto page = Text({"h", "Help.", MetricType::Histogram, {sample}});
  EXPECT_NE(page.find("\nh_bucket{le=\"1.0\"} 7\n"), page.npos) << page;
  EXPECT_NE(page.find("\nh_count 0\n"), page.npos) << page;
}

TEST(TextFormat, EscapesLabelValues) {
  EXPECT_EQ(LabelValue("a\"b\\c\nd"), R"(a\"b\\c\nd)");
  EXPECT_EQ(LabelValue("} 1\ng 2"), R"(} 1\ng 2)");
}

TEST(TextFormat, EscapesHelpButNotItsQuotes) {
  auto family = Gauge(1);
  family.help = "A \"b\" \\ c\n# TYPE g counter";
  EXPECT_EQ(Text(family).substr(0, Text(family).find("\n# TYPE g gauge")),
            R"(# HELP g A "b" \\ c\n# TYPE g counter)");
}

TEST(TextFormat, KeepsWellFormedUtf8) {
  for (const char* text : {"é", "€", "😀", "\xF4\x8F\xBF\xBF", "\xEE\x80\x80"}) {
    EXPECT_EQ(LabelValue(text), text);
  }
}

TEST(TextFormat, RepairsInvalidUtf8) {
  const std::string bad = "\xEF\xBF\xBD";
  EXPECT_EQ(LabelValue("a\xFFz"), "a" + bad + "z");
  EXPECT_EQ(LabelValue("\xC3"), bad);                      // cut short
  EXPECT_EQ(LabelValue("\xE2\x82x"), bad + bad + "x");     // cut short
  EXPECT_EQ(LabelValue("\xC0\xAF"), bad + bad);            // overlong
  EXPECT_EQ(LabelValue("\xE0\x80\x80"), bad + bad + bad);  // overlong
  EXPECT_EQ(LabelValue("\xED\xA0\x80"), bad + bad + bad);  // a surrogate
  EXPECT_EQ(LabelValue("\xF4\x90\x80\x80"), bad + bad + bad + bad);
  EXPECT_EQ(LabelValue("\xC3\""), bad + "\\\"");  // swallows no quote
}

TEST(TextFormat, WritesWhatIsNotFinite) {
  EXPECT_EQ(Number(std::nan("")), "NaN");
  EXPECT_EQ(Number(HUGE_VAL), "+Inf");
  EXPECT_EQ(Number(-HUGE_VAL), "-Inf");
}

TEST(TextFormat, WritesTheShortestNumberThatReadsBack) {
  EXPECT_EQ(Number(0), "0");
  EXPECT_EQ(Number(0.1), "0.1");
  EXPECT_EQ(Number(-1.5), "-1.5");
  EXPECT_EQ(Number(1732147200.123), "1732147200.123");
  EXPECT_EQ(Number(9007199254740993.0), "9007199254740992");
  for (const double value :
       {1.0 / 3, 0.1 + 0.2, 1e300, 5e-324, 123456789012345680.0,
        std::numeric_limits<double>::max()}) {
    EXPECT_EQ(std::strtod(Number(value).c_str(), nullptr), value);
  }
}

TEST(TextFormat, TakesEachTypesOwnValue) {
  ClientMetric sample;
  sample.counter.value = 1;
  sample.gauge.value = 2;
  sample.untyped.value = 3;
  const auto last = [&sample](MetricType type) {
    return Text({"m", "Help.", type, {sample}});
  };
  EXPECT_EQ(last(MetricType::Counter),
            "# HELP m Help.\n# TYPE m counter\nm 1\n");
  EXPECT_EQ(last(MetricType::Gauge), "# HELP m Help.\n# TYPE m gauge\nm 2\n");
  EXPECT_EQ(last(MetricType::Untyped),
            "# HELP m Help.\n# TYPE m untyped\nm 3\n");
  // Samples with a fixed quantile label, see collector.h.
  EXPECT_EQ(last(MetricType::Summary),
            "# HELP m Help.\n# TYPE m summary\nm 3\n");
}

}  // namespace
