// SPDX-License-Identifier: MIT
// When to try again after a failure: soon at first, then ever more rarely, and
// never in step with others.
#pragma once

#include <algorithm>
#include <chrono>
#include <random>

namespace meshhook {

// Not thread-safe.
class Backoff {
 public:
  using Clock = std::chrono::steady_clock;

  // Of up to `first` after one failure, and twice that after each more.
  explicit Backoff(std::chrono::milliseconds most,
                   std::chrono::milliseconds first = kFirst)
      : first_(first), most_(most) {}

  bool Waiting(Clock::time_point now) const { return now < retry_at_; }
  // The distant past while nothing has failed.
  Clock::time_point retry_at() const { return retry_at_; }

  void Failed(Clock::time_point now) {
    std::uniform_real_distribution<> share(0.5, 1.0);
    retry_at_ = now + std::chrono::duration_cast<Clock::duration>(
                          delay_ * share(random_));
    delay_ = std::min(delay_ * 2, most_);
  }

  void Succeeded() {
    delay_ = first_;
    retry_at_ = {};
  }

 private:
  static constexpr std::chrono::milliseconds kFirst{500};

  std::chrono::milliseconds first_;
  std::chrono::milliseconds most_;
  std::chrono::milliseconds delay_ = first_;
  Clock::time_point retry_at_{};
  std::minstd_rand random_{std::random_device{}()};
};

}  // namespace meshhook
