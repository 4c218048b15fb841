// SPDX-License-Identifier: MIT
// The two formats of a page: Prometheus' text, version 0.0.4, and OpenMetrics
// 1.0.
//
// prometheus-cpp has a serializer for its model too, of the first alone; this
// one exists for what that cannot do: it writes `le` as Prometheus 3 does
// ("30.0"), escapes HELP, repairs invalid UTF-8, and prints the shortest number
// that reads back exactly.
//
// A sample has the same name in both, whatever OpenMetrics thinks of it: what
// OpenMetrics would have renamed or refused for its type is `unknown` there.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "exporter/family.h"

namespace meshhook {

enum class Format { kText, kOpenMetrics };

// As the TYPE line of the text format says it.
std::string_view TypeName(prometheus::MetricType type);

// Whether Prometheus takes it for the name of a metric.
bool IsMetricName(std::string_view name);

// All names that a family of that name takes on a page of either format. No
// other family of the page may take one of them.
std::vector<std::string> NamesOf(const std::string& name,
                                 prometheus::MetricType type);

// Appends the families to the page; a family without samples leaves no trace.
void Append(const std::vector<Family>& families, Format format,
            std::string& page);

}  // namespace meshhook
