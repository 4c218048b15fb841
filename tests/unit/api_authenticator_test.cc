// SPDX-License-Identifier: MIT
#include <gtest/gtest.h>

#include "exporter/api/authenticator.h"
#include "tests/support/folder.h"
#include "tests/support/token_rig.h"

namespace {

using meshhook::api::BearerToken;
using meshhook::api::TokenError;
using Why = TokenError::Why;

// Why there is no token in that header.
std::optional<Why> Refusal(const std::string& header) {
  try {
    BearerToken(header);
    return std::nullopt;
  } catch (const TokenError& error) {
    return error.why();
  }
}

TEST(BearerToken, IsWhatFollowsTheScheme) {
  for (const auto* scheme : {"Bearer", "bearer", "BEARER", "bEARER"}) {
    EXPECT_EQ(BearerToken(scheme + std::string(" a.b.c")), "a.b.c");
  }
}

TEST(BearerToken, IsMissing) {
  for (const auto* header :
       {"", " ", "a.b.c", "Bearer", "Bearer ", "Bearer\ta.b.c", "Bearera.b.c",
        "Basic dXNlcjpwYXNz", " Bearer a.b.c", "Beare", "Bearer: a.b.c"}) {
    EXPECT_EQ(Refusal(header), Why::kMissing) << header;
  }
}

TEST(BearerToken, IsOneAlone) {
  for (const auto* header :
       {"Bearer a.b.c d.e.f", "Bearer  a.b.c", "Bearer a.b.c ",
        "Bearer a.b.c,d.e.f", "Bearer a.b.c, Bearer d.e.f", "Bearer a.b.c\t"}) {
    EXPECT_EQ(Refusal(header), Why::kRefused) << header;
  }
}

TEST(Authenticator, LetsInWhomItsRulesAllow) {
  const test::Folder folder;
  meshhook::api::KeySource source(
      {.secret_file =
           folder.Write("secret", "a secret of a project, 32 bytes or more\n"),
       .jwks_file = "",
       .jwks_url = ""});
  auto now = std::chrono::system_clock::now();
  meshhook::api::Authenticator authenticator(
      source, {.audience = "authenticated", .issuer = ""},
      [&now] { return now; });
  const auto good =
      "Bearer " + test::TheSecret().Token(test::UserClaims(test::kUser));
  EXPECT_EQ(authenticator.Authenticate(good).subject, test::kUser);
  const auto other =
      "Bearer " + test::TheSecret().Token(test::ClaimsWith("aud", "else"));
  EXPECT_THROW(authenticator.Authenticate(other), TokenError);
  now += std::chrono::hours(2);
  EXPECT_THROW(authenticator.Authenticate(good), TokenError);
}

}  // namespace
