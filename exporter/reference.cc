// SPDX-License-Identifier: MIT
#include "exporter/reference.h"

#include <fmt/format.h>

#include "exporter/self_metrics.h"
#include "exporter/text_format.h"

namespace meshhook {
namespace {

using prometheus::MetricType;

constexpr auto kTableHead =
    "\n| Metric | Type | Labels | Help |\n|---|---|---|---|\n";

std::string Row(const std::string& name, MetricType type,
                const std::vector<std::string>& labels,
                const std::string& help) {
  std::string list;
  for (const auto& label : labels) {
    list += (list.empty() ? "`" : ", `") + label + "`";
  }
  return fmt::format("| `{}` | {} | {} | {} |\n", name, TypeName(type), list,
                     help);
}

std::string Sentence(std::string text) {
  text[0] =
      static_cast<char>(std::toupper(static_cast<unsigned char>(text[0])));
  return text + ".";
}

// Where it runs, and what it may be told.
std::string Terms(const Collector& collector) {
  const auto flag = "--collector." + collector.name;
  std::string terms;
  if (!collector.on) terms += " Off; `" + flag + "` switches it on.";
  if (collector.scope == Scope::kDatabase) terms += " In every database.";
  if (!collector.extension.empty()) {
    terms += " Needs the extension " + collector.extension + ".";
  }
  if (collector.min_server_version > 0) {
    terms += fmt::format(" Since PostgreSQL {}.",
                         collector.min_server_version / 10'000);
  }
  if (!collector.needs.absent.empty()) {
    terms += " Silent where " + collector.needs.absent + ".";
  }
  if (collector.interval.count() > 0) {
    terms += fmt::format(" Asked every {} seconds at most.",
                         collector.interval.count());
  }
  if (collector.limit.rows > 0) {
    terms +=
        fmt::format(" The {} rows of greatest `{}` have series: `{}.limit`.",
                    collector.limit.rows, collector.limit.rank, flag);
  }
  for (const auto& setting : collector.settings) {
    terms += fmt::format("\n- `{}.{}` ({}): {}", flag, setting.name,
                         setting.value.empty() ? "empty" : setting.value,
                         setting.help);
  }
  return terms;
}

std::string Section(const Collector& collector) {
  std::string section =
      fmt::format("\n## {}\n\n{}{}\n{}", collector.name,
                  Sentence(collector.summary), Terms(collector), kTableHead);
  std::string previous;
  for (const auto& metric : collector.metrics) {
    if (metric.name == previous) continue;
    previous = metric.name;
    auto labels = metric.label_columns.value_or(collector.labels);
    for (const auto& label : metric.labels) labels.push_back(label.name);
    section += Row(metric.name + (metric.name_column.empty() ? "" : "…"),
                   metric.type, labels, metric.help);
  }
  return section;
}

}  // namespace

std::string MetricsReference(const std::vector<Collector>& collectors) {
  std::string page =
      "# Metrics\n\n"
      "Every metric, by the collector that publishes it. `--no-collector.NAME` "
      "switches one off;\n`meshhook-exporter explain NAME` shows its SQL and "
      "what that costs on your server.\n";
  for (const auto& collector : collectors) page += Section(collector);
  page += std::string("\n## The exporter itself\n") + kTableHead;
  for (const auto& metric : SelfMetrics()) {
    page += Row(metric.name, metric.type, metric.labels, metric.help);
  }
  return page;
}

}  // namespace meshhook
