// SPDX-License-Identifier: MIT
#include "exporter/custom/advice.h"

#include <array>

#include "exporter/custom/rules.h"

namespace meshhook {
namespace {

using prometheus::MetricType;
using yaml::Kind;
using yaml::Node;

}  // namespace

void Advise(const Node& node, const Collector& collector, Faults& advice) {
  struct Unit {
    std::string_view wrong;
    const char* right;
  };
  constexpr std::array kUnits{
      Unit{"_ms", "_seconds"},           Unit{"_milliseconds", "_seconds"},
      Unit{"_microseconds", "_seconds"}, Unit{"_minutes", "_seconds"},
      Unit{"_hours", "_seconds"},        Unit{"_days", "_seconds"},
      Unit{"_kilobytes", "_bytes"},      Unit{"_kb", "_bytes"},
      Unit{"_megabytes", "_bytes"},      Unit{"_mb", "_bytes"},
      Unit{"_percent", "_ratio"}};
  const auto& metrics = ItemsOf(node, "metrics", Kind::kMap);
  for (size_t i = 0; i < collector.metrics.size(); ++i) {
    const Metric& metric = collector.metrics[i];
    advice.In(ContextOf(collector, metric));
    const int line = LineOf(metrics[i], "name");
    const bool total = metric.name.ends_with("_total");
    if (metric.type == MetricType::Counter && !total) {
      advice.Add(line, "a counter's name ends in _total",
                 "write name: " + metric.name + "_total");
    }
    if (metric.type == MetricType::Gauge && total) {
      advice.Add(line, "only a counter's name ends in _total",
                 "write type: counter if it never falls, else another name");
    }
    for (const char* end : {"_bucket", "_count", "_sum"}) {
      if (metric.type == MetricType::Histogram || !metric.name.ends_with(end)) {
        continue;
      }
      advice.Add(line, std::string(end) + " is the end of a histogram's series",
                 "choose another name");
    }
    for (const auto& unit : kUnits) {
      if (!metric.name.ends_with(unit.wrong) &&
          !metric.name.ends_with(std::string(unit.wrong) + "_total")) {
        continue;
      }
      advice.Add(line, "the unit is none of Prometheus' base units",
                 std::string("convert it in the query, and end the name in ") +
                     unit.right);
    }
    if (metric.name.find(':') != std::string::npos) {
      advice.Add(line, "names with : are for recording rules",
                 "write _ for it");
    }
  }
  advice.In(ContextOf(collector));
  for (const auto& setting : collector.settings) {
    if (collector.query.find("@" + setting.name + "@") != std::string::npos) {
      continue;
    }
    advice.Add(LineOf(node, "settings"),
               "the query has no @" + setting.name + "@",
               "use the setting there, or remove it");
  }
  advice.In("");
}

}  // namespace meshhook
