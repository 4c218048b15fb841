// SPDX-License-Identifier: MIT
// Tokens that nobody signed who should have, and those that were changed.
#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <string>
#include <vector>

#include "exporter/api/token.h"
#include "tests/support/token_rig.h"

namespace {

using meshhook::api::Key;
using meshhook::api::KeySet;
using meshhook::api::kLongestToken;
using Why = meshhook::api::TokenError::Why;
using test::Base64Url;
using test::Judge;
using test::kUser;
using test::Signer;
using test::TheEcKey;
using test::TheKeys;
using test::TheRsaKey;
using test::TheSecret;
using test::UserClaims;

constexpr auto kVerified = "it was verified";
constexpr auto kNotSigned = "its signature is not valid";

const std::string& Claims() {
  static const auto claims = test::Text(UserClaims(kUser));
  return claims;
}

// A token of each algorithm that is as it should be.
const std::vector<std::string>& GoodTokens() {
  static const std::vector<std::string> tokens = {
      TheSecret().Token(UserClaims(kUser)), TheEcKey().Token(UserClaims(kUser)),
      TheRsaKey().Token(UserClaims(kUser))};
  return tokens;
}

TEST(Forgery, ByAnotherKeyIsRefused) {
  for (const auto& other :
       {Signer::Secret("another secret of a project, 32 bytes or more"),
        Signer::Ec("ec"), Signer::Rsa("rsa")}) {
    EXPECT_EQ(Judge(other.Token(UserClaims(kUser))).reason, kNotSigned);
  }
}

TEST(Forgery, WithoutAnAlgorithmIsRefused) {
  for (const auto* name :
       {R"("none")", R"("None")", R"("NONE")", R"("nOnE")", R"("")",
        R"("hs256")", R"("HS256 ")", R"("HS384")", R"("HS512")", R"("RS512")",
        R"("PS256")", R"("ES384")", R"("EdDSA")", R"("HS256\u0000")", "null",
        "0", "[]", R"(["HS256"])"}) {
    const auto header = std::string(R"({"typ":"JWT","alg":)") + name + "}";
    const auto unsigned_text = Base64Url(header) + "." + Base64Url(Claims());
    for (const auto& token :
         {unsigned_text, unsigned_text + ".", unsigned_text + ".AAAA",
          TheSecret().Token(header, Claims()),
          TheRsaKey().Token(header, Claims())}) {
      const auto verdict = Judge(token);
      EXPECT_FALSE(verdict.caller) << name;
      EXPECT_EQ(verdict.why, Why::kRefused) << name;
      EXPECT_NE(verdict.reason, kNotSigned) << "refused before that";
    }
  }
  EXPECT_EQ(Judge(TheSecret().Token(R"({"typ":"JWT"})", Claims())).reason,
            "its algorithm is none that is taken");
}

// The classic confusion: what is public taken for a secret.
TEST(Forgery, ByHmacWithAPublicKeyIsRefused) {
  const auto& keys = TheKeys();
  const KeySet only_public(
      meshhook::api::ReadJwks(
          test::JwksOf({TheEcKey().Jwk(), TheRsaKey().Jwk()}))
          .keys);
  for (const auto* signer : {&TheEcKey(), &TheRsaKey()}) {
    const auto pem = signer->PublicPem();
    for (const auto& secret :
         {pem, pem.substr(0, pem.size() - 1), signer->PublicDer(),
          test::Text(signer->Jwk())}) {
      for (const auto* id : {"", "ec", "rsa"}) {
        const auto token = Signer::Secret(secret, id).Token(UserClaims(kUser));
        EXPECT_FALSE(Judge(token).caller);
        EXPECT_FALSE(Judge(token, {}, only_public).caller);
      }
    }
  }
  // That would have worked if the header could choose.
  const auto pem = TheRsaKey().PublicPem();
  const KeySet fooled({{.id = "",
                        .algorithm = meshhook::api::Algorithm::kHs256,
                        .material = pem}});
  const auto token = Signer::Secret(pem).Token(UserClaims(kUser));
  EXPECT_EQ(Judge(token, {}, fooled).reason, kVerified);
  EXPECT_NE(Judge(token, {}, keys).reason, kVerified);
}

TEST(Forgery, WithAnotherAlgorithmThanItsKeyHasIsRefused) {
  for (const auto* header :
       {R"({"alg":"RS256","kid":"ec"})", R"({"alg":"ES256","kid":"rsa"})",
        R"({"alg":"HS256","kid":"rsa"})"}) {
    for (const auto* signer : {&TheSecret(), &TheEcKey(), &TheRsaKey()}) {
      EXPECT_EQ(Judge(signer->Token(header, Claims())).reason,
                "its key is one of another algorithm");
    }
  }
}

TEST(Forgery, WithAKeyOfItsOwnIsRefused) {
  const auto own = Signer::Ec();
  for (const auto* member : {"jwk", "jku", "x5u", "x5c"}) {
    Json::Value header;
    header["alg"] = "ES256";
    header["kid"] = "ec";
    header[member] = own.Jwk();
    EXPECT_EQ(Judge(own.Token(test::Text(header), Claims())).reason,
              kNotSigned);
  }
}

TEST(Token, WhoseHeaderAsksForMoreIsRefused) {
  EXPECT_EQ(
      Judge(TheSecret().Token(R"({"alg":"HS256","crit":["b64"],"b64":false})",
                              Claims()))
          .reason,
      "it has a header `crit`");
  EXPECT_NE(
      Judge(TheSecret().Token(R"({"alg":"HS256","typ":"at+jwt"})", Claims()))
          .reason,
      kVerified);
  EXPECT_EQ(Judge(TheSecret().Token(R"({"alg":"HS256","typ":"jwt"})", Claims()))
                .reason,
            kVerified);
}

TEST(Token, FindsItsKeyByItsId) {
  const auto other = Signer::Ec("other");
  const KeySet two(
      meshhook::api::ReadJwks(test::JwksOf({TheEcKey().Jwk(), other.Jwk()}))
          .keys);
  EXPECT_EQ(Judge(other.Token(UserClaims(kUser)), {}, two).reason, kVerified);
  EXPECT_EQ(Judge(TheEcKey().Token(UserClaims(kUser)), {}, two).reason,
            kVerified);
  const auto nameless = TheEcKey().Token(R"({"alg":"ES256"})", Claims());
  EXPECT_EQ(Judge(nameless).reason, kVerified);
  const auto verdict = Judge(nameless, {}, two);
  EXPECT_EQ(verdict.reason, "it does not say which of several keys signed it");
  EXPECT_EQ(verdict.why, Why::kRefused);
}

TEST(Token, WhoseKeyIsNotKnownSaysSo) {
  for (const auto& token :
       {Signer::Ec("gone").Token(UserClaims(kUser)),
        TheRsaKey().Token(R"({"alg":"RS256","kid":"gone"})", Claims())}) {
    EXPECT_EQ(Judge(token).why, Why::kUnknownKey);
  }
  for (const auto& token : GoodTokens()) {
    EXPECT_EQ(Judge(token, {}, KeySet()).why, Why::kUnknownKey);
  }
  // A secret has no id, and a project's tokens may give it one.
  const auto token =
      TheSecret().Token(R"({"alg":"HS256","kid":"x"})", Claims());
  EXPECT_EQ(Judge(token).reason, kVerified);
}

TEST(Forgery, CutOffAnywhereIsRefused) {
  for (const auto& token : GoodTokens()) {
    ASSERT_EQ(Judge(token).reason, kVerified);
    for (size_t length = 0; length < token.size(); ++length) {
      ASSERT_FALSE(Judge(token.substr(0, length)).caller) << length;
      ASSERT_FALSE(Judge(token.substr(length + 1)).caller) << length;
    }
  }
}

TEST(Forgery, WithABitChangedIsRefused) {
  for (const auto& token : GoodTokens()) {
    // Each third bit: of every character two or three, in turn other ones.
    for (size_t i = 0; i < token.size() * 8; i += 3) {
      auto changed = token;
      changed[i / 8] = static_cast<char>(changed[i / 8] ^ 1 << i % 8);
      ASSERT_FALSE(Judge(changed).caller) << i / 8 << ": " << changed;
    }
  }
}

TEST(Forgery, InAnotherFormIsRefused) {
  for (const auto& token : GoodTokens()) {
    for (const auto& other :
         {" " + token, token + " ", token + "\n", token + "=",
          token + "==", token + ".", "." + token, token + "." + token,
          token + '\0', "Bearer " + token}) {
      EXPECT_FALSE(Judge(other).caller) << other;
    }
  }
}

TEST(Token, MayBeEightKibibytesLong) {
  const auto long_one = [](size_t length) {
    auto claims = UserClaims(kUser);
    claims["x"] = "";
    std::string token;
    while (token.size() < length) {
      token = TheSecret().Token(claims);
      claims["x"] = claims["x"].asString() +
                    std::string((length - token.size() + 7) / 8 + 1, 'x');
    }
    return token;
  };
  auto longest = long_one(kLongestToken - 8);
  ASSERT_LE(longest.size(), kLongestToken);
  EXPECT_EQ(Judge(longest).reason, kVerified);
  EXPECT_EQ(Judge(long_one(kLongestToken + 1)).reason, "it is too long");
  EXPECT_EQ(Judge(long_one(65'536)).reason, "it is too long");
  EXPECT_EQ(Judge(std::string(65'536, 'a')).reason, "it is too long");
  EXPECT_EQ(Judge(std::string(65'536, '.')).reason, "it is too long");
  EXPECT_FALSE(Judge(std::string(kLongestToken, '.')).caller);
  EXPECT_FALSE(Judge(std::string(kLongestToken, 'a')).caller);
}

class Mutator {
 public:
  explicit Mutator(unsigned seed) : random_(seed) {}

  size_t Below(size_t bound) { return random_() % bound; }

  std::string Of(const std::vector<std::string>& tokens) {
    std::string token = tokens[Below(tokens.size())];
    for (size_t changes = 1 + Below(3); changes > 0; --changes) {
      token = Changed(token, tokens[Below(tokens.size())]);
    }
    return token;
  }

 private:
  std::string Changed(std::string token, const std::string& other) {
    static const std::string kBytes =
        "ABCDEFGHabcdefgh0123-_.=+/ \"{}[]:,\\\n\0\x80\xFF";
    const size_t at = Below(token.size() + 1);
    const size_t count = Below(12);
    const char byte = kBytes[Below(kBytes.size())];
    switch (Below(7)) {
      case 0:
        return token.insert(at, 1, byte);
      case 1:
        return token.erase(at, count);
      case 2:
        return token.replace(at, count, std::string(count, byte));
      case 3:
        return token.insert(at, token.substr(Below(token.size() + 1), count));
      case 4: {  // a part of another token
        const size_t dot = token.rfind('.');
        const size_t others = other.rfind('.');
        return token.substr(0, dot == token.npos ? at : dot) +
               (others == other.npos ? "" : other.substr(others));
      }
      case 5:
        return token.substr(0, token.find('.')) +
               other.substr(std::min(other.find('.'), other.size()));
      default:
        for (char& c : token) c = Below(40) == 0 ? byte : c;
        return token;
    }
  }

  std::mt19937 random_;
};

TEST(Forgery, WhateverIsChangedIsRefused) {
  const auto tokens = [] {
    auto all = GoodTokens();
    // Of others, so that parts of two can be put together.
    for (const auto* signer : {&TheSecret(), &TheEcKey(), &TheRsaKey()}) {
      all.push_back(signer->Token(test::ServiceClaims()));
    }
    return all;
  }();
  Mutator mutator(20'240'601);
  int verified = 0;
  for (int round = 0; round < 5'000; ++round) {
    const auto token = mutator.Of(tokens);
    // A change may undo another, or change nothing.
    const bool same =
        std::find(tokens.begin(), tokens.end(), token) != tokens.end();
    const auto verdict = Judge(token);
    ASSERT_EQ(verdict.caller.has_value(), same) << round << ": " << token;
    verified += same ? 1 : 0;
  }
  EXPECT_LT(verified, 1'000) << "or little was changed";
}

TEST(Token, OfRandomClaimsIsRefusedOrSound) {
  std::mt19937 random(7);
  const std::vector<std::string> names = {"role", "sub", "aud", "iss",
                                          "exp",  "nbf", "iat"};
  const std::vector<Json::Value> values = {Json::nullValue,
                                           true,
                                           -1,
                                           1e300,
                                           4'000'000'000,
                                           "",
                                           "anon",
                                           "authenticated",
                                           "service_role",
                                           kUser,
                                           Json::arrayValue,
                                           Json::objectValue};
  int verified = 0;
  for (int round = 0; round < 2'000; ++round) {
    auto claims = random() % 2 ? UserClaims(kUser) : test::ServiceClaims();
    for (size_t changes = random() % 4; changes > 0; --changes) {
      claims[names[random() % names.size()]] = values[random() % values.size()];
    }
    const auto verdict = Judge(TheSecret().Token(claims));
    if (!verdict.caller) continue;
    ++verified;
    const auto& caller = *verdict.caller;
    EXPECT_EQ(claims["role"], caller.role);
    EXPECT_TRUE(caller.role == "service_role" || caller.subject == kUser)
        << caller.claims;
    EXPECT_GT(claims["exp"].asDouble(), 1e9);
  }
  EXPECT_GT(verified, 200);
}

}  // namespace
