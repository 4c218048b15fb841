// SPDX-License-Identifier: MIT
// From rows to metric families.
#pragma once

#include <prometheus/metric_family.h>

#include <vector>

#include "exporter/collector.h"
#include "exporter/pg.h"
#include "exporter/selection.h"

namespace meshhook {

// One sample for each chosen row and value that is not NULL, and one `other`
// for each additive metric where rows were cut; metrics of one name make one
// family. Throws pg::Error when the rows lack a column that the collector
// names, or a value is not a number.
std::vector<prometheus::MetricFamily> ToFamilies(const Collector& collector,
                                                 const pg::Result& rows,
                                                 const Choice& choice);

// Adds the samples of a collector in one more database.
void Merge(std::vector<prometheus::MetricFamily> more,
           std::vector<prometheus::MetricFamily>& families);

// Two rows with the same labels would make Prometheus refuse the whole page.
// Throws pg::Error.
void RefuseDuplicates(const std::vector<prometheus::MetricFamily>& families);

// As Prometheus counts them: a histogram is one for each bucket and two more.
size_t SeriesIn(const std::vector<prometheus::MetricFamily>& families);

}  // namespace meshhook
