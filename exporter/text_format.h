// SPDX-License-Identifier: MIT
// The Prometheus text format, version 0.0.4.
//
// prometheus-cpp has a serializer for its model too; this one exists for what
// that cannot do: it writes `le` as a float ("30.0", the same on Prometheus 2
// and 3), escapes HELP, repairs invalid UTF-8, and prints the shortest number
// that reads back exactly.
#pragma once

#include <prometheus/metric_family.h>

#include <string>
#include <string_view>
#include <vector>

namespace meshhook {

inline constexpr std::string_view kTextFormat =
    "text/plain; version=0.0.4; charset=utf-8";

// As the TYPE line says it.
std::string_view TypeName(prometheus::MetricType type);

// Whether Prometheus takes it for the name of a metric.
bool IsMetricName(std::string_view name);

// Appends the families to the page; a family without samples leaves no trace.
void AppendText(const std::vector<prometheus::MetricFamily>& families,
                std::string& page);

}  // namespace meshhook
