// SPDX-License-Identifier: MIT
// From rows to metric families.
#pragma once

#include <prometheus/metric_family.h>

#include <vector>

#include "exporter/collector.h"
#include "exporter/pg.h"

namespace meshhook {

// One sample for each row and value that is not NULL; metrics of one name make
// one family. Throws pg::Error when the rows lack a column that the collector
// names, when a value is not a number, or when two rows make the same series.
std::vector<prometheus::MetricFamily> ToFamilies(const Collector& collector,
                                                 const pg::Result& rows);

}  // namespace meshhook
