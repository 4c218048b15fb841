// SPDX-License-Identifier: MIT
// prometheus-cpp's family of metrics, with what OpenMetrics says beyond it.
#pragma once

#include <prometheus/metric_family.h>

#include <optional>
#include <string>
#include <vector>

namespace meshhook {

// One of the things that a histogram counted. It belongs to the bucket that its
// value falls into.
struct Exemplar {
  std::string label;
  std::string label_value;
  double value;
  double time;  // Unix time
};

struct Detail {
  std::optional<double> created = {};  // Unix time, when it was 0
  std::vector<Exemplar> exemplars = {};
};

struct Family : prometheus::MetricFamily {
  // Of the first of `metric`; the others have none.
  std::vector<Detail> details = {};
};

}  // namespace meshhook
