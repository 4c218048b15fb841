// SPDX-License-Identifier: MIT
#include <gtest/gtest.h>

#include "exporter/api/keys.h"
#include "exporter/errors.h"
#include "tests/support/token_rig.h"

namespace {

using meshhook::UsageError;
using meshhook::api::Algorithm;
using meshhook::api::Jwks;
using meshhook::api::KeySet;
using meshhook::api::ReadJwks;
using meshhook::api::SecretKey;
using test::Judge;
using test::JwksOf;
using test::kUser;
using test::Signer;
using test::TheEcKey;
using test::TheRsaKey;
using test::UserClaims;

// A good key with one member other than it was; null takes it out.
Json::Value With(Json::Value jwk, const std::string& name,
                 const Json::Value& value) {
  jwk[name] = value;
  if (value.isNull()) jwk.removeMember(name);
  return jwk;
}

// Why a key is of no use where another is of some.
std::string Skipped(const Json::Value& jwk) {
  const Jwks read = ReadJwks(JwksOf({jwk, TheEcKey().Jwk()}));
  EXPECT_EQ(read.keys.size(), read.skipped.empty() ? 2u : 1u);
  return read.skipped.empty() ? "it is used" : read.skipped.front();
}

std::string Refusal(const std::string& jwks) {
  try {
    ReadJwks(jwks);
    return "it was read";
  } catch (const UsageError& error) {
    EXPECT_NE(error.remedy().find("jwks.json"), std::string::npos);
    return error.what();
  }
}

TEST(Keys, SecretMustBeAsLongAsTheHash) {
  EXPECT_EQ(SecretKey(std::string(32, 's')).algorithm, Algorithm::kHs256);
  for (const size_t length : {0u, 1u, 31u}) {
    try {
      SecretKey(std::string(length, 's'));
      ADD_FAILURE() << length;
    } catch (const UsageError& error) {
      EXPECT_STREQ(error.what(),
                   "the secret that tokens are signed with is shorter than 32 "
                   "bytes");
      EXPECT_NE(error.remedy().find("openssl rand"), std::string::npos);
    }
  }
}

TEST(Keys, SecretMayHoldAnyBytes) {
  std::string secret(32, '\0');
  secret += "\xFF\n x";
  const KeySet keys({SecretKey(secret)});
  EXPECT_TRUE(
      Judge(Signer::Secret(secret).Token(UserClaims(kUser)), {}, keys).caller);
  secret.back() = 'y';
  EXPECT_FALSE(
      Judge(Signer::Secret(secret).Token(UserClaims(kUser)), {}, keys).caller);
}

TEST(Keys, OfAJwksAreThoseThatWerePublished) {
  const Jwks read = ReadJwks(JwksOf({TheEcKey().Jwk(), TheRsaKey().Jwk()}));
  ASSERT_EQ(read.keys.size(), 2u);
  EXPECT_TRUE(read.skipped.empty());
  EXPECT_EQ(read.keys[0].id, "ec");
  EXPECT_EQ(read.keys[0].algorithm, Algorithm::kEs256);
  EXPECT_EQ(read.keys[0].material, TheEcKey().PublicPem());
  EXPECT_EQ(read.keys[1].id, "rsa");
  EXPECT_EQ(read.keys[1].algorithm, Algorithm::kRs256);
  EXPECT_EQ(read.keys[1].material, TheRsaKey().PublicPem());
}

TEST(Keys, NeedNoMoreThanTheirNumbers) {
  for (auto jwk : {TheEcKey().Jwk(), TheRsaKey().Jwk()}) {
    for (const auto* name : {"kid", "alg", "use"}) {
      jwk = With(jwk, name, Json::nullValue);
    }
    jwk["key_ops"].append("verify");
    jwk["ext"] = true;
    EXPECT_EQ(Skipped(jwk), "it is used");
  }
}

TEST(Keys, OfOtherKindsAreSkipped) {
  const auto ec = TheEcKey().Jwk();
  const auto rsa = TheRsaKey().Jwk();
  EXPECT_EQ(Skipped(1), "key 1: it is not an object");
  EXPECT_EQ(Skipped(Signer::Secret(std::string(32, 's')).Jwk()),
            "key 1: it is symmetric; give a secret as a file of its own");
  for (const auto* type : {"OKP", "ec", "", "AKP"}) {
    EXPECT_EQ(Skipped(With(ec, "kty", type)),
              "key 1: its `kty` is neither RSA nor EC");
  }
  EXPECT_EQ(Skipped(With(ec, "kty", Json::nullValue)),
            "key 1: its `kty` is neither RSA nor EC");
  EXPECT_EQ(Skipped(With(ec, "kty", 1)), "key 1: its `kty` is not a string");
  EXPECT_EQ(Skipped(With(rsa, "use", "enc")), "key 1: its `use` is not sig");
  EXPECT_EQ(Skipped(With(rsa, "kid", 1)), "key 1: its `kid` is not a string");
  EXPECT_EQ(Skipped(With(rsa, "kid", std::string(256, 'k'))),
            "key 1: its `kid` is too long");
  Json::Value sign(Json::arrayValue);
  sign.append("sign");
  for (const auto& operations :
       {sign, Json::Value(Json::arrayValue), Json::Value("verify")}) {
    EXPECT_EQ(Skipped(With(rsa, "key_ops", operations)),
              "key 1: its `key_ops` lack verify");
  }
}

TEST(Keys, WithAnAlgorithmOfAnotherTypeAreSkipped) {
  for (const auto* name : {"ES256", "HS256", "RS512", "PS256", "none"}) {
    EXPECT_EQ(Skipped(With(TheRsaKey().Jwk(), "alg", name)),
              "key 1: its `alg` is not RS256");
  }
  for (const auto* name : {"RS256", "HS256", "ES384", "none"}) {
    EXPECT_EQ(Skipped(With(TheEcKey().Jwk(), "alg", name)),
              "key 1: its `alg` is not ES256");
  }
}

TEST(Keys, ThatArePrivateAreNamedAsSuch) {
  const std::string reason =
      "its private part is in the JWKS; whoever could read that can sign "
      "tokens, so make another key and publish only its public part";
  EXPECT_EQ(Skipped(TheEcKey().PrivateJwk()), "key 1: " + reason);
  EXPECT_EQ(Skipped(With(TheRsaKey().Jwk(), "p", "AQAB")), "key 1: " + reason);
  EXPECT_EQ(Refusal(JwksOf({TheRsaKey().PrivateJwk()})),
            "it holds no key of use; key 1: " + reason);
}

TEST(Keys, OfRsaHaveTwoThousandBitsOrMore) {
  const std::string reason =
      "key 1: `n` and `e` make no RSA key of 2048 bits or more";
  EXPECT_EQ(Skipped(Signer::Rsa("", 1024).Jwk()), reason);
  EXPECT_EQ(Skipped(Signer::Rsa("", 2040).Jwk()), reason);
  const auto good = TheRsaKey().Jwk();
  for (const auto* exponent :
       {"", "AA", "AQ", "BA", "!", "AQAB=", "AQABAQABAQABAQAB"}) {
    EXPECT_EQ(Skipped(With(good, "e", exponent)), reason) << exponent;
  }
  const auto number = good["n"].asString();
  for (const auto& modulus :
       {std::string(), number.substr(0, number.size() / 2),
        number.substr(0, number.size() - 1) + "+",
        test::Base64Url(std::string(256, '\xFE')),      // even
        test::Base64Url(std::string(1025, '\xFF'))}) {  // too long
    EXPECT_EQ(Skipped(With(good, "n", modulus)), reason) << modulus;
  }
}

TEST(Keys, OfAnEllipticCurveLieOnP256) {
  const std::string reason = "key 1: `x` and `y` are no point of P-256";
  const auto good = TheEcKey().Jwk();
  for (const auto* curve : {"P-384", "P-521", "secp256k1", "p-256", ""}) {
    EXPECT_EQ(Skipped(With(good, "crv", curve)),
              "key 1: its `crv` is not P-256");
  }
  EXPECT_EQ(Skipped(Signer::Ec("", "secp256k1").Jwk()), reason)
      << "which says that it is of P-256";
  EXPECT_EQ(Skipped(Signer::Ec("", "secp384r1").Jwk()), reason);
  for (const auto& number :
       {std::string(), good["x"].asString(), test::Base64Url("\x01"),
        test::Base64Url(std::string(32, '\0')),
        test::Base64Url(std::string(32, '\xFF')),
        good["y"].asString() + "AA"}) {
    EXPECT_EQ(Skipped(With(good, "y", number)), reason) << number;
  }
}

TEST(Keys, AreRefusedWhereThereIsNone) {
  const std::string reason = "it is not a JWKS: an object with an array `keys`";
  for (const auto& text :
       {std::string(), std::string("x"), std::string("[]"), std::string("{}"),
        std::string(R"({"keys":{}})"), std::string(R"({"keys":null})"),
        std::string("<html>"), test::Text(TheEcKey().Jwk()),
        TheEcKey().PublicPem()}) {
    EXPECT_EQ(Refusal(text), reason) << text;
  }
  EXPECT_EQ(Refusal(R"({"keys":[]})"), "it holds no key");
}

TEST(KeySet, KeepsTheFirstOfTwoWithOneId) {
  const auto first = Signer::Ec("a");
  const auto second = Signer::Ec("a");
  const KeySet keys(ReadJwks(JwksOf({first.Jwk(), second.Jwk()})).keys);
  EXPECT_TRUE(Judge(first.Token(UserClaims(kUser)), {}, keys).caller);
  EXPECT_FALSE(Judge(second.Token(UserClaims(kUser)), {}, keys).caller);
}

TEST(KeySet, CountsAKeyOnceThatTwoSourcesGive) {
  auto nameless = TheEcKey().Jwk();
  nameless.removeMember("kid");
  const KeySet keys(ReadJwks(JwksOf({nameless, nameless})).keys);
  EXPECT_TRUE(Judge(TheEcKey().Token(UserClaims(kUser)), {}, keys).caller);
}

TEST(KeySet, HasTheSameIdForKeysOfTwoAlgorithms) {
  const auto rsa = Signer::Rsa("a");
  const auto ec = Signer::Ec("a");
  const KeySet keys(ReadJwks(JwksOf({rsa.Jwk(), ec.Jwk()})).keys);
  EXPECT_TRUE(Judge(rsa.Token(UserClaims(kUser)), {}, keys).caller);
  EXPECT_TRUE(Judge(ec.Token(UserClaims(kUser)), {}, keys).caller);
}

}  // namespace
