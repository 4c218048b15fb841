// SPDX-License-Identifier: MIT
#include "exporter/selection.h"

#include <gtest/gtest.h>

#include <numeric>

#include "exporter/families.h"
#include "exporter/statement.h"
#include "tests/support/rows.h"

namespace {

using meshhook::Collector;
using meshhook::Selection;
using test::Rows;

Collector Of(int limit) {
  return {.name = "c",
          .summary = "",
          .query = "SELECT",
          .labels = {"datname", "relname"},
          .metrics = {{.name = "size",
                       .type = prometheus::MetricType::Gauge,
                       .help = "Help.",
                       .column = "size",
                       .additive = true},
                      {.name = "calls",
                       .type = prometheus::MetricType::Counter,
                       .help = "Help.",
                       .column = "calls"}},
          .scope = meshhook::Scope::kDatabase,
          .limit = {.rows = limit, .rank = "size"}};
}

// A row for each name, the first of the greatest rank; and one for all that are
// not even candidates, if there are any.
meshhook::pg::Result Ranked(const std::vector<std::string>& names, int more) {
  std::vector<test::Row> rows;
  for (const auto& name : names) {
    rows.push_back(
        {std::to_string(rows.size() + 1), "1", "db", name, "10", "7"});
  }
  if (more > 0) {
    rows.push_back({std::nullopt, std::to_string(more), std::nullopt,
                    std::nullopt, std::to_string(more), std::nullopt});
  }
  return Rows({meshhook::kRankColumn, meshhook::kRowsColumn, "datname",
               "relname", "size", "calls"},
              rows);
}

std::string Kept(Selection& selection, const std::vector<std::string>& names) {
  const auto rows = Ranked(names, 0);
  std::string kept;
  for (const int row : selection.Choose(Of(2), rows).kept) {
    kept += rows.Text(row, 3);
  }
  return kept;
}

TEST(Selection, KeepsARowToOneAndAHalfTimesTheLimit) {
  Selection selection;
  EXPECT_EQ(Kept(selection, {"a", "b", "c"}), "ab");
  EXPECT_EQ(Kept(selection, {"a", "c", "b"}), "acb");
  EXPECT_EQ(Kept(selection, {"c", "b", "a"}), "cba");
  EXPECT_EQ(Kept(selection, {"c", "b", "d"}), "cb");
  EXPECT_EQ(Kept(selection, {"c", "d", "a"}), "cd");
}

TEST(Selection, CountsWhatItCuts) {
  Selection selection;
  const auto choice = selection.Choose(Of(2), Ranked({"a", "b", "c"}, 40));
  EXPECT_EQ(choice.kept.size(), 2u);
  EXPECT_EQ(choice.cut_rows, 41);
}

TEST(Selection, AddsUpWhatItCutsWhereThatMakesSense) {
  Selection selection;
  const auto rows = Ranked({"a", "b", "c"}, 40);
  const auto families =
      meshhook::ToFamilies(Of(2), rows, selection.Choose(Of(2), rows));
  ASSERT_EQ(families[0].metric.size(), 3u);
  const auto& other = families[0].metric[2];
  EXPECT_EQ(other.gauge.value, 50);
  EXPECT_EQ(other.label[0].value, "db");
  EXPECT_EQ(other.label[1].value, "other");
  EXPECT_EQ(families[1].metric.size(), 2u);
}

TEST(Selection, AddsNothingWhereNothingIsCut) {
  Selection selection;
  const auto rows = Ranked({"a", "b"}, 0);
  const auto families =
      meshhook::ToFamilies(Of(2), rows, selection.Choose(Of(2), rows));
  EXPECT_EQ(families[0].metric.size(), 2u);
}

}  // namespace
