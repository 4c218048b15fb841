// SPDX-License-Identifier: MIT
// The common kinds of metric in a line each.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "exporter/collector.h"

namespace meshhook::collectors {

inline Metric Gauge(std::string name, std::string help, std::string column) {
  return {.name = std::move(name),
          .type = prometheus::MetricType::Gauge,
          .help = std::move(help),
          .column = std::move(column)};
}

inline Metric Counter(std::string name, std::string help, std::string column) {
  return {.name = std::move(name),
          .type = prometheus::MetricType::Counter,
          .help = std::move(help),
          .column = std::move(column)};
}

// With label columns of its own.
inline Metric By(std::vector<std::string> label_columns, Metric metric) {
  metric.label_columns = std::move(label_columns);
  return metric;
}

}  // namespace meshhook::collectors
