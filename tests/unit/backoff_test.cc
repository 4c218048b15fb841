// SPDX-License-Identifier: MIT
#include "exporter/backoff.h"

#include <gtest/gtest.h>

#include <vector>

namespace {

using namespace std::chrono_literals;
using meshhook::Backoff;

TEST(Backoff, WaitsLongerAfterEachFailureUpToItsMost) {
  Backoff backoff(4s);
  const auto now = Backoff::Clock::now();
  EXPECT_FALSE(backoff.Waiting(now));
  for (const auto most : {500ms, 1000ms, 2000ms, 4000ms, 4000ms}) {
    backoff.Failed(now);
    EXPECT_TRUE(backoff.Waiting(now + most / 2 - 1ms));
    EXPECT_FALSE(backoff.Waiting(now + most));
  }
}

// As when a server that fifty exporters watch goes and comes back.
TEST(Backoff, IsNeverInStepWithOthers) {
  constexpr int kExporters = 50;
  const auto now = Backoff::Clock::now();
  std::vector<std::chrono::milliseconds> retries;
  for (int i = 0; i < kExporters; ++i) {
    Backoff backoff(8s);
    for (int failure = 0; failure < 6; ++failure) backoff.Failed(now);
    retries.push_back(std::chrono::duration_cast<std::chrono::milliseconds>(
        backoff.retry_at() - now));
  }
  // A second of the four that they are spread over has a quarter of them, and
  // never nearly all.
  for (const auto first : retries) {
    EXPECT_LT(std::count_if(
                  retries.begin(), retries.end(),
                  [&](auto one) { return first <= one && one < first + 1s; }),
              kExporters * 3 / 5);
  }
  const auto [soonest, latest] =
      std::minmax_element(retries.begin(), retries.end());
  EXPECT_GT(*latest - *soonest, 2s);
}

TEST(Backoff, StartsOverAfterASuccess) {
  Backoff backoff(4s);
  const auto now = Backoff::Clock::now();
  for (int i = 0; i < 5; ++i) backoff.Failed(now);
  backoff.Succeeded();
  EXPECT_FALSE(backoff.Waiting(now));
  backoff.Failed(now);
  EXPECT_FALSE(backoff.Waiting(now + 500ms));
}

}  // namespace
