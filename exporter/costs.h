// SPDX-License-Identifier: MIT
// What the collectors have cost since the program began.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <mutex>
#include <string>

namespace meshhook {

// Of one collector, in all databases.
struct Cost {
  std::chrono::nanoseconds server_time{0};  // by the server's own clock
  std::uint64_t cache_hits = 0;  // pages with rows that were asked for before
  std::map<std::string, std::uint64_t> failures = {};  // by SQLSTATE class
};

// Thread-safe.
class Costs {
 public:
  // Of any query, a collector's or not.
  void NoteTime(std::chrono::nanoseconds server_time);
  // That much of it was the collector's.
  void NoteTime(const std::string& collector,
                std::chrono::nanoseconds server_time);
  // No SQLSTATE: it was the connection that failed, class 08.
  void NoteFailure(const std::string& collector, const std::string& sqlstate);
  void NoteCacheHit(const std::string& collector);

  std::map<std::string, Cost> ByCollector() const;
  // Of all queries.
  std::chrono::nanoseconds server_time() const;

 private:
  mutable std::mutex mutex_;
  std::map<std::string, Cost> costs_;
  std::chrono::nanoseconds server_time_{0};
};

}  // namespace meshhook
