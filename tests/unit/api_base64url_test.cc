// SPDX-License-Identifier: MIT
#include <gtest/gtest.h>

#include <random>

#include "exporter/api/base64url.h"
#include "tests/support/tokens.h"

namespace {

using meshhook::api::DecodeBase64Url;

TEST(Base64Url, ReadsBackWhatOpenSslWrote) {
  std::mt19937 random(1);
  for (size_t length = 0; length < 300; ++length) {
    std::string bytes(length, '\0');
    for (char& byte : bytes) byte = static_cast<char>(random());
    ASSERT_EQ(DecodeBase64Url(test::Base64Url(bytes)), bytes) << length;
  }
}

TEST(Base64Url, HasOneWayToWriteEachText) {
  EXPECT_EQ(DecodeBase64Url("Zg"), "f");
  EXPECT_EQ(DecodeBase64Url("Zm8"), "fo");
  for (const char* other : {"Zh", "Zv", "Zm9", "Zm-", "Z", "Zm9vY"}) {
    EXPECT_EQ(DecodeBase64Url(other), std::nullopt) << other;
  }
}

TEST(Base64Url, RefusesEveryOtherCharacter) {
  const std::string alphabet =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  for (int byte = 0; byte < 256; ++byte) {
    const char c = static_cast<char>(byte);
    const bool known = alphabet.find(c) != alphabet.npos;
    EXPECT_EQ(
        DecodeBase64Url(std::string(4, 'A').replace(1, 1, 1, c)).has_value(),
        known)
        << byte;
  }
}

}  // namespace
