// SPDX-License-Identifier: MIT
// What postgres_exporter.txt promises.
#pragma once

#include <algorithm>
#include <fstream>
#include <set>
#include <sstream>
#include <string>
#include <vector>

namespace test {

struct Promise {
  std::string name;
  std::string type;
  std::set<std::string> labels;
  int oldest = 0;  // the servers that have it, as in 17
  int newest = 1'000;

  bool HoldsFor(int server_version_num) const {
    const int version = server_version_num / 10'000;
    return version >= oldest && version <= newest;
  }
};

inline std::vector<Promise> Promises() {
  std::vector<Promise> promises;
  std::ifstream file(MESHHOOK_SOURCE "/tests/contract/postgres_exporter.txt");
  for (std::string line; std::getline(file, line);) {
    if (line.empty() || line[0] == '#') continue;
    std::istringstream words(line);
    Promise promise;
    std::string labels;
    std::string servers;
    words >> promise.name >> promise.type >> labels >> servers;
    std::istringstream list(labels == "-" ? "" : labels);
    for (std::string label; std::getline(list, label, ',');) {
      promise.labels.insert(label);
    }
    if (servers == "none") promise.newest = 0;
    if (servers.starts_with(">="))
      promise.oldest = std::stoi(servers.substr(2));
    if (servers.starts_with("<")) {
      promise.newest = std::stoi(servers.substr(1)) - 1;
    }
    promises.push_back(std::move(promise));
  }
  return promises;
}

}  // namespace test
