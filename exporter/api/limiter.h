// SPDX-License-Identifier: MIT
// How often one caller may ask: a bucket of requests that fills again steadily.
#pragma once

#include <chrono>
#include <mutex>
#include <string>
#include <unordered_map>

namespace meshhook::api {

// Thread-safe. Knows a bounded number of callers: one that has not asked for
// long is as good as one that never did.
class Limiter {
 public:
  using Clock = std::chrono::steady_clock;

  // A caller may ask for two seconds' worth at once.
  explicit Limiter(double per_second);

  // 0, or in how many seconds the caller may ask again.
  int SecondsToWait(const std::string& caller, Clock::time_point now);

 private:
  struct Bucket {
    double requests;
    Clock::time_point at;
  };

  double Filled(const Bucket& bucket, Clock::time_point now) const;
  void ForgetSome(Clock::time_point now);

  const double per_second_;
  const double most_;
  std::mutex mutex_;
  std::unordered_map<std::string, Bucket> buckets_;
};

}  // namespace meshhook::api
