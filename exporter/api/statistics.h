// SPDX-License-Identifier: MIT
// What the API did, counted for /metrics.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <mutex>
#include <string>

#include "exporter/self_metrics.h"

namespace meshhook::api {

struct OperationStatistics {
  std::map<int, std::uint64_t> requests;  // by status
  double seconds = 0;                     // of all of them
};

struct ServerStatistics {
  std::map<std::string, OperationStatistics> operations;  // by operation
  std::uint64_t audit_lost = 0;
  std::size_t listeners = 0;
};

// As self metrics.
void AddSamples(const ServerStatistics& statistics, SelfSamples& samples);

// Thread-safe.
class StatisticsBook {
 public:
  void Add(const std::string& operation, int status,
           std::chrono::microseconds took) {
    const std::lock_guard lock(mutex_);
    auto& counted = operations_[operation];
    ++counted.requests[status];
    counted.seconds += static_cast<double>(took.count()) / 1e6;
  }
  std::map<std::string, OperationStatistics> operations() const {
    const std::lock_guard lock(mutex_);
    return operations_;
  }

 private:
  mutable std::mutex mutex_;
  std::map<std::string, OperationStatistics> operations_;
};

}  // namespace meshhook::api
