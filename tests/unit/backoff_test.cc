// SPDX-License-Identifier: MIT
#include "exporter/backoff.h"

#include <gtest/gtest.h>

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
