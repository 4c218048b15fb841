// SPDX-License-Identifier: MIT
// Collectors that an operator writes in YAML; docs/custom-collectors.md.
#pragma once

#include <string>
#include <vector>

#include "exporter/collector.h"
#include "exporter/custom/fields.h"
#include "exporter/errors.h"

namespace meshhook {

struct CustomCollectors {
  std::vector<Collector> collectors;  // the good ones
  // Why the others, or whole files, are refused: up to 20 a file, and the
  // number of the rest.
  std::vector<FileFault> faults;
  std::vector<std::string> refused;  // names of those others, where they have
  // What works but is better done otherwise.
  std::vector<FileFault> advice;
};

// Reads the files in this order; of two that have a name the first keeps it.
CustomCollectors ReadCustomCollectors(const std::vector<std::string>& files,
                                      const std::vector<Collector>& built_in);

// Thrown where faults are not to be skipped; what() has all of them.
class InvalidCollectors : public UsageError {
 public:
  explicit InvalidCollectors(std::vector<FileFault> faults);
  const std::vector<FileFault>& faults() const { return faults_; }

 private:
  std::vector<FileFault> faults_;
};

// The same for the text of one file.
CustomCollectors ParseCustomCollectors(const std::string& file,
                                       const std::string& text,
                                       const std::vector<Collector>& built_in);

}  // namespace meshhook
