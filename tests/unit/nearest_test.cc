// SPDX-License-Identifier: MIT
#include "exporter/nearest.h"

#include <gtest/gtest.h>

namespace {

using meshhook::Nearest;

TEST(Nearest, FindsWhatWasMeant) {
  const std::vector<std::string> names{"name", "summary", "query", "on",
                                       "labels"};
  EXPECT_EQ(Nearest("quary", names), "query");
  EXPECT_EQ(Nearest("label", names), "labels");
  EXPECT_EQ(Nearest("nmae", names), "name");
  EXPECT_EQ(Nearest("o", names), "on");
  EXPECT_EQ(Nearest("summery", names), "summary");
}

TEST(Nearest, FindsNothingFarAway) {
  EXPECT_EQ(Nearest("timeout", {"name", "query"}), "");
  EXPECT_EQ(Nearest("", {"name"}), "");
  EXPECT_EQ(Nearest("query", {}), "");
  EXPECT_EQ(Nearest(std::string(1'000'000, 'q'), {"query"}), "");
}

}  // namespace
