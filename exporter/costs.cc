// SPDX-License-Identifier: MIT
#include "exporter/costs.h"

namespace meshhook {

void Costs::NoteTime(std::chrono::nanoseconds server_time) {
  const std::lock_guard lock(mutex_);
  server_time_ += server_time;
}

void Costs::NoteTime(const std::string& collector,
                     std::chrono::nanoseconds server_time) {
  const std::lock_guard lock(mutex_);
  costs_[collector].server_time += server_time;
}

void Costs::NoteFailure(const std::string& collector,
                        const std::string& sqlstate) {
  const std::lock_guard lock(mutex_);
  ++costs_[collector].failures[sqlstate.empty() ? "08" : sqlstate.substr(0, 2)];
}

void Costs::NoteCacheHit(const std::string& collector) {
  const std::lock_guard lock(mutex_);
  ++costs_[collector].cache_hits;
}

std::map<std::string, Cost> Costs::ByCollector() const {
  const std::lock_guard lock(mutex_);
  return costs_;
}

std::chrono::nanoseconds Costs::server_time() const {
  const std::lock_guard lock(mutex_);
  return server_time_;
}

}  // namespace meshhook
