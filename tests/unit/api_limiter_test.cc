// SPDX-License-Identifier: MIT
#include <gtest/gtest.h>

#include <random>

#include "exporter/api/limiter.h"

namespace {

using meshhook::api::Limiter;
using namespace std::chrono_literals;

constexpr Limiter::Clock::time_point kStart{1000s};

// How many requests at that time are let through before one is not.
int Burst(Limiter& limiter, const std::string& caller,
          Limiter::Clock::time_point now) {
  for (int i = 0; i < 1000; ++i) {
    if (limiter.SecondsToWait(caller, now) != 0) return i;
  }
  return 1000;
}

TEST(Limiter, LetsTwoSecondsWorthThroughAtOnce) {
  Limiter limiter(10);
  EXPECT_EQ(Burst(limiter, "a", kStart), 20);
  EXPECT_EQ(limiter.SecondsToWait("a", kStart), 1);
}

TEST(Limiter, FillsAgainSteadilyAndNoFurther) {
  Limiter limiter(10);
  Burst(limiter, "a", kStart);
  EXPECT_EQ(Burst(limiter, "a", kStart + 500ms), 5);
  EXPECT_EQ(Burst(limiter, "a", kStart + 1h), 20);
}

TEST(Limiter, CountsEachCallerAlone) {
  Limiter limiter(10);
  Burst(limiter, "a", kStart);
  EXPECT_EQ(Burst(limiter, "b", kStart), 20);
}

TEST(Limiter, LetsOneThroughWhereTheRateIsLessThanOne) {
  Limiter limiter(0.1);
  EXPECT_EQ(Burst(limiter, "a", kStart), 1);
  EXPECT_EQ(limiter.SecondsToWait("a", kStart), 10);
  EXPECT_EQ(limiter.SecondsToWait("a", kStart + 4s), 6);
  EXPECT_EQ(limiter.SecondsToWait("a", kStart + 10s), 0);
}

TEST(Limiter, LetsThroughWhoeverWaitedAsTold) {
  std::mt19937 random(1);
  for (const double rate : {0.3, 1.0, 2.7, 20.0}) {
    Limiter limiter(rate);
    auto now = kStart;
    for (int i = 0; i < 1000; ++i) {
      const int wait = limiter.SecondsToWait("a", now);
      if (wait > 0) {
        now += std::chrono::seconds(wait);
        EXPECT_EQ(limiter.SecondsToWait("a", now), 0) << rate;
      }
      now += std::chrono::milliseconds(random() % 100);
    }
  }
}

TEST(Limiter, IsNeverGenerousToOneCallerOverTime) {
  std::mt19937 random(2);
  Limiter limiter(5);
  int through = 0;
  auto now = kStart;
  while (now < kStart + 60s) {
    through += limiter.SecondsToWait("a", now) == 0 ? 1 : 0;
    now += std::chrono::milliseconds(random() % 40);
  }
  EXPECT_LE(through, 2 * 5 + 60 * 5);
  EXPECT_GE(through, 60 * 5);
}

// It knows 10,000 at most, and forgets those who are as good as new.
TEST(Limiter, RemembersABusyCallerAmongManyThatAskedOnce) {
  Limiter limiter(20);
  Burst(limiter, "busy", kStart);
  for (int i = 0; i < 20'000; ++i) {
    limiter.SecondsToWait(std::to_string(i), kStart + i * 10us);
  }
  EXPECT_EQ(Burst(limiter, "busy", kStart + 200ms), 4);
}

}  // namespace
