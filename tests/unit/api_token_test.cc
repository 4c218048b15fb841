// SPDX-License-Identifier: MIT
// What a token must claim.
#include <gtest/gtest.h>

#include "exporter/api/strict_json.h"
#include "exporter/api/token.h"
#include "tests/support/token_rig.h"

namespace {

using meshhook::api::TokenRules;
using std::chrono::seconds;
using std::chrono::system_clock;
using test::ClaimsWith;
using test::Judge;
using test::kUser;
using test::TheKeys;
using test::TheSecret;
using test::UserClaims;

constexpr auto kVerified = "it was verified";

std::string Reason(const Json::Value& claims, const TokenRules& rules = {}) {
  return Judge(TheSecret().Token(claims), rules).reason;
}

// The reason where the claim is that.
std::string With(const std::string& name, const Json::Value& value,
                 const TokenRules& rules = {}) {
  return Reason(ClaimsWith(name, value), rules);
}

Json::Value List(std::initializer_list<Json::Value> values) {
  Json::Value list(Json::arrayValue);
  for (const auto& value : values) list.append(value);
  return list;
}

TEST(Token, SaysWhoAsks) {
  for (const auto* signer :
       {&TheSecret(), &test::TheEcKey(), &test::TheRsaKey()}) {
    const auto claims = UserClaims(kUser);
    const auto verdict = Judge(signer->Token(claims));
    ASSERT_TRUE(verdict.caller) << verdict.reason;
    EXPECT_EQ(verdict.caller->role, "authenticated");
    EXPECT_EQ(verdict.caller->subject, kUser);
    EXPECT_EQ(system_clock::to_time_t(verdict.caller->expires),
              claims["exp"].asInt64());
    EXPECT_EQ(meshhook::api::ParseObject(verdict.caller->claims), claims);
  }
}

TEST(Token, OfAServiceNeedsNoSubject) {
  const auto verdict = Judge(TheSecret().Token(test::ServiceClaims()));
  ASSERT_TRUE(verdict.caller) << verdict.reason;
  EXPECT_EQ(verdict.caller->role, "service_role");
  EXPECT_EQ(verdict.caller->subject, "service_role");

  auto named = test::ServiceClaims();
  named["sub"] = "nightly report";
  EXPECT_EQ(Judge(TheSecret().Token(named)).caller->subject, "nightly report");
  named["sub"] = "";
  EXPECT_EQ(Reason(named), "its `sub` is empty or too long");
  named["sub"] = std::string(256, 'a');
  EXPECT_EQ(Reason(named), "its `sub` is empty or too long");
}

TEST(Token, GivesTheClaimsInOneLine) {
  auto claims = UserClaims(kUser);
  claims["user_metadata"]["name"] = "Zoë\n\"Q\"";
  const auto verdict = Judge(TheSecret().Token(claims));
  ASSERT_TRUE(verdict.caller) << verdict.reason;
  EXPECT_NE(verdict.caller->claims.find(R"("Zo\u00eb\n\"Q\"")"),
            std::string::npos)
      << verdict.caller->claims;
  EXPECT_EQ(verdict.caller->claims.find('\n'), std::string::npos);
}

TEST(Token, HasAMinuteOfLeewayEitherWay) {
  const seconds second(2'000'000'000);
  const system_clock::time_point now(second);
  // The reason where that time is so many seconds from now.
  const auto at = [&](const std::string& name, int64_t offset) {
    Json::Value claims = UserClaims(kUser);
    claims["iat"] = Json::Int64{second.count()};
    claims["exp"] = Json::Int64{second.count() + 9};
    claims[name] = Json::Int64{second.count() + offset};
    return Judge(TheSecret().Token(claims), {}, TheKeys(), now).reason;
  };
  EXPECT_EQ(at("exp", -59), kVerified);
  EXPECT_EQ(at("exp", -60), "it has expired");
  EXPECT_EQ(at("exp", -3600), "it has expired");
  EXPECT_EQ(at("nbf", 60), kVerified);
  EXPECT_EQ(at("nbf", 61), "it is not valid yet");
  EXPECT_EQ(at("iat", 60), kVerified);
  EXPECT_EQ(at("iat", 61), "it was issued in the future");
}

TEST(Token, MustSayWhenItExpires) {
  EXPECT_EQ(With("exp", Json::nullValue), "it has no `exp`");
  for (const auto& odd : {Json::Value("4000000000"), Json::Value(true),
                          List({4000000000}), Json::Value(Json::objectValue)}) {
    EXPECT_EQ(With("exp", odd), "its `exp` is not a number");
    EXPECT_EQ(With("nbf", odd), "its `nbf` is not a number");
    EXPECT_EQ(With("iat", odd), "its `iat` is not a number");
  }
  auto null = UserClaims(kUser);
  null["exp"] = Json::nullValue;
  EXPECT_EQ(Reason(null), "its `exp` is not a number");
}

TEST(Token, MayHaveAnyNumberAsTime) {
  EXPECT_EQ(With("exp", 0), "it has expired");
  EXPECT_EQ(With("exp", -1e300), "it has expired");
  EXPECT_EQ(With("exp", Json::Value::minLargestInt), "it has expired");
  EXPECT_EQ(With("nbf", 1e300), "it is not valid yet");
  EXPECT_EQ(With("nbf", -1e300), kVerified);
  EXPECT_EQ(With("iat", Json::Value::maxLargestInt),
            "it was issued in the future");
  for (const auto& far : {Json::Value(1e300), Json::Value(4e9 + 0.5),
                          Json::Value(Json::Value::maxLargestInt)}) {
    const auto verdict = Judge(TheSecret().Token(ClaimsWith("exp", far)));
    ASSERT_TRUE(verdict.caller) << verdict.reason;
    EXPECT_GT(verdict.caller->expires, system_clock::now());
  }
}

TEST(Token, MustBeForThisAudience) {
  const TokenRules rules{.audience = "authenticated", .issuer = ""};
  EXPECT_EQ(With("aud", "authenticated", rules), kVerified);
  EXPECT_EQ(With("aud", List({"else", "authenticated"}), rules), kVerified);
  EXPECT_EQ(With("aud", Json::nullValue, rules), "it has no `aud`");
  for (const auto& wrong :
       {Json::Value("else"), Json::Value(""), Json::Value("Authenticated"),
        List({"else"}), List({})}) {
    EXPECT_EQ(With("aud", wrong, rules), "it is for another audience");
    EXPECT_EQ(With("aud", wrong), kVerified) << "where any will do";
  }
  for (const auto& odd :
       {Json::Value(1), Json::Value(Json::objectValue),
        List({"authenticated", 1}), List({List({"authenticated"})})}) {
    EXPECT_EQ(With("aud", odd, rules),
              "its `aud` is neither a string nor an array of them");
    EXPECT_NE(With("aud", odd), kVerified);
  }
}

TEST(Token, OfAServiceMayLackAnAudienceButNotHaveAnother) {
  const TokenRules rules{.audience = "authenticated", .issuer = ""};
  auto claims = test::ServiceClaims();
  EXPECT_EQ(Reason(claims, rules), kVerified);
  claims["aud"] = "else";
  EXPECT_EQ(Reason(claims, rules), "it is for another audience");
  claims["aud"] = "authenticated";
  EXPECT_EQ(Reason(claims, rules), kVerified);
}

TEST(Token, MustBeOfThisIssuer) {
  const TokenRules rules{.audience = "",
                         .issuer = "https://project.example/auth/v1"};
  EXPECT_EQ(Reason(UserClaims(kUser), rules), kVerified);
  EXPECT_EQ(With("iss", "https://project.example/auth/v1/", rules),
            "it is of another issuer");
  EXPECT_EQ(With("iss", Json::nullValue, rules), "it is of another issuer");
  EXPECT_EQ(With("iss", List({rules.issuer}), rules),
            "its `iss` is not a string");
  EXPECT_EQ(With("iss", "else"), kVerified) << "where any will do";
}

TEST(Token, MustHaveARoleThatMayAsk) {
  constexpr auto kReason =
      "its `role` is neither authenticated nor service_role";
  for (const char* role : {"", "anon", "postgres", "Authenticated",
                           "authenticated ", "supabase_admin"}) {
    EXPECT_EQ(With("role", role), kReason) << role;
  }
  EXPECT_EQ(With("role", Json::nullValue), kReason);
  EXPECT_EQ(With("role", List({"authenticated"})),
            "its `role` is not a string");
  EXPECT_EQ(With("role", 1), "its `role` is not a string");
}

TEST(Token, OfAUserMustNameOneByUuid) {
  for (const char* subject :
       {"", "alice", "5d3a2a3e9d3c4a568f3b3d0f6a1c2b7e",
        "{5d3a2a3e-9d3c-4a56-8f3b-3d0f6a1c2b7e}",
        "5d3a2a3e-9d3c-4a56-8f3b-3d0f6a1c2b7", "service_role",
        "5d3a2a3e-9d3c-4a56-8f3b-3d0f6a1c2b7g",
        "5d3a2a3e-9d3c-4a56-8f3b-3d0f6a1c2b7e'"}) {
    EXPECT_EQ(With("sub", subject), "its `sub` is not a UUID") << subject;
  }
  EXPECT_EQ(With("sub", Json::nullValue), "its `sub` is not a UUID");
  EXPECT_EQ(With("sub", 7), "its `sub` is not a string");
}

TEST(Token, MustHoldJsonThatMeansOneThing) {
  using namespace std::string_literals;
  const std::string header = R"({"alg":"HS256"})";
  const std::string good = test::Text(UserClaims(kUser));
  ASSERT_EQ(Judge(TheSecret().Token(header, good)).reason, kVerified);
  const std::string inside = good.substr(1);
  for (const auto& claims :
       {R"({"role":"service_role",)" + inside,
        R"({"r\u006fle":"service_role",)" + inside, good + "x", good + "\0"s,
        good + "\0{}"s, "\xEF\xBB\xBF" + good, "[" + good + "]",
        R"({"x":"\ud800",)" + inside, R"({"x":"\u0000",)" + inside,
        "{\"x\":\"\xFF\"," + inside, "{/**/" + inside, "{\"x\":01," + inside,
        "{\"x\":\"\n\"," + inside, "{\"x\":1.," + inside,
        "{\"x\":" + std::string(999, '[') + std::string(999, ']') + "," +
            inside,
        "null"s, "{"s}) {
    const auto verdict = Judge(TheSecret().Token(header, claims));
    EXPECT_FALSE(verdict.caller) << claims;
  }
  // Such a thing is refused too where only the header has it.
  for (const auto& bad :
       {R"({"alg":"HS256","alg":"HS256"})"s, R"(["HS256"])"s, R"("HS256")"s,
        R"({"alg":"HS256"}x)"s, R"({"alg":"HS256"/**/})"s, ""s}) {
    EXPECT_EQ(Judge(TheSecret().Token(bad, good)).reason,
              "its header is not an object in JSON")
        << bad;
  }
}

TEST(Token, IsNeverRepeatedInAReason) {
  constexpr auto kMark = "m4rk";
  const auto odd = [&](const std::string& name) {
    return ClaimsWith(name, std::string(kMark));
  };
  const TokenRules rules{.audience = "a", .issuer = "b"};
  for (const auto* name : {"role", "sub", "aud", "iss", "exp", "nbf", "iat"}) {
    for (const auto& header :
         {R"({"alg":"HS256"})", R"({"alg":"m4rk"})",
          R"({"alg":"ES256","kid":"m4rk"})", R"({"alg":"HS256","typ":"m4rk"})",
          R"({"alg":"HS256","crit":"m4rk"})", R"(m4rk)"}) {
      const auto token = TheSecret().Token(header, test::Text(odd(name)));
      for (const auto& all : {token, "m4rk" + token, token + ".m4rk"}) {
        const auto verdict = Judge(all, rules);
        EXPECT_FALSE(verdict.caller);
        EXPECT_EQ(verdict.reason.find(kMark), std::string::npos)
            << verdict.reason;
      }
    }
  }
}

}  // namespace
