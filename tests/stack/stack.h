// SPDX-License-Identifier: MIT
// The real stack, as a test drives it: starts it, asks it, breaks it.
#pragma once

#include <chrono>
#include <map>
#include <string>
#include <thread>
#include <vector>

#include "exporter/pg.h"

namespace test {

// Tries until the condition holds; false when it does not in time.
template <typename Condition>
bool Eventually(std::chrono::steady_clock::time_point deadline,
                Condition condition) {
  while (!condition()) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(200));
  }
  return true;
}
template <typename Condition>
bool Eventually(std::chrono::seconds patience, Condition condition) {
  return Eventually(std::chrono::steady_clock::now() + patience, condition);
}

// Thread-safe, as it holds no state but where things are.
class Stack {
 public:
  // Starts everything in a directory of its own. Throws std::runtime_error
  // with what the launcher said.
  Stack();
  ~Stack();
  Stack(const Stack&) = delete;
  Stack& operator=(const Stack&) = delete;

  // A launcher's command on one part: "kill exporter". Throws when it fails.
  void Do(const std::string& command);
  void Signal(const std::string& part, const std::string& signal);

  // A session of the owner's.
  meshhook::pg::Connection Connect();
  // The first cell of the last result, as the owner. Throws when it fails.
  std::string Sql(const std::string& sql);

  // The value of an instant query that gives one; NaN when it gives none.
  double Query(const std::string& promql);
  // What `promtool check metrics` says of the exporter's page, line by line.
  std::vector<std::string> MetricFaults();
  bool RulesAreHealthy();
  // Does this alert fire with this label value somewhere ("": any)?
  bool Firing(const std::string& alert, const std::string& label_value);
  // The names of all that fire, save this one.
  std::string FiringBut(const std::string& alert);

  // Runs every dashboard's queries; the exit status of the checker.
  int CheckDashboards();

  // Was there a notification that holds all of these, in any letter case?
  bool Notified(const std::string& channel,
                const std::vector<std::string>& parts);
  // A line each: channel and subject.
  std::string Notifications();

 private:
  const std::string& At(const std::string& name) const;

  std::string directory_;
  std::map<std::string, std::string> addresses_;
};

}  // namespace test
