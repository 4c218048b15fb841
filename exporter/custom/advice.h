// SPDX-License-Identifier: MIT
// What works in a custom collector but is better done otherwise.
#pragma once

#include "exporter/collector.h"
#include "exporter/custom/fields.h"
#include "exporter/custom/yaml.h"

namespace meshhook {

// As `promtool check metrics` sees it. `node` is what the collector was read
// from.
void Advise(const yaml::Node& node, const Collector& collector, Faults& advice);

}  // namespace meshhook
