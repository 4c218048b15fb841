// SPDX-License-Identifier: MIT
// The reference of all metrics, made from what publishes them.
#pragma once

#include <string>
#include <vector>

#include "exporter/collector.h"

namespace meshhook {

// A Markdown table: metric, type, labels, collector, help.
std::string MetricsReference(const std::vector<Collector>& collectors);

}  // namespace meshhook
