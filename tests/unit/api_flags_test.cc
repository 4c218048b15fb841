// SPDX-License-Identifier: MIT
#include <gtest/gtest.h>

#include <cstdlib>

#include "exporter/errors.h"
#include "exporter/options.h"

namespace {

using meshhook::ParseOptions;
using meshhook::api::ServerOptions;
using Arguments = std::vector<const char*>;

constexpr auto kListen = "--api.listen-address=127.0.0.1:9188";
constexpr auto kKeys = "--api.jwt-secret-file=/run/secret";

ServerOptions Given(Arguments arguments) {
  arguments.insert(arguments.begin(), "meshhook-exporter");
  return ParseOptions(static_cast<int>(arguments.size()), arguments.data())
      .value()
      .api;
}

std::string Complaint(const Arguments& arguments) {
  try {
    Given(arguments);
    return "";
  } catch (const meshhook::UsageError& error) {
    return error.what() + std::string("; ") + error.remedy();
  }
}

bool Has(const std::string& text, const std::string& part) {
  return text.find(part) != text.npos;
}

TEST(ApiFlags, LeaveTheApiOffUnlessItHasAnAddress) {
  const auto options = Given({});
  EXPECT_TRUE(options.listen_addresses.empty());
  EXPECT_EQ(options.rules.audience, "authenticated");
  EXPECT_EQ(options.rules.issuer, "");
  EXPECT_TRUE(options.cors_origins.empty());
}

TEST(ApiFlags, SetWhatTheySay) {
  const auto options =
      Given({kListen, "--api.listen-address=[::1]:9188", kKeys,
             "--api.jwks-file=/run/jwks", "--api.jwks-url=https://a.b/jwks",
             "--api.jwt-audience=", "--api.jwt-issuer=https://a.b/auth/v1",
             "--api.cors-origin=https://a.b,http://localhost:5173",
             "--api.requests-per-second=0.5", "--api.max-connections=7",
             "--api.max-waiting=0", "--api.max-listeners=3"});
  EXPECT_EQ(options.listen_addresses,
            (std::vector<std::string>{"127.0.0.1:9188", "[::1]:9188"}));
  EXPECT_EQ(options.auth.secret_file, "/run/secret");
  EXPECT_EQ(options.auth.jwks_file, "/run/jwks");
  EXPECT_EQ(options.auth.jwks_url, "https://a.b/jwks");
  EXPECT_EQ(options.rules.audience, "");
  EXPECT_EQ(options.rules.issuer, "https://a.b/auth/v1");
  EXPECT_EQ(options.cors_origins,
            (std::vector<std::string>{"https://a.b", "http://localhost:5173"}));
  EXPECT_EQ(options.requests_per_second, 0.5);
  EXPECT_EQ(options.pool.connections, 7);
  EXPECT_EQ(options.pool.waiting, 0);
  EXPECT_EQ(options.listeners, 3);
}

TEST(ApiFlags, AreSetByTheEnvironmentToo) {
  setenv("PG_EXPORTER_API_LISTEN_ADDRESS", "127.0.0.1:9188", 1);
  setenv("PG_EXPORTER_API_JWT_SECRET_FILE", "/run/secret", 1);
  const auto options = Given({});
  unsetenv("PG_EXPORTER_API_LISTEN_ADDRESS");
  unsetenv("PG_EXPORTER_API_JWT_SECRET_FILE");
  EXPECT_EQ(options.listen_addresses,
            std::vector<std::string>{"127.0.0.1:9188"});
  EXPECT_EQ(options.auth.secret_file, "/run/secret");
}

TEST(ApiFlags, WantKeysWithAnAddressAndAnAddressWithKeys) {
  EXPECT_EQ(Complaint({kListen}),
            "the API has no keys to check tokens with; add "
            "--api.jwt-secret-file, --api.jwks-file or --api.jwks-url");
  EXPECT_EQ(Complaint({kKeys}),
            "there are keys for the API, and nowhere to serve it; add "
            "--api.listen-address, as in --api.listen-address=127.0.0.1:9188");
  EXPECT_EQ(Complaint({kListen, kKeys}), "");
}

TEST(ApiFlags, TakeAnOriginAsABrowserSendsIt) {
  for (const std::string origin :
       {"https://console.example.com", "http://localhost:5173",
        "http://[::1]:80"}) {
    const auto flag = "--api.cors-origin=" + origin;
    EXPECT_EQ(Complaint({kListen, kKeys, flag.c_str()}), "") << origin;
  }
  for (const std::string origin :
       {"*", "null", "console.example.com", "https://", "https://a.b/",
        "https://a.b/path", "https://*.b", "https://A.b", "ftp://a.b",
        "https://a b", "https://user@a.b"}) {
    const auto flag = "--api.cors-origin=" + origin;
    EXPECT_TRUE(
        Has(Complaint({kListen, kKeys, flag.c_str()}), "--api.cors-origin"))
        << origin;
  }
}

TEST(ApiFlags, AreRefusedOutOfRange) {
  for (const auto* flag :
       {"--api.requests-per-second=0", "--api.requests-per-second=-1",
        "--api.requests-per-second=nan", "--api.max-connections=0",
        "--api.max-connections=101", "--api.max-waiting=-1",
        "--api.max-listeners=0", "--api.max-listeners=1001",
        "--api.jwks-url=ftp://a.b", "--api.jwks-url=a.b"}) {
    const std::string name(flag, std::string(flag).find('='));
    EXPECT_TRUE(Has(Complaint({kListen, kKeys, flag}), name)) << flag;
  }
}

}  // namespace
