// SPDX-License-Identifier: MIT
#include "exporter/families.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <functional>
#include <iterator>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>

#include "exporter/text_format.h"
#include "exporter/utf8.h"

namespace meshhook {
namespace {

using prometheus::ClientMetric;
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
  int created_column;
  // Of exemplars.
  int label_column;
  int value_column;
  int time_column;
  std::vector<LabelColumn> labels;
};

int Find(const pg::Result& rows, const std::string& column) {
  const int index = rows.Column(column);
  if (index < 0) {
    throw pg::Error("the query has no column \"" + column + "\"", "", "");
  }
  return index;
}

// -1 for a column that the metric does without.
int FindNamed(const pg::Result& rows, const std::string& column) {
  return column.empty() ? -1 : Find(rows, column);
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

// The elements of an array as PostgreSQL prints it: {1,2,3}.
std::vector<std::string_view> Elements(std::string_view text) {
  std::vector<std::string_view> elements;
  if (text.size() <= 2) return elements;
  text = text.substr(1, text.size() - 2);
  while (true) {
    const size_t comma = text.find(',');
    elements.push_back(text.substr(0, comma));
    if (comma == std::string_view::npos) return elements;
    text.remove_prefix(comma + 1);
  }
}

std::vector<double> Numbers(std::string_view text) {
  std::vector<double> numbers;
  for (const auto element : Elements(text)) numbers.push_back(Number(element));
  return numbers;
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
  if (std::adjacent_find(upper.begin(), upper.end(),
                         [](double a, double b) { return !(a < b); }) !=
          upper.end() ||
      (!upper.empty() && !std::isfinite(upper.back()))) {
    throw pg::Error("a histogram's bounds do not rise, or are not finite", "",
                    "");
  }
  if (!std::is_sorted(cumulative.begin(), cumulative.end())) {
    throw pg::Error("a histogram's counts are not cumulative", "", "");
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

// What OpenMetrics says beyond a sample; NULL is nothing to say.
Detail DetailOf(const pg::Result& rows, int row, const Bound& bound) {
  Detail detail;
  const auto cell = [&](int column) {
    return column < 0 ? std::nullopt : rows.Get(row, column);
  };
  if (const auto created = cell(bound.created_column)) {
    detail.created = Number(*created);
  }
  const auto labels = cell(bound.label_column);
  const auto values = cell(bound.value_column);
  const auto times = cell(bound.time_column);
  if (!labels || !values || !times) return detail;
  const auto& name = bound.metric->exemplars->label;
  const auto label_values = Elements(*labels);
  const auto numbers = Numbers(*values);
  const auto at = Numbers(*times);
  if (numbers.size() != label_values.size() ||
      at.size() != label_values.size()) {
    throw pg::Error("the arrays of exemplars differ in length", "", "");
  }
  for (size_t i = 0; i < numbers.size(); ++i) {
    constexpr size_t kLongest = 128;  // as OpenMetrics wants it
    if (name.size() + label_values[i].size() > kLongest) {
      throw pg::Error("an exemplar's label is too long", "", "");
    }
    detail.exemplars.push_back(
        {name, RepairedUtf8(label_values[i]), numbers[i], at[i]});
  }
  return detail;
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
  std::vector<Family> all;
  std::unordered_map<std::string, size_t> by_name;

  size_t At(const std::string& name, const Metric& metric) {
    const auto [place, added] = by_name.emplace(name, all.size());
    if (!added) {
      if (all[place->second].type != metric.type) {
        throw pg::Error("metric " + name + " has two types", "", "");
      }
      return place->second;
    }
    // Prometheus would refuse the whole page for one that it does not take.
    if (!IsMetricName(name)) {
      throw pg::Error("not a name for a metric: \"" + name + "\"", "", "");
    }
    all.push_back({{name, metric.help, metric.type, {}}});
    return place->second;
  }
};

// What tells a sample from the others of its family.
void SetKey(const ClientMetric& sample, std::string& key) {
  key.clear();
  for (const auto& label : sample.label) {
    key.append(label.name).append(1, '\0');
    key.append(label.value).append(1, '\0');
  }
}

template <typename T>
void Move(std::vector<T>& more, std::vector<T>& all) {
  all.insert(all.end(), std::make_move_iterator(more.begin()),
             std::make_move_iterator(more.end()));
}

}  // namespace

std::vector<Family> ToFamilies(const Collector& collector,
                               const pg::Result& rows, const Choice& choice) {
  std::vector<Bound> bound;
  for (const auto& metric : collector.metrics) {
    const bool histogram = metric.type == MetricType::Histogram;
    const auto exemplars = metric.exemplars.value_or(ExemplarColumns{});
    bound.push_back(
        {.metric = &metric,
         .column = Find(rows, metric.column),
         .bounds_column = histogram ? Find(rows, metric.bounds_column) : -1,
         .sum_column = histogram ? Find(rows, metric.sum_column) : -1,
         .name_column = FindNamed(rows, metric.name_column),
         .created_column = FindNamed(rows, metric.created_column),
         .label_column = FindNamed(rows, exemplars.label_column),
         .value_column = FindNamed(rows, exemplars.value_column),
         .time_column = FindNamed(rows, exemplars.time_column),
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
  for (auto& family : families.all) family.metric.reserve(choice.kept.size());
  for (const int row : choice.kept) {
    for (size_t i = 0; i < bound.size(); ++i) {
      const auto& metric = bound[i];
      ClientMetric sample;
      if (!Fill(rows, row, metric, sample)) continue;
      sample.label.reserve(metric.labels.size() + metric.metric->labels.size());
      for (const auto& label : metric.labels) {
        sample.label.push_back(
            {label.name,
             RepairedUtf8(rows.Get(row, label.column).value_or(""))});
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
      if (metric.created_column >= 0 || metric.label_column >= 0) {
        auto& details = families.all[family].details;
        details.resize(families.all[family].metric.size());
        details.back() = DetailOf(rows, row, metric);
      }
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

void Merge(std::vector<Family> more, std::vector<Family>& families) {
  for (auto& family : more) {
    const auto same = std::find_if(
        families.begin(), families.end(),
        [&family](const auto& known) { return known.name == family.name; });
    if (same == families.end()) {
      families.push_back(std::move(family));
    } else {
      if (same->type != family.type) {
        throw pg::Error("metric " + family.name + " has two types", "", "");
      }
      if (!family.details.empty()) {
        same->details.resize(same->metric.size());
        Move(family.details, same->details);
      }
      Move(family.metric, same->metric);
    }
  }
}

void RefuseDuplicates(const std::vector<Family>& families) {
  std::string key;
  std::vector<size_t> hashes;
  for (const auto& family : families) {
    hashes.clear();
    for (const auto& sample : family.metric) {
      SetKey(sample, key);
      hashes.push_back(std::hash<std::string>{}(key));
    }
    std::sort(hashes.begin(), hashes.end());
    if (std::adjacent_find(hashes.begin(), hashes.end()) == hashes.end()) {
      continue;
    }
    // Almost certainly, but two keys may have the same hash.
    std::unordered_set<std::string> seen;
    for (const auto& sample : family.metric) {
      SetKey(sample, key);
      if (!seen.insert(key).second) {
        throw pg::Error("two rows make the same series of " + family.name, "",
                        "");
      }
    }
  }
}

size_t SeriesIn(const std::vector<Family>& families) {
  size_t series = 0;
  for (const auto& family : families) {
    for (const auto& detail : family.details) series += detail.created ? 1 : 0;
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

size_t Cut(std::vector<Family>& families, size_t most) {
  const size_t all = SeriesIn(families);
  if (all <= most) return 0;
  for (auto& family : families) {
    const size_t left = family.metric.size() * most / all;
    family.metric.resize(left);
    if (family.details.size() > left) family.details.resize(left);
  }
  return all - SeriesIn(families);
}

}  // namespace meshhook
