// SPDX-License-Identifier: MIT
// What holds for the values of one custom collector, whatever the others are.
#pragma once

#include <string>

#include "exporter/collector.h"
#include "exporter/custom/fields.h"
#include "exporter/custom/yaml.h"

namespace meshhook {

// Adds what the engine or Prometheus would refuse. `node` is what the collector
// was read from; what it lacks is no concern of these rules.
void CheckValues(const yaml::Node& node, const Collector& collector,
                 Faults& faults);

// "collector orders", and "collector orders, metric shop_orders".
std::string ContextOf(const Collector& collector);
std::string ContextOf(const Collector& collector, const Metric& metric);

}  // namespace meshhook
