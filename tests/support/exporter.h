// SPDX-License-Identifier: MIT
// The real program, as a child process.
#pragma once

#include <regex>
#include <stdexcept>
#include <string>
#include <vector>

#include "tests/support/http_client.h"
#include "tests/support/process.h"

namespace test {

// Serves on a port of its own choice from when the constructor returns.
class Exporter : public Process {
 public:
  explicit Exporter(const std::string& url,
                    const std::vector<std::string>& flags = {})
      : Process(Words(flags), {{"DATABASE_URL", url}}) {
    // In logfmt or JSON: port=1234, "port":"1234"
    std::smatch found;
    std::string log;
    const auto serving = [&] {
      log = err();
      return std::regex_search(log, found, std::regex("port\\W+([0-9]+)"));
    };
    if (!Await(serving)) {
      throw std::runtime_error("it does not serve: " + log);
    }
    port_ = std::stoi(found[1]);
  }

  int port() const { return port_; }
  std::string Page() const { return Get(port_, "/metrics").body; }

 private:
  static std::vector<std::string> Words(const std::vector<std::string>& flags) {
    std::vector<std::string> words{MESHHOOK_EXPORTER,
                                   "--web.listen-address=127.0.0.1:0"};
    words.insert(words.end(), flags.begin(), flags.end());
    return words;
  }

  int port_ = 0;
};

}  // namespace test
