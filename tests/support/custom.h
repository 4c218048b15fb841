// SPDX-License-Identifier: MIT
// Files of collectors, and what is said of them.
#pragma once

#include <string>

#include "collectors/all.h"
#include "exporter/custom/collectors.h"

namespace test {

inline meshhook::CustomCollectors Parse(const std::string& text) {
  return meshhook::ParseCustomCollectors("f.yml", text,
                                         meshhook::collectors::All());
}

// Each fault on a line of its own.
inline std::string FaultsOf(const std::string& text) {
  std::string lines;
  for (const auto& fault : Parse(text).faults) lines += Text(fault) + "\n";
  return lines;
}

// A collector that is good, with other lines of its own behind it.
inline std::string Good(const std::string& more) {
  return "collectors:\n"
         "- name: a\n"
         "  query: SELECT 1 AS v, 2 AS l\n"
         "  metrics: [{name: app_v, type: gauge, help: A., column: v}]\n" +
         more;
}

}  // namespace test
