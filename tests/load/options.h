// SPDX-License-Identifier: MIT
// What meshhook-load is asked to do on its command line.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace load {

struct Options {
  std::string database_url;  // empty: libpq's own environment
  double rate = 20;          // runs started per second, over all connections
  double duration_scale = 1;
  std::optional<double> seconds;  // none: until a signal
  bool drain = false;             // after `seconds`, wait for runs to finish
  std::uint32_t connections = 4;
  std::uint32_t seed = 1;
  int seed_workflows = 200;
  int projects = 8;
  bool quiet = false;
};

// Ends the process for --help (status 0) and for a mistake (one line, 2).
Options ParseOptions(int argc, char** argv);

}  // namespace load
