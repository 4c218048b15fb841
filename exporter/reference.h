// SPDX-License-Identifier: MIT
// The reference of all metrics, made from what publishes them.
#pragma once

#include <string>
#include <vector>

#include "exporter/collector.h"

namespace meshhook {

// A Markdown page: a section for each collector, with what it may be told and a
// table of its metrics, and one for the exporter itself.
std::string MetricsReference(const std::vector<Collector>& collectors);

}  // namespace meshhook
