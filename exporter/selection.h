// SPDX-License-Identifier: MIT
// Which rows of a collector with a limit have series.
#pragma once

#include <string>
#include <unordered_set>
#include <vector>

#include "exporter/collector.h"
#include "exporter/pg.h"

namespace meshhook {

struct Choice {
  std::vector<int> kept;  // rows of the result
  std::vector<int> cut;   // those whose sum is the row `other`
  long cut_rows = 0;      // that those stand for
};

// Every row of the result.
Choice All(const pg::Result& rows);

// Remembers which rows had series: one gets them at the rank of the limit and
// keeps them to one and a half times that.
class Selection {
 public:
  // Of the rows that a statement with a limit gave, see statement.h.
  Choice Choose(const Collector& collector, const pg::Result& rows);

 private:
  std::unordered_set<std::string> members_;
};

}  // namespace meshhook
