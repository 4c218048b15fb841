// SPDX-License-Identifier: MIT
#include "exporter/custom/names.h"

#include <algorithm>

#include "exporter/custom/rules.h"
#include "exporter/self_metrics.h"
#include "exporter/text_format.h"

namespace meshhook {
namespace {

// The metric before this one, of another name, that takes a name of the same.
const Metric* RivalOf(const Collector& collector, size_t index) {
  const Metric& metric = collector.metrics[index];
  const auto names = NamesOf(metric.name, metric.type);
  for (size_t i = 0; i < index; ++i) {
    const Metric& other = collector.metrics[i];
    if (other.name == metric.name) continue;
    for (const auto& name : NamesOf(other.name, other.type)) {
      if (std::find(names.begin(), names.end(), name) != names.end()) {
        return &other;
      }
    }
  }
  return nullptr;
}

}  // namespace

Names::Names(const std::vector<Collector>& built_in) {
  for (const auto& metric : SelfMetrics()) {
    for (const auto& series : NamesOf(metric.name, metric.type)) {
      series_.emplace(series, "the exporter itself");
    }
  }
  // The engine's own.
  collectors_.emplace("discovery", "the exporter itself");
  for (const auto& collector : built_in) Take(collector, "built in");
}

void Names::Take(const Collector& collector, const std::string& where) {
  collectors_.emplace(collector.name, where);
  const auto owner = "collector " + collector.name + ", " + where;
  for (const auto& metric : collector.metrics) {
    if (!metric.name_column.empty()) beginnings_.emplace(metric.name, owner);
    for (const auto& series : NamesOf(metric.name, metric.type)) {
      series_.emplace(series, owner);
    }
  }
}

std::string Names::OwnerOf(const Metric& metric) const {
  for (const auto& [beginning, owner] : beginnings_) {
    if (metric.name.starts_with(beginning)) return owner;
  }
  if (!metric.name_column.empty()) {
    const auto next = series_.lower_bound(metric.name);
    return next != series_.end() && next->first.starts_with(metric.name)
               ? next->second
               : "";
  }
  for (const auto& series : NamesOf(metric.name, metric.type)) {
    if (const auto taken = series_.find(series); taken != series_.end()) {
      return taken->second;
    }
  }
  return "";
}

void Names::Check(const yaml::Node& node, const Collector& collector,
                  Faults& faults) const {
  if (const auto taken = collectors_.find(collector.name);
      taken != collectors_.end()) {
    faults.In(ContextOf(collector));
    faults.Add(LineOf(node, "name"),
               "another collector has this name: " + taken->second,
               "choose another name");
  }
  const auto nodes = ItemsOf(node, "metrics", yaml::Kind::kMap);
  for (size_t i = 0; i < collector.metrics.size(); ++i) {
    auto owner = OwnerOf(collector.metrics[i]);
    if (const auto* rival = RivalOf(collector, i)) {
      owner = "metric " + Quoted(rival->name);
    }
    if (owner.empty()) continue;
    faults.In(ContextOf(collector, collector.metrics[i]));
    faults.Add(LineOf(nodes[i], "name"), "this name has " + owner,
               "choose another name");
  }
  faults.In("");
}

}  // namespace meshhook
