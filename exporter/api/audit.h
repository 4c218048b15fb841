// SPDX-License-Identifier: MIT
// Who looked at what: every access to the data, in metrics.api_audit and in the
// log. Never a token, never a payload.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "exporter/api/pool.h"

namespace meshhook::api {

struct Access {
  std::chrono::system_clock::time_point at;
  std::string subject;
  std::string role;
  std::string method;
  std::string endpoint;  // the path's template
  std::string scope;     // the project or workflow asked for, or ""
  int status;
  std::chrono::microseconds took;
};

// Thread-safe. A thread of its own writes what others note, so that no answer
// waits for it; while the database is away it keeps a bounded number of them.
class Audit {
 public:
  explicit Audit(Pool& pool);
  // Tries once more to write what is left.
  ~Audit();
  Audit(const Audit&) = delete;
  Audit& operator=(const Audit&) = delete;

  void Note(Access access);

  // Accesses that will not be in the table; the very last of a flood are not in
  // the log either.
  std::uint64_t lost() const;

 private:
  void Loop();
  void Write(const std::vector<Access>& batch);
  // Keeps for later what could not be written.
  void PutBack(std::vector<Access> batch);

  Pool& pool_;
  mutable std::mutex mutex_;
  std::condition_variable noted_;
  std::deque<Access> accesses_;  // not yet logged
  std::deque<Access> unwritten_;
  std::uint64_t lost_ = 0;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace meshhook::api
