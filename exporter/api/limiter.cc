// SPDX-License-Identifier: MIT
#include "exporter/api/limiter.h"

#include <algorithm>
#include <cmath>

namespace meshhook::api {
namespace {

constexpr size_t kMostCallers = 10'000;

}  // namespace

Limiter::Limiter(double per_second)
    : per_second_(per_second), most_(std::max(1.0, 2 * per_second)) {}

double Limiter::Filled(const Bucket& bucket, Clock::time_point now) const {
  const std::chrono::duration<double> since = now - bucket.at;
  return std::min(most_, bucket.requests + since.count() * per_second_);
}

int Limiter::SecondsToWait(const std::string& caller, Clock::time_point now) {
  const std::lock_guard lock(mutex_);
  if (buckets_.size() >= kMostCallers && !buckets_.contains(caller)) {
    ForgetSome(now);
  }
  auto& bucket = buckets_.try_emplace(caller, Bucket{most_, now}).first->second;
  bucket = {Filled(bucket, now), now};
  if (bucket.requests < 1) {
    return std::max(
        1, static_cast<int>(std::ceil((1 - bucket.requests) / per_second_)));
  }
  bucket.requests -= 1;
  return 0;
}

void Limiter::ForgetSome(Clock::time_point now) {
  std::erase_if(buckets_, [&](const auto& known) {
    return Filled(known.second, now) >= most_;
  });
  // All of them asked just now; whoever is forgotten has a full bucket again.
  if (buckets_.size() >= kMostCallers) buckets_.erase(buckets_.begin());
}

}  // namespace meshhook::api
