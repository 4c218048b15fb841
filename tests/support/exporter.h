// SPDX-License-Identifier: MIT
// The real program, as a child process.
#pragma once

#include <string>
#include <vector>

#include "tests/support/http_client.h"
#include "tests/support/process.h"

namespace test {

// Serves on a port of its own choice from when the constructor returns.
class Exporter : public Process {
 public:
  explicit Exporter(const std::string& url,
                    const std::vector<std::string>& flags = {},
                    Variables variables = {});

  int port() const { return port_; }
  std::string Page() const { return Get(port_, "/metrics").body; }

 private:
  int port_ = 0;
};

}  // namespace test
