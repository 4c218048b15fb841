// SPDX-License-Identifier: MIT
// On hand-made rows, without a server.
#include "exporter/families.h"

#include <gtest/gtest.h>

#include <cmath>
#include <optional>

#include "tests/support/rows.h"

namespace {

using meshhook::Collector;
using meshhook::Metric;
using meshhook::pg::Error;
using meshhook::pg::Result;
using prometheus::MetricType;
using test::Row;
using test::Rows;

// Of all rows.
std::vector<meshhook::Family> ToFamilies(const Collector& collector,
                                         const Result& rows) {
  auto families = meshhook::ToFamilies(collector, rows, meshhook::All(rows));
  meshhook::RefuseDuplicates(families);
  return families;
}

Collector Of(std::vector<Metric> metrics,
             std::vector<std::string> labels = {"l"}) {
  return {.name = "c",
          .summary = "a collector",
          .query = "SELECT",
          .labels = std::move(labels),
          .metrics = std::move(metrics)};
}

Metric Gauge(const std::string& column = "v") {
  return {.name = "g",
          .type = MetricType::Gauge,
          .help = "Help.",
          .column = column};
}

// What ToFamilies() complains of.
std::string Complaint(const Collector& collector, const Result& rows) {
  try {
    ToFamilies(collector, rows);
    return "";
  } catch (const Error& error) {
    return error.what();
  }
}

double Value(const std::string& text) {
  return ToFamilies(Of({Gauge()}), Rows({"l", "v"}, {{"a", text}}))
      .at(0)
      .metric.at(0)
      .gauge.value;
}

TEST(ToFamilies, MakesASampleOfEachRowWithItsLabels) {
  const auto families = ToFamilies(
      Of({Gauge()}),
      Rows({"v", "l", "other"}, {{"1", "a", "x"}, {"2.5", "b", "y"}}));
  ASSERT_EQ(families.size(), 1u);
  EXPECT_EQ(families[0].name, "g");
  EXPECT_EQ(families[0].help, "Help.");
  ASSERT_EQ(families[0].metric.size(), 2u);
  EXPECT_EQ(families[0].metric[1].gauge.value, 2.5);
  ASSERT_EQ(families[0].metric[1].label.size(), 1u);
  EXPECT_EQ(families[0].metric[1].label[0].name, "l");
  EXPECT_EQ(families[0].metric[1].label[0].value, "b");
}

TEST(ToFamilies, TakesNullAsNoSampleAndNeverAsZero) {
  const auto families = ToFamilies(
      Of({Gauge()}), Rows({"l", "v"}, {{"a", std::nullopt}, {"b", "0"}}));
  ASSERT_EQ(families[0].metric.size(), 1u);
  EXPECT_EQ(families[0].metric[0].label[0].value, "b");
}

TEST(ToFamilies, TakesANullLabelAsEmpty) {
  const auto families =
      ToFamilies(Of({Gauge()}), Rows({"l", "v"}, {{std::nullopt, "1"}}));
  EXPECT_EQ(families[0].metric[0].label[0].value, "");
}

TEST(ToFamilies, ReadsWhatPostgresCallsANumber) {
  EXPECT_EQ(Value("t"), 1);
  EXPECT_EQ(Value("f"), 0);
  EXPECT_EQ(Value("-1.5e-3"), -0.0015);
  EXPECT_EQ(Value("12345678901234567890"), 12345678901234567890.0);
  EXPECT_TRUE(std::isnan(Value("NaN")));
  EXPECT_EQ(Value("Infinity"), HUGE_VAL);
  EXPECT_EQ(Value("-Infinity"), -HUGE_VAL);
}

TEST(ToFamilies, RefusesWhatIsNotANumber) {
  for (const char* text : {"", "x", "1x", " 1", "1 ", "0x10", "true"}) {
    EXPECT_EQ(Complaint(Of({Gauge()}), Rows({"l", "v"}, {{"a", text}})),
              "not a number: \"" + std::string(text) + "\"");
  }
}

TEST(ToFamilies, RefusesRowsWithoutAColumnItNeeds) {
  EXPECT_EQ(Complaint(Of({Gauge()}), Rows({"l", "w"}, {})),
            "the query has no column \"v\"");
  EXPECT_EQ(Complaint(Of({Gauge()}), Rows({"v"}, {})),
            "the query has no column \"l\"");
  EXPECT_EQ(Complaint(Of({{.name = "h",
                           .type = MetricType::Histogram,
                           .help = "Help.",
                           .column = "counts",
                           .bounds_column = "bounds",
                           .sum_column = "sum"}}),
                      Rows({"l", "counts", "sum"}, {})),
            "the query has no column \"bounds\"");
}

TEST(ToFamilies, RefusesTwoRowsOfTheSameSeries) {
  EXPECT_EQ(Complaint(Of({Gauge()}),
                      Rows({"l", "v"}, {{"a", "1"}, {"b", "1"}, {"a", "2"}})),
            "two rows make the same series of g");
  EXPECT_EQ(Complaint(Of({Gauge()}, {}), Rows({"v"}, {{"1"}, {"2"}})),
            "two rows make the same series of g");
}

TEST(ToFamilies, TellsSeriesApartWhoseLabelsOnlyRunTogetherAlike) {
  EXPECT_EQ(
      Complaint(Of({Gauge()}, {"l", "m"}),
                Rows({"l", "m", "v"}, {{"a", "bc", "1"}, {"ab", "c", "1"}})),
      "");
}

TEST(ToFamilies, GivesAMetricLabelsOfItsOwn) {
  auto own = Gauge();
  own.label_columns = {"m"};
  const auto families =
      ToFamilies(Of({own}), Rows({"l", "m", "v"}, {{"a", "b", "1"}}));
  ASSERT_EQ(families[0].metric[0].label.size(), 1u);
  EXPECT_EQ(families[0].metric[0].label[0].name, "m");
  EXPECT_EQ(families[0].metric[0].label[0].value, "b");
}

TEST(ToFamilies, TakesTheNameFromAColumn) {
  auto named = Gauge();
  named.name_column = "n";
  const auto families = ToFamilies(
      Of({named}, {}),
      Rows({"n", "v"}, {{"_a", "1"}, {"_b", "2"}, {"_a", std::nullopt}}));
  ASSERT_EQ(families.size(), 2u);
  EXPECT_EQ(families[0].name, "g_a");
  EXPECT_EQ(families[1].name, "g_b");
  EXPECT_EQ(families[1].metric[0].gauge.value, 2);
}

TEST(ToFamilies, MergesMetricsOfOneNameByTheirFixedLabels) {
  auto good = Gauge("good");
  good.labels = {{"status", "good"}};
  auto bad = Gauge("bad");
  bad.labels = {{"status", "bad"}};
  const auto families = ToFamilies(
      Of({good, bad}), Rows({"l", "good", "bad"}, {{"a", "1", "2"}}));
  ASSERT_EQ(families.size(), 1u);
  ASSERT_EQ(families[0].metric.size(), 2u);
  EXPECT_EQ(families[0].metric[0].gauge.value, 1);
  EXPECT_EQ(families[0].metric[1].gauge.value, 2);
  ASSERT_EQ(families[0].metric[1].label.size(), 2u);
  EXPECT_EQ(families[0].metric[1].label[1].name, "status");
  EXPECT_EQ(families[0].metric[1].label[1].value, "bad");
}

TEST(ToFamilies, PutsTheValueWhereItsTypeHasIt) {
  auto counter = Gauge();
  counter.type = MetricType::Counter;
  auto summary = Gauge();
  summary.type = MetricType::Summary;
  const auto rows = Rows({"l", "v"}, {{"a", "5"}});
  EXPECT_EQ(ToFamilies(Of({counter}), rows)[0].metric[0].counter.value, 5);
  EXPECT_EQ(ToFamilies(Of({summary}), rows)[0].metric[0].untyped.value, 5);
}

class Histogram : public testing::Test {
 protected:
  const Collector collector_ = Of({{.name = "h",
                                    .type = MetricType::Histogram,
                                    .help = "Help.",
                                    .column = "counts",
                                    .bounds_column = "bounds",
                                    .sum_column = "sum"}},
                                  {});
  static Result OneRow(Row row) {
    return Rows({"counts", "bounds", "sum"}, {std::move(row)});
  }
};

TEST_F(Histogram, IsReadFromArrays) {
  const auto families =
      ToFamilies(collector_, OneRow({"{1,3,4}", "{0.1,30}", "12.5"}));
  const auto& histogram = families.at(0).metric.at(0).histogram;
  ASSERT_EQ(histogram.bucket.size(), 3u);
  EXPECT_EQ(histogram.bucket[0].cumulative_count, 1u);
  EXPECT_EQ(histogram.bucket[0].upper_bound, 0.1);
  EXPECT_EQ(histogram.bucket[2].cumulative_count, 4u);
  EXPECT_EQ(histogram.bucket[2].upper_bound, HUGE_VAL);
  EXPECT_EQ(histogram.sample_count, 4u);
  EXPECT_EQ(histogram.sample_sum, 12.5);
}

TEST_F(Histogram, HasNoSampleWhereAPartIsNull) {
  for (size_t part = 0; part < 3; ++part) {
    Row row{"{1,3}", "{1}", "2"};
    row[part].reset();
    EXPECT_TRUE(ToFamilies(collector_, OneRow(row))[0].metric.empty()) << part;
  }
}

TEST_F(Histogram, IsRefusedWhereCountsAndBoundsDoNotFit) {
  const std::string complaint =
      "a histogram needs one count more than it has bounds";
  EXPECT_EQ(Complaint(collector_, OneRow({"{1,2}", "{1,2}", "0"})), complaint);
  EXPECT_EQ(Complaint(collector_, OneRow({"{}", "{}", "0"})), complaint);
  EXPECT_EQ(Complaint(collector_, OneRow({"{1,NULL}", "{1}", "0"})),
            "not a number: \"NULL\"");
}

TEST_F(Histogram, IsRefusedWhereACountIsNone) {
  for (const char* count : {"-1", "NaN", "Infinity", "1e300"}) {
    EXPECT_EQ(Complaint(collector_,
                        OneRow({"{" + std::string(count) + "}", "{}", "0"})),
              "a histogram's count is no count")
        << count;
  }
}

TEST_F(Histogram, IsRefusedWhereItIsNone) {
  EXPECT_EQ(Complaint(collector_, OneRow({"{3,1,4}", "{1,2}", "0"})),
            "a histogram's counts are not cumulative");
  for (const char* bounds : {"{2,1}", "{1,1}", "{NaN,1}", "{1,Infinity}"}) {
    EXPECT_EQ(Complaint(collector_, OneRow({"{1,3,4}", bounds, "0"})),
              "a histogram's bounds do not rise, or are not finite")
        << bounds;
  }
}

TEST_F(Histogram, CountsAsASeriesABucketAndTwo) {
  EXPECT_EQ(meshhook::SeriesIn(ToFamilies(
                collector_, OneRow({"{1,3,4}", "{0.1,30}", "12.5"}))),
            5u);
  EXPECT_EQ(meshhook::SeriesIn(ToFamilies(
                Of({Gauge()}), Rows({"l", "v"}, {{"a", "1"}, {"b", "2"}}))),
            2u);
}

TEST(Merge, MakesOneFamilyOfWhatSeveralDatabasesHave) {
  const auto in = [](const std::string& database) {
    return ToFamilies(Of({Gauge()}), Rows({"l", "v"}, {{database, "1"}}));
  };
  auto families = in("a");
  meshhook::Merge(in("b"), families);
  ASSERT_EQ(families.size(), 1u);
  ASSERT_EQ(families[0].metric.size(), 2u);
  EXPECT_EQ(families[0].metric[1].label[0].value, "b");
  meshhook::Merge(in("b"), families);
  EXPECT_THROW(meshhook::RefuseDuplicates(families), Error);
}

TEST(Merge, RefusesAMetricOfTwoTypes) {
  auto counter = Gauge();
  counter.type = MetricType::Counter;
  const auto rows = Rows({"l", "v"}, {{"a", "1"}});
  auto families = ToFamilies(Of({Gauge()}), rows);
  EXPECT_THROW(meshhook::Merge(ToFamilies(Of({counter}), rows), families),
               Error);
}

TEST(ToFamilies, RefusesAMetricOfTwoTypes) {
  auto named = Gauge();
  named.name = "";
  named.type = MetricType::Counter;
  named.name_column = "n";
  EXPECT_EQ(
      Complaint(Of({Gauge(), named}), Rows({"l", "n", "v"}, {{"a", "g", "1"}})),
      "metric g has two types");
}

TEST(ToFamilies, RepairsLabelsBeforeItComparesThem) {
  const auto rows = Rows({"l", "v"}, {{"a\xFF", "1"}});
  EXPECT_EQ(ToFamilies(Of({Gauge()}), rows)[0].metric[0].label[0].value,
            "a\xEF\xBF\xBD");
  EXPECT_EQ(Complaint(Of({Gauge()}),
                      Rows({"l", "v"}, {{"a\xFF", "1"}, {"a\xFE", "2"}})),
            "two rows make the same series of g");
}

// Of a gauge, whose type does not matter here.
Metric Detailed() {
  auto metric = Gauge();
  metric.created_column = "created";
  metric.exemplars = {.label = "run_id",
                      .label_column = "ids",
                      .value_column = "values",
                      .time_column = "times"};
  return metric;
}

std::vector<meshhook::Family> WithDetails(const Row& details) {
  Row row{"a", "1"};
  row.insert(row.end(), details.begin(), details.end());
  return ToFamilies(
      Of({Detailed()}),
      Rows({"l", "v", "created", "ids", "values", "times"}, {row}));
}

TEST(Details, ComeFromTheirColumns) {
  const auto families = WithDetails({"1.5", "{x,y}", "{2,3}", "{4,5}"});
  ASSERT_EQ(families[0].details.size(), 1u);
  const auto& detail = families[0].details[0];
  EXPECT_EQ(detail.created, 1.5);
  ASSERT_EQ(detail.exemplars.size(), 2u);
  EXPECT_EQ(detail.exemplars[1].label, "run_id");
  EXPECT_EQ(detail.exemplars[1].label_value, "y");
  EXPECT_EQ(detail.exemplars[1].value, 3);
  EXPECT_EQ(detail.exemplars[1].time, 5);
  EXPECT_EQ(meshhook::SeriesIn(families), 2u);
}

TEST(Details, AreNoneWhereTheColumnsAreNull) {
  const auto families = WithDetails({std::nullopt, std::nullopt, "{1}", "{1}"});
  EXPECT_EQ(families[0].details.at(0).created, std::nullopt);
  EXPECT_TRUE(families[0].details.at(0).exemplars.empty());
  EXPECT_TRUE(
      WithDetails({"1", "{}", "{}", "{}"})[0].details.at(0).exemplars.empty());
}

TEST(Details, AreRefusedWhereTheyMakeNoSense) {
  const auto complaint = [](const Row& details) {
    try {
      WithDetails(details);
      return std::string();
    } catch (const Error& error) {
      return std::string(error.what());
    }
  };
  EXPECT_EQ(complaint({"x", "{}", "{}", "{}"}), "not a number: \"x\"");
  EXPECT_EQ(complaint({"1", "{x}", "{1,2}", "{1}"}),
            "the arrays of exemplars differ in length");
  EXPECT_EQ(complaint({"1", "{x}", "{1}", "{}"}),
            "the arrays of exemplars differ in length");
  EXPECT_EQ(complaint({"1", "{" + std::string(122, 'x') + "}", "{1}", "{1}"}),
            "");
  EXPECT_EQ(complaint({"1", "{" + std::string(123, 'x') + "}", "{1}", "{1}"}),
            "an exemplar's label is too long");
  EXPECT_EQ(Complaint(Of({Detailed()}), Rows({"l", "v"}, {})),
            "the query has no column \"created\"");
}

TEST(Details, StayWithTheirSamples) {
  // The first metric of the family has none, the second has.
  auto detailed = Detailed();
  detailed.labels = {{"part", "second"}};
  const auto families =
      ToFamilies(Of({Gauge(), detailed}, {}),
                 Rows({"v", "created", "ids", "values", "times"},
                      {{"1", "7", "{}", "{}", "{}"}}));
  ASSERT_EQ(families[0].details.size(), 2u);
  EXPECT_EQ(families[0].details[0].created, std::nullopt);
  EXPECT_EQ(families[0].details[1].created, 7);
}

TEST(Cut, TakesSamplesWithTheirDetails) {
  auto families = WithDetails({"1", "{}", "{}", "{}"});
  meshhook::Merge(WithDetails({"2", "{}", "{}", "{}"}), families);
  ASSERT_EQ(meshhook::SeriesIn(families), 4u);
  EXPECT_EQ(families[0].details.at(1).created, 2);
  EXPECT_EQ(meshhook::Cut(families, 4), 0u);
  EXPECT_EQ(meshhook::Cut(families, 2), 2u);
  EXPECT_EQ(families[0].metric.size(), 1u);
  EXPECT_EQ(families[0].details.size(), 1u);
}

}  // namespace
