// SPDX-License-Identifier: MIT
// Which tokens the API takes over HTTP, and how little it says of the others.
#include <gtest/gtest.h>

#include <ctime>
#include <map>
#include <string>
#include <vector>

#include "exporter/log.h"
#include "tests/support/api.h"
#include "tests/support/process.h"

namespace {

using meshhook::api::ServerOptions;
using test::Api;
using test::HttpResponse;
using test::JsonOf;
using test::Signer;
using test::UserClaims;

constexpr auto kPath = "/api/metrics";
constexpr auto kInvalid = "the token is not valid, or no longer; get a new one";
constexpr auto kMissing = "send Authorization: Bearer with a token";

class ApiTokens : public testing::Test {
 protected:
  ApiTokens()
      : rsa_(Signer::Rsa("rsa")),
        ec_(Signer::Ec("ec")),
        jwks_(
            folder_.Write("jwks.json", test::JwksOf({rsa_.Jwk(), ec_.Jwk()}))),
        api_([&](ServerOptions& options) {
          options.auth.jwks_file = jwks_;
          options.rules.issuer = "https://project.example/auth/v1";
        }) {}

  HttpResponse With(const std::vector<std::string>& headers) const {
    return api_.Ask("GET", kPath, "", "", headers);
  }
  HttpResponse By(const std::string& token) const {
    return api_.Get(kPath, token);
  }
  static Json::Value Claims() { return UserClaims(test::kAda); }
  static Json::Value Changed(const std::string& name,
                             const Json::Value& value) {
    auto claims = Claims();
    claims[name] = value;
    return claims;
  }
  static Json::Int64 Now() { return std::time(nullptr); }

  const test::Folder folder_;
  const Signer rsa_;
  const Signer ec_;
  const std::string jwks_;
  Api api_;
};

void ExpectUnauthorized(const HttpResponse& response, const std::string& what,
                        const std::string& detail = kInvalid) {
  EXPECT_EQ(response.status, 401) << what;
  EXPECT_EQ(response.headers.at("www-authenticate"), "Bearer") << what;
  EXPECT_EQ(response.headers.at("content-type"), "application/problem+json");
  const auto body = JsonOf(response);
  EXPECT_EQ(body["detail"], detail) << what;
  EXPECT_EQ(body.size(), 4U) << what << response.body;
}

TEST_F(ApiTokens, OfEveryKindOfKeyAreTaken) {
  for (const auto& [name, signer] :
       {std::pair{"HS256", api_.signer()}, std::pair{"RS256", rsa_},
        std::pair{"ES256", ec_}}) {
    EXPECT_EQ(By(signer.Token(Claims())).status, 200) << name;
    EXPECT_EQ(api_.Read("/api/metrics",
                        signer.Token(UserClaims(test::kBob)))["project_count"],
              1)
        << name;
  }
  // The service key has another issuer, and no audience.
  EXPECT_EQ(By(api_.Operator()).status, 401);
  auto service = test::ServiceClaims();
  service["iss"] = "https://project.example/auth/v1";
  EXPECT_EQ(By(api_.signer().Token(service)).status, 200);
}

TEST_F(ApiTokens, ThatAreNotRightAreAllRefusedInTheSameWords) {
  const auto& secret = api_.signer();
  const auto good = secret.Token(Claims());
  const std::string none = R"({"alg": "none", "typ": "JWT"})";
  const std::string hs256 = R"({"alg": "HS256", "typ": "JWT"})";
  const auto claims = test::Text(Claims());
  const auto unsigned_ =
      test::Base64Url(none) + "." + test::Base64Url(claims) + ".";
  auto no_role = Claims();
  no_role.removeMember("role");
  auto no_expiry = Claims();
  no_expiry.removeMember("exp");
  auto tampered = good;
  tampered[good.find('.') + 5] ^= 1;
  const std::map<std::string, std::string> tokens{
      {"expired", secret.Token(Changed("exp", Now() - 120))},
      {"not valid yet", secret.Token(Changed("nbf", Now() + 120))},
      {"issued in the future", secret.Token(Changed("iat", Now() + 120))},
      {"without an end", secret.Token(no_expiry)},
      {"of another audience", secret.Token(Changed("aud", "anon"))},
      {"of another issuer", secret.Token(Changed("iss", "https://evil"))},
      {"of role anon", secret.Token(Changed("role", "anon"))},
      {"of role postgres", secret.Token(Changed("role", "postgres"))},
      {"of role meshhook_operator",
       secret.Token(Changed("role", "meshhook_operator"))},
      {"without a role", secret.Token(no_role)},
      {"with a list of roles",
       secret.Token(Changed("role", Json::Value(Json::arrayValue)))},
      {"whose subject is no UUID",
       secret.Token(Changed("sub", "' OR true --"))},
      {"of another secret",
       Signer::Secret("another secret of 32 bytes and more").Token(Claims())},
      {"of another RSA key", Signer::Rsa("rsa").Token(Claims())},
      {"of another elliptic key", Signer::Ec("ec").Token(Claims())},
      {"of an unknown key", Signer::Rsa("unknown").Token(Claims())},
      {"with alg none", unsigned_},
      {"with alg none and a signature", secret.Token(none, claims)},
      {"with alg None", secret.Token(R"({"alg": "None"})", claims)},
      {"with alg HS512", secret.Token(R"({"alg": "HS512"})", claims)},
      {"signed with a public key as the secret",
       Signer::Secret(rsa_.PublicPem(), "rsa").Token(Claims())},
      {"signed with a public key without its id",
       Signer::Secret(rsa_.PublicPem()).Token(hs256, claims)},
      {"signed with a public key in DER",
       Signer::Secret(rsa_.PublicDer(), "rsa").Token(Claims())},
      {"with a key of its own",
       Signer::Rsa("own").Token(
           R"({"alg": "RS256", "jwk": )" + test::Text(rsa_.Jwk()) + "}",
           claims)},
      {"tampered with", tampered},
      {"truncated", good.substr(0, good.size() - 5)},
      {"without its signature", good.substr(0, good.rfind('.') + 1)},
      {"of two parts", good.substr(0, good.rfind('.'))},
      {"of four parts", good + ".x"},
      {"no token at all", "x"},
      {"of 8193 bytes", std::string(8193, 'a')},
      {"that is long", good + std::string(8000, 'A')}};
  for (const auto& [what, token] : tokens) {
    ExpectUnauthorized(By(token), what);
  }
  EXPECT_EQ(By(good).status, 200);
}

TEST_F(ApiTokens, HaveALeewayOfAMinute) {
  const auto& secret = api_.signer();
  EXPECT_EQ(By(secret.Token(Changed("exp", Now() - 30))).status, 200);
  EXPECT_EQ(By(secret.Token(Changed("nbf", Now() + 30))).status, 200);
}

TEST_F(ApiTokens, OfSixtyFourKibAreNoRequest) {
  const auto response = By(std::string(64 * 1024, 'a'));
  EXPECT_EQ(response.status, 400);
  EXPECT_EQ(response.headers.at("content-type"), "application/problem+json");
}

TEST_F(ApiTokens, AreMissingWhereTheSchemeIsAnother) {
  const auto token = api_.Ada();
  for (const auto& header : std::vector<std::string>{
           "", "Basic " + token, token, "Bearer", "Bearer ", "BearerX " + token,
           "Token " + token}) {
    ExpectUnauthorized(
        header.empty() ? With({}) : With({"Authorization: " + header}), header,
        kMissing);
  }
  // Only there.
  ExpectUnauthorized(With({"Cookie: sb-access-token=" + token}), "cookie",
                     kMissing);
  ExpectUnauthorized(With({"apikey: " + token}), "apikey", kMissing);
  EXPECT_EQ(api_.Get(std::string(kPath) + "?access_token=" + token, "").status,
            401);
  EXPECT_EQ(With({"Authorization: bearer " + token}).status, 200);
}

TEST_F(ApiTokens, AreRefusedWhereThereAreTwo) {
  for (const auto& [first, second] :
       {std::pair{api_.Ada(), api_.Bob()}, std::pair{api_.Ada(), api_.Ada()},
        std::pair{std::string("x"), api_.Ada()},
        std::pair{api_.Ada(), std::string("x")}}) {
    const auto response = With(
        {"Authorization: Bearer " + first, "authorization: Bearer " + second});
    EXPECT_EQ(response.status, 400);
    EXPECT_EQ(response.body.find(first), std::string::npos);
    ExpectUnauthorized(
        With({"Authorization: Bearer " + first + ", Bearer " + second}),
        "two in one header");
    ExpectUnauthorized(With({"Authorization: Bearer " + first + " " + second}),
                       "two in one header");
  }
}

TEST_F(ApiTokens, OfANewKeyAreTakenOnceItIsInTheFileAndOfAnOldOneNoMore) {
  const auto next = Signer::Ec("next");
  ASSERT_EQ(By(ec_.Token(Claims())).status, 200);
  ExpectUnauthorized(By(next.Token(Claims())), "before it is there");
  folder_.Write("jwks.json", test::JwksOf({next.Jwk()}));
  EXPECT_TRUE(
      test::Await([&] { return By(next.Token(Claims())).status == 200; }));
  ExpectUnauthorized(By(ec_.Token(Claims())), "of the old key");
  ExpectUnauthorized(By(rsa_.Token(Claims())), "of the old key");
  // A file that is cut off, or gone, takes nothing away.
  folder_.Write("jwks.json", test::JwksOf({ec_.Jwk()}).substr(0, 40));
  EXPECT_FALSE(
      test::Await([&] { return By(next.Token(Claims())).status != 200; },
                  std::chrono::milliseconds(1500)));
}

// A line for the operator says why, and nobody else gets to know.
TEST_F(ApiTokens, AreNeverInTheLog) {
  using meshhook::log::Configure;
  using meshhook::log::Format;
  using meshhook::log::Level;
  const auto good = api_.Ada();
  const auto expired = api_.signer().Token(Changed("exp", Now() - 120));
  const auto forged = Signer::Ec("ec").Token(Claims());
  testing::internal::CaptureStderr();
  Configure(Level::kDebug, Format::kLogfmt);
  for (const auto& token : {good, expired, forged}) {
    By(token);
    With({"Authorization: Basic " + token});
    With({"Authorization: Bearer " + token, "Authorization: Bearer " + token});
    api_.Get(std::string(kPath) + "?access_token=" + token, good);
    api_.Post("/api/metrics/alerts", good, "{\"scope\": \"" + token + "\"}");
    const test::HttpConnection malformed(api_.port());
    malformed.Send("GET /api/metrics\r\nAuthorization: Bearer " + token +
                   "\r\n\r\n");
    malformed.ReadToEnd();
  }
  api_.Stop();  // with all that is to be logged
  Configure(Level::kInfo, Format::kLogfmt);
  const auto log = testing::internal::GetCapturedStderr();
  EXPECT_NE(log.find("it has expired"), log.npos) << log;
  EXPECT_NE(log.find("its signature is not valid"), log.npos) << log;
  for (const auto& token : {good, expired, forged}) {
    const auto claims = token.find('.') + 1;
    const auto signature = token.rfind('.') + 1;
    EXPECT_EQ(log.find(token.substr(claims, 40)), log.npos) << log;
    EXPECT_EQ(log.find(token.substr(signature, 20)), log.npos) << log;
  }
}

}  // namespace
