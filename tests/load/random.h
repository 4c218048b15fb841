// SPDX-License-Identifier: MIT
// The dice of one worker: the same seed and stream draw the same sequence.
// Not thread-safe.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <random>

namespace load {

class Random {
 public:
  Random(std::uint32_t seed, std::uint32_t stream) {
    std::seed_seq mixed{seed, stream};
    engine_.seed(mixed);
  }

  // At least 0, below 1.
  double Uniform() { return std::uniform_real_distribution<>()(engine_); }

  double Between(double low, double high) {
    return low + (high - low) * Uniform();
  }

  bool Chance(double probability) { return Uniform() < probability; }

  // An index into `size` things.
  std::size_t Below(std::size_t size) {
    return std::uniform_int_distribution<std::size_t>(0, size - 1)(engine_);
  }

  double Exponential(double rate) {
    return std::exponential_distribution<>(rate)(engine_);
  }

  double LogNormal(double median, double sigma) {
    return median * std::exp(sigma * std::normal_distribution<>()(engine_));
  }

 private:
  std::mt19937_64 engine_;
};

}  // namespace load
