// SPDX-License-Identifier: MIT
#include "exporter/selection.h"

#include <charconv>
#include <numeric>
#include <string_view>

#include "exporter/statement.h"

namespace meshhook {
namespace {

long Whole(std::string_view text) {
  long number = 0;
  std::from_chars(text.data(), text.data() + text.size(), number);
  return number;
}

}  // namespace

Choice All(const pg::Result& rows) {
  Choice choice;
  choice.kept.resize(static_cast<size_t>(rows.rows()));
  std::iota(choice.kept.begin(), choice.kept.end(), 0);
  return choice;
}

Choice Selection::Choose(const Collector& collector, const pg::Result& rows) {
  const int rank_column = rows.Column(kRankColumn);
  const int rows_column = rows.Column(kRowsColumn);
  std::vector<int> label_columns;
  for (const auto& label : collector.labels) {
    label_columns.push_back(rows.Column(label));
  }

  Choice choice;
  std::unordered_set<std::string> members;
  for (int row = 0; row < rows.rows(); ++row) {
    const auto rank = rows.Get(row, rank_column);
    std::string key;
    for (const int column : label_columns) {
      key.append(rows.Text(row, column)).append(1, '\0');
    }
    if (rank &&
        (Whole(*rank) <= collector.limit.rows || members_.contains(key))) {
      choice.kept.push_back(row);
      members.insert(std::move(key));
    } else {
      choice.cut.push_back(row);
      choice.cut_rows += Whole(rows.Text(row, rows_column));
    }
  }
  members_ = std::move(members);
  return choice;
}

}  // namespace meshhook
