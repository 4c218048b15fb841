// SPDX-License-Identifier: MIT
// Who has which name, so that no two collectors publish the same.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "exporter/collector.h"
#include "exporter/custom/fields.h"
#include "exporter/custom/yaml.h"

namespace meshhook {

class Names {
 public:
  // Those collectors and the exporter itself have theirs.
  explicit Names(const std::vector<Collector>& built_in);

  // Adds a fault for each name that another has already.
  void Check(const yaml::Node& node, const Collector& collector,
             Faults& faults) const;

  // From now on they are that collector's; `where` is for messages.
  void Take(const Collector& collector, const std::string& where);

 private:
  // "" where nobody has a name that the metric would publish.
  std::string OwnerOf(const Metric& metric) const;

  std::map<std::string, std::string> collectors_;  // name → whose
  std::map<std::string, std::string> series_;      // name → whose
  std::map<std::string, std::string> beginnings_;  // what names begin with
};

}  // namespace meshhook
