// SPDX-License-Identifier: MIT
#include "exporter/families.h"

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <iterator>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>

#include "exporter/text_format.h"

namespace meshhook {
namespace {

using prometheus::ClientMetric;
using prometheus::MetricFamily;
using prometheus::MetricType;

struct LabelColumn {
  std::string name;
  int column;
};

// A metric with its columns found.
struct Bound {
  const Metric* metric;
  int column;
  int bounds_column;
  int sum_column;
  int name_column;
  std::vector<LabelColumn> labels;
};

int Find(const pg::Result& rows, const std::string& column) {
  const int index = rows.Column(column);
  if (index < 0) {
    throw pg::Error("the query has no column \"" + column + "\"", "", "");
  }
  return index;
}

// PostgreSQL writes numbers, NaN and Infinity as from_chars reads them, and
// booleans as t and f.
double Number(std::string_view text) {
  if (text == "t") return 1;
  if (text == "f") return 0;
  double value = 0;
  const auto [end, error] =
      std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) {
    throw pg::Error("not a number: \"" + std::string(text) + "\"", "", "");
  }
  return value;
}

std::uint64_t Count(double number) {
  constexpr double kTooMany = 18446744073709551616.0;  // 2 to the 64
  if (!(number >= 0 && number < kTooMany)) {
    throw pg::Error("a histogram's count is no count", "", "");
  }
  return static_cast<std::uint64_t>(number);
}

// An array of numbers as PostgreSQL prints it: {1,2,3}.
std::vector<double> Numbers(std::string_view text) {
  std::vector<double> numbers;
  if (text.size() <= 2) return numbers;
  text = text.substr(1, text.size() - 2);
  while (true) {
    const size_t comma = text.find(',');
    numbers.push_back(Number(text.substr(0, comma)));
    if (comma == std::string_view::npos) return numbers;
    text.remove_prefix(comma + 1);
  }
}

// False when a part of it is NULL.
bool FillHistogram(const pg::Result& rows, int row, const Bound& bound,
                   ClientMetric& sample) {
  const auto counts = rows.Get(row, bound.column);
  const auto bounds = rows.Get(row, bound.bounds_column);
  const auto sum = rows.Get(row, bound.sum_column);
  if (!counts || !bounds || !sum) return false;
  const auto upper = Numbers(*bounds);
  const auto cumulative = Numbers(*counts);
  if (cumulative.size() != upper.size() + 1) {
    throw pg::Error("a histogram needs one count more than it has bounds", "",
                    "");
  }
  auto& histogram = sample.histogram;
  histogram.bucket.reserve(cumulative.size());
  for (size_t i = 0; i < cumulative.size(); ++i) {
    histogram.bucket.push_back(
        {Count(cumulative[i]), i < upper.size()
                                   ? upper[i]
                                   : std::numeric_limits<double>::infinity()});
  }
  histogram.sample_count = histogram.bucket.back().cumulative_count;
  histogram.sample_sum = Number(*sum);
  return true;
}

// False when the value is NULL.
bool Fill(const pg::Result& rows, int row, const Bound& bound,
          ClientMetric& sample) {
  if (bound.metric->type == MetricType::Histogram) {
    return FillHistogram(rows, row, bound, sample);
  }
  const auto text = rows.Get(row, bound.column);
  if (!text) return false;
  const double value = Number(*text);
  switch (bound.metric->type) {
    case MetricType::Counter:
      sample.counter.value = value;
      break;
    case MetricType::Gauge:
      sample.gauge.value = value;
      break;
    default:
      sample.untyped.value = value;
  }
  return true;
}

// The sum of the rows that were cut; nullopt where all are NULL.
std::optional<ClientMetric> Other(const Collector& collector,
                                  const pg::Result& rows, const Choice& choice,
                                  const Bound& bound) {
  std::optional<double> sum;
  for (const int row : choice.cut) {
    if (const auto text = rows.Get(row, bound.column)) {
      sum = sum.value_or(0) + Number(*text);
    }
  }
  if (!sum) return std::nullopt;
  ClientMetric sample;
  sample.gauge.value = *sum;
  for (const auto& label : bound.labels) {
    const bool same_in_all =
        collector.scope == Scope::kDatabase && label.name == "datname";
    sample.label.push_back({label.name, same_in_all ? rows.Text(0, label.column)
                                        : &label == &bound.labels.back()
                                            ? "other"
                                            : ""});
  }
  for (const auto& label : bound.metric->labels) sample.label.push_back(label);
  return sample;
}

// Families by name, in the order of their first metric.
struct Families {
  std::vector<MetricFamily> all;
  std::unordered_map<std::string, size_t> by_name;

  size_t At(const std::string& name, const Metric& metric) {
    const auto [place, added] = by_name.emplace(name, all.size());
    if (!added) return place->second;
    // Prometheus would refuse the whole page for one that it does not take.
    if (!IsMetricName(name)) {
      throw pg::Error("not a name for a metric: \"" + name + "\"", "", "");
    }
    all.push_back({name, metric.help, metric.type, {}});
    return place->second;
  }
};

}  // namespace

std::vector<MetricFamily> ToFamilies(const Collector& collector,
                                     const pg::Result& rows,
                                     const Choice& choice) {
  std::vector<Bound> bound;
  for (const auto& metric : collector.metrics) {
    const bool histogram = metric.type == MetricType::Histogram;
    bound.push_back(
        {.metric = &metric,
         .column = Find(rows, metric.column),
         .bounds_column = histogram ? Find(rows, metric.bounds_column) : -1,
         .sum_column = histogram ? Find(rows, metric.sum_column) : -1,
         .name_column =
             metric.name_column.empty() ? -1 : Find(rows, metric.name_column),
         .labels = {}});
    for (const auto& label : metric.label_columns.value_or(collector.labels)) {
      bound.back().labels.push_back({label, Find(rows, label)});
    }
  }

  Families families;
  std::vector<size_t> fixed;  // the family of each metric that has one name
  for (const auto& metric : bound) {
    fixed.push_back(metric.name_column < 0
                        ? families.At(metric.metric->name, *metric.metric)
                        : 0);
  }
  for (const int row : choice.kept) {
    for (size_t i = 0; i < bound.size(); ++i) {
      const auto& metric = bound[i];
      ClientMetric sample;
      if (!Fill(rows, row, metric, sample)) continue;
      sample.label.reserve(metric.labels.size() + metric.metric->labels.size());
      for (const auto& label : metric.labels) {
        sample.label.push_back({label.name, rows.Text(row, label.column)});
      }
      for (const auto& label : metric.metric->labels) {
        sample.label.push_back(label);
      }
      const size_t family =
          metric.name_column < 0
              ? fixed[i]
              : families.At(
                    metric.metric->name + rows.Text(row, metric.name_column),
                    *metric.metric);
      families.all[family].metric.push_back(std::move(sample));
    }
  }
  if (!choice.cut.empty()) {
    for (size_t i = 0; i < bound.size(); ++i) {
      if (!bound[i].metric->additive) continue;
      if (auto other = Other(collector, rows, choice, bound[i])) {
        families.all[fixed[i]].metric.push_back(std::move(*other));
      }
    }
  }
  return std::move(families.all);
}

void Merge(std::vector<MetricFamily> more,
           std::vector<MetricFamily>& families) {
  for (auto& family : more) {
    const auto same = std::find_if(
        families.begin(), families.end(),
        [&family](const auto& known) { return known.name == family.name; });
    if (same == families.end()) {
      families.push_back(std::move(family));
    } else {
      same->metric.insert(same->metric.end(),
                          std::make_move_iterator(family.metric.begin()),
                          std::make_move_iterator(family.metric.end()));
    }
  }
}

void RefuseDuplicates(const std::vector<MetricFamily>& families) {
  for (const auto& family : families) {
    std::unordered_set<std::string> seen;
    seen.reserve(family.metric.size());
    for (const auto& sample : family.metric) {
      std::string key;
      for (const auto& label : sample.label) {
        key.append(label.name).append(1, '\0');
        key.append(label.value).append(1, '\0');
      }
      if (!seen.insert(std::move(key)).second) {
        throw pg::Error("two rows make the same series of " + family.name, "",
                        "");
      }
    }
  }
}

size_t SeriesIn(const std::vector<MetricFamily>& families) {
  size_t series = 0;
  for (const auto& family : families) {
    if (family.type != MetricType::Histogram) {
      series += family.metric.size();
      continue;
    }
    for (const auto& sample : family.metric) {
      series += sample.histogram.bucket.size() + 2;
    }
  }
  return series;
}

}  // namespace meshhook
