// SPDX-License-Identifier: MIT
#include "exporter/text_format.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <limits>
#include <utility>

namespace {

using meshhook::Append;
using meshhook::Family;
using meshhook::Format;
using prometheus::ClientMetric;
using prometheus::MetricType;

std::string Text(const Family& family, Format format = Format::kText) {
  std::string page;
  Append({family}, format, page);
  return page;
}

std::string OpenMetrics(const Family& family) {
  return Text(family, Format::kOpenMetrics);
}

// A family without HELP, of samples without labels.
Family Of(const std::string& name, MetricType type,
          const std::vector<double>& values) {
  Family family{{name, "", type, {}}};
  for (const double value : values) {
    auto& sample = family.metric.emplace_back();
    sample.counter.value = sample.gauge.value = sample.untyped.value = value;
  }
  return family;
}

Family Histogram(std::vector<ClientMetric::Bucket> buckets, double sum) {
  Family family{{"h_seconds", "", MetricType::Histogram, {{}}}};
  auto& histogram = family.metric[0].histogram;
  histogram.sample_count = buckets.back().cumulative_count;
  histogram.sample_sum = sum;
  histogram.bucket = std::move(buckets);
  return family;
}

// The line that begins so, without that.
std::string Line(const std::string& page, const std::string& beginning) {
  const size_t at = ("\n" + page).find("\n" + beginning);
  if (at == page.npos) return "none";
  const size_t start = at + beginning.size();
  return page.substr(start, page.find('\n', start) - start);
}

Family Gauge(double value, std::vector<ClientMetric::Label> labels = {}) {
  ClientMetric sample;
  sample.gauge.value = value;
  sample.label = std::move(labels);
  return {{"g", "Help.", MetricType::Gauge, {sample}}};
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
  Append({Gauge(1)}, Format::kText, page);
  EXPECT_EQ(page.rfind("before\n# HELP", 0), 0u);
}

TEST(TextFormat, LeavesOutAFamilyWithoutSamples) {
  EXPECT_EQ(Text({{"g", "Help.", MetricType::Gauge, {}}}), "");
}

TEST(TextFormat, WritesBucketBoundsAsFloats) {
  ClientMetric sample;
  sample.label = {{"l", "v"}};
  sample.histogram.bucket = {{1, 0.5},
                             {2, 30},
                             {3, 100000},
                             {4, 1e6},
                             {5, std::numeric_limits<double>::infinity()}};
  sample.histogram.sample_sum = 12.25;
  sample.histogram.sample_count = 5;
  EXPECT_EQ(Text({{"h", "Help.", MetricType::Histogram, {sample}}}),
            "# HELP h Help.\n# TYPE h histogram\n"
            "h_bucket{l=\"v\",le=\"0.5\"} 1\n"
            "h_bucket{l=\"v\",le=\"30.0\"} 2\n"
            "h_bucket{l=\"v\",le=\"100000.0\"} 3\n"
            "h_bucket{l=\"v\",le=\"1e+06\"} 4\n"
            "h_bucket{l=\"v\",le=\"+Inf\"} 5\n"
            "h_sum{l=\"v\"} 12.25\nh_count{l=\"v\"} 5\n");
}

TEST(TextFormat, WritesAHistogramWithoutOtherLabels) {
  ClientMetric sample;
  sample.histogram.bucket = {{7, 1}};
  const auto page = Text({{"h", "Help.", MetricType::Histogram, {sample}}});
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
  EXPECT_EQ(Number(100000), "100000");
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
    return Text({{"m", "Help.", type, {sample}}});
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

TEST(OpenMetrics, NamesACountersFamilyWithoutTotal) {
  auto family = Of("c_bytes_total", MetricType::Counter, {7});
  family.help = "Help.";
  EXPECT_EQ(OpenMetrics(family),
            "# HELP c_bytes Help.\n# TYPE c_bytes counter\n"
            "# UNIT c_bytes bytes\nc_bytes_total 7\n");
}

TEST(OpenMetrics, CallsUnknownWhatItHasNoTypeFor) {
  const auto type_of = [](const std::string& name, MetricType type,
                          double value) {
    const auto page = OpenMetrics(Of(name, type, {1, value}));
    EXPECT_NE(page.find("\n" + name + " 1\n"), page.npos) << page;
    return Line(page, "# TYPE " + name + " ");
  };
  EXPECT_EQ(type_of("m", MetricType::Gauge, -1), "gauge");
  EXPECT_EQ(type_of("m", MetricType::Untyped, 1), "unknown");
  EXPECT_EQ(type_of("m", MetricType::Counter, 1), "unknown");
  EXPECT_EQ(type_of("_total", MetricType::Counter, 1), "unknown");
  EXPECT_EQ(type_of("m_total", MetricType::Counter, -1), "unknown");
  EXPECT_EQ(type_of("m_total", MetricType::Counter, std::nan("")), "unknown");
  EXPECT_EQ(type_of("m", MetricType::Summary, std::nan("")), "summary");
  EXPECT_EQ(type_of("m", MetricType::Summary, -1), "unknown");
}

TEST(OpenMetrics, SaysTheUnitThatAFamilysNameEndsIn) {
  const auto unit = [](const std::string& name, MetricType type) {
    return Line(OpenMetrics(Of(name, type, {1})), "# UNIT ");
  };
  EXPECT_EQ(unit("a_seconds", MetricType::Gauge), "a_seconds seconds");
  EXPECT_EQ(unit("a_ratio", MetricType::Gauge), "a_ratio ratio");
  EXPECT_EQ(unit("a_seconds_total", MetricType::Counter), "a_seconds seconds");
  EXPECT_EQ(unit("a_bytes_total", MetricType::Gauge), "none");
  EXPECT_EQ(unit("abytes", MetricType::Gauge), "none");
  EXPECT_EQ(unit("bytes", MetricType::Gauge), "none");
  EXPECT_EQ(unit("_bytes", MetricType::Gauge), "none");
  EXPECT_EQ(Line(Text(Of("a_bytes", MetricType::Gauge, {1})), "# UNIT "),
            "none");
}

TEST(OpenMetrics, EscapesQuotesInHelp) {
  auto family = Of("g", MetricType::Gauge, {1});
  family.help = "A \"b\" \\ c\nd";
  EXPECT_EQ(Line(OpenMetrics(family), "# HELP g "), R"(A \"b\" \\ c\nd)");
}

TEST(OpenMetrics, SaysWhenSomethingBegan) {
  auto counter = Of("c_total", MetricType::Counter, {1, 2});
  counter.details = {{.created = 1732147200.5}};  // the second has none
  EXPECT_EQ(OpenMetrics(counter),
            "# HELP c \n# TYPE c counter\nc_total 1\n"
            "c_created 1732147200.5\nc_total 2\n");
  EXPECT_EQ(Text(counter),
            "# HELP c_total \n# TYPE c_total counter\nc_total 1\nc_total 2\n");
  auto histogram = Histogram({{1, INFINITY}}, 3);
  histogram.details = {{.created = 1732147200}};
  EXPECT_EQ(OpenMetrics(histogram),
            "# HELP h_seconds \n# TYPE h_seconds histogram\n"
            "# UNIT h_seconds seconds\nh_seconds_bucket{le=\"+Inf\"} 1\n"
            "h_seconds_sum 3\nh_seconds_count 1\n"
            "h_seconds_created 1732147200\n");
}

TEST(OpenMetrics, SaysItNotOfWhatIsNoCounterThere) {
  auto counter = Of("c", MetricType::Counter, {1});
  counter.details = {{.created = 1732147200}};
  EXPECT_EQ(OpenMetrics(counter), "# HELP c \n# TYPE c unknown\nc 1\n");
}

TEST(OpenMetrics, PutsAnExemplarIntoTheBucketOfItsValue) {
  auto family = Histogram({{1, 1}, {2, 2.5}, {4, INFINITY}}, 30);
  family.details = {{.exemplars = {{"run_id", "a\"", 2.5, 1732147200.25},
                                   {"run_id", "b", 1, 1732147201},
                                   {"run_id", "c", 1e9, 1732147202}}}};
  const auto page = OpenMetrics(family);
  EXPECT_EQ(Line(page, "h_seconds_bucket{le=\"1.0\"} "),
            "1 # {run_id=\"b\"} 1 1732147201");
  EXPECT_EQ(Line(page, "h_seconds_bucket{le=\"2.5\"} "),
            R"(2 # {run_id="a\""} 2.5 1732147200.25)");
  EXPECT_EQ(Line(page, "h_seconds_bucket{le=\"+Inf\"} "),
            "4 # {run_id=\"c\"} 1000000000 1732147202");
  EXPECT_EQ(Text(family).find("run_id"), std::string::npos);
}

TEST(OpenMetrics, LeavesOutASumThatCouldFall) {
  const auto has_sum = [](const std::string& page) {
    EXPECT_EQ(page.find("_sum") == page.npos, page.find("_count") == page.npos);
    return page.find("_sum") != page.npos;
  };
  const auto negative = Histogram({{1, -1}, {2, INFINITY}}, 3);
  const auto unknown = Histogram({{2, INFINITY}}, std::nan(""));
  EXPECT_TRUE(has_sum(OpenMetrics(Histogram({{2, INFINITY}}, 0))));
  EXPECT_FALSE(has_sum(OpenMetrics(negative)));
  EXPECT_FALSE(has_sum(OpenMetrics(unknown)));
  EXPECT_TRUE(has_sum(Text(negative)));
  EXPECT_TRUE(has_sum(Text(unknown)));
}

}  // namespace
