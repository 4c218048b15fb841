// SPDX-License-Identifier: MIT
// The exporter's metrics about itself, as data: one table of what there is,
// from which both the page and the reference are made.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "exporter/collector.h"
#include "exporter/family.h"

namespace meshhook {

struct SelfMetric {
  std::string name;
  prometheus::MetricType type;
  std::string help;
  std::vector<std::string> labels;
};

const std::vector<SelfMetric>& SelfMetrics();

// Samples of them, gathered by name.
class SelfSamples {
 public:
  SelfSamples();

  // Throws std::logic_error for a name that is not in the table. Label values
  // in the table's order.
  void Add(std::string_view name, double value,
           const std::vector<std::string>& label_values = {});

  // CPU, memory and files of this process, as far as /proc tells; and what was
  // built.
  void AddProcess();

  const std::vector<Family>& families() const { return families_; }

 private:
  std::vector<Family> families_;
};

}  // namespace meshhook
