// SPDX-License-Identifier: MIT
// From rows to metric families.
#pragma once

#include <vector>

#include "exporter/collector.h"
#include "exporter/family.h"
#include "exporter/pg.h"
#include "exporter/selection.h"

namespace meshhook {

// One sample for each chosen row and value that is not NULL, and one `other`
// for each additive metric where rows were cut; metrics of one name make one
// family. Throws pg::Error when the rows lack a column that the collector
// names, or a value is not a number.
std::vector<Family> ToFamilies(const Collector& collector,
                               const pg::Result& rows, const Choice& choice);

// Adds the samples of a collector in one more database.
void Merge(std::vector<Family> more, std::vector<Family>& families);

// Two rows with the same labels would make Prometheus refuse the whole page.
// Throws pg::Error.
void RefuseDuplicates(const std::vector<Family>& families);

// As Prometheus counts those of OpenMetrics: a histogram is one for each bucket
// and two more, and one is when something began.
size_t SeriesIn(const std::vector<Family>& families);

// Takes every family's last samples away until about that many series are left
// of all; returns how many it took.
size_t Cut(std::vector<Family>& families, size_t most);

}  // namespace meshhook
