// SPDX-License-Identifier: MIT
// What the main thread and the workers share. Thread-safe.
#pragma once

#include <atomic>
#include <chrono>
#include <iostream>
#include <map>
#include <mutex>
#include <string>

#include "tests/load/behaviour.h"
#include "tests/load/totals.h"

namespace load {

struct Shared {
  std::atomic<BehaviourPtr> behaviour;
  std::atomic<bool> accepting = true;  // new runs
  std::atomic<int> working = 0;        // workers that are not done
  Totals totals;

  // One line on standard error; the same again within a second is dropped, as
  // all workers meet the same trouble.
  void Say(const std::string& line) {
    const auto now = std::chrono::steady_clock::now();
    const std::lock_guard lock(mutex_);
    std::erase_if(said_, [&](const auto& said) {
      return said.second + std::chrono::seconds(1) < now;
    });
    if (!said_.emplace(line, now).second) return;
    std::cerr << "meshhook-load: " << line << std::endl;
  }

 private:
  std::mutex mutex_;
  std::map<std::string, std::chrono::steady_clock::time_point> said_;
};

}  // namespace load
