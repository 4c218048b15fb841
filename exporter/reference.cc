// SPDX-License-Identifier: MIT
#include "exporter/reference.h"

#include <fmt/format.h>

#include "exporter/self_metrics.h"
#include "exporter/text_format.h"

namespace meshhook {
namespace {

using prometheus::MetricType;

std::string Row(const std::string& name, MetricType type,
                const std::vector<std::string>& labels,
                const std::string& collector, const std::string& help) {
  std::string list;
  for (const auto& label : labels) {
    list += (list.empty() ? "`" : ", `") + label + "`";
  }
  return fmt::format("| `{}` | {} | {} | {} | {} |\n", name, TypeName(type),
                     list, collector, help);
}

}  // namespace

std::string MetricsReference(const std::vector<Collector>& collectors) {
  std::string table =
      "| Metric | Type | Labels | Collector | Help |\n"
      "|---|---|---|---|---|\n";
  for (const auto& collector : collectors) {
    std::string previous;
    for (const auto& metric : collector.metrics) {
      if (metric.name == previous) continue;
      previous = metric.name;
      auto labels = metric.label_columns.value_or(collector.labels);
      for (const auto& label : metric.labels) labels.push_back(label.name);
      table += Row(
          metric.name + (metric.name_column.empty() ? "" : "…"), metric.type,
          labels, collector.name + (collector.on ? "" : " (off)"), metric.help);
    }
  }
  for (const auto& metric : SelfMetrics()) {
    table += Row(metric.name, metric.type, metric.labels, "the exporter itself",
                 metric.help);
  }
  return table;
}

}  // namespace meshhook
