// SPDX-License-Identifier: MIT
// Tokens and key sets. The first character of an input says what the rest is:
//   T  a token. Nobody knows the private keys here, so none may ever hold
//   S  a header, a line end and claims, to be signed with the secret
//   J  a JWKS
#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <iostream>
#include <optional>
#include <string>

#include "exporter/api/strict_json.h"
#include "exporter/api/token.h"
#include "exporter/errors.h"
#include "tests/support/tokens.h"

namespace {

using meshhook::api::Caller;
using meshhook::api::KeySet;
using std::chrono::seconds;
using std::chrono::system_clock;

constexpr auto kSecret = "a secret of a project, 32 bytes or more";
constexpr system_clock::time_point kNow(seconds(2'000'000'000));

// Public keys whose private parts were thrown away.
constexpr auto kJwks =
    R"({"keys": [
    {"kid": "ec", "kty": "EC", "crv": "P-256",
     "x": "6_46CUMGniB9egTHfW2m2VL16vqs8grKwwU15gNBXMA",
     "y": "rF_iioqK4hzHTDMw7tCg1P5aRmYfxXULnb-FY_Y2Gws"},
    {"kid": "rsa", "kty": "RSA", "e": "AQAB",
     "n": ")"
    "wJWTZynYwWjMtryTb32cVWYvmGyqtbKB3Gik8XcMEAJvu6PwA7kBnw9mhDz_XJLvKMJXZJ"
    "VguVmHAvlfZoBd0lHQ-pO42f33p3xcaY63QiW-cW09C8pTnEoUU_-Vjdj22Gddt_8e5Gjh"
    "snnyh4OTTPsSYdRqVD3B1tC4NM9Mj3L7Nt_JbkN92IVRUA3XQ57q3qm7H257GYAuyBgBOm"
    "3lmeRLITABP-Bk9tKxn4QbED7TIcHuG0_48SmIhbQFugjlCKHWzyyurWHDBN_Y4rNmZsTU"
    "ik2zx3luT636aDUpNLeaunks74-ucMLuZvKLjkaozXy2_DTh8XcefFqAqlr8Iw"
    R"("}]})";

void Check(bool holds, const char* what) {
  if (holds) return;
  std::cerr << what << '\n';
  std::abort();
}

// Who is let in; nobody where the token is refused.
std::optional<Caller> Verified(const std::string& token, const KeySet& keys) {
  const meshhook::api::TokenRules rules{.audience = "authenticated",
                                        .issuer = ""};
  try {
    return Verify(token, keys, rules, kNow);
  } catch (const meshhook::api::TokenError&) {
    return std::nullopt;
  }
}

const KeySet& Keys() {
  static const auto keys = [] {
    auto all = meshhook::api::ReadJwks(kJwks).keys;
    all.push_back(meshhook::api::SecretKey(kSecret));
    return KeySet(all);
  }();
  return keys;
}

void TryToken(const std::string& token) {
  Check(!Verified(token, Keys()), "it took a token that nobody signed");
}

void TrySigned(const std::string& text) {
  static const auto signer = test::Signer::Secret(kSecret);
  const size_t end = std::min(text.find('\n'), text.size());
  const auto claims = text.substr(std::min(end + 1, text.size()));
  const auto caller =
      Verified(signer.Token(text.substr(0, end), claims), Keys());
  if (!caller) return;
  const bool service = caller->role == "service_role";
  Check(service || caller->role == "authenticated", "it took that role");
  Check(service || caller->subject.size() == 36, "it took that subject");
  Check(!caller->subject.empty(), "it took nobody");
  Check(caller->expires > kNow - seconds(60), "it took an old token");
  Check(caller->claims.find('\n') == std::string::npos, "there are lines");
  Check(meshhook::api::ParseObject(caller->claims) ==
            meshhook::api::ParseObject(claims),
        "the claims are not those of the token");
}

void TryJwks(const std::string& text) {
  try {
    const auto read = meshhook::api::ReadJwks(text);
    const KeySet keys(read.keys);
    Check(!keys.empty(), "there is no key, and no error");
    for (const auto& key : read.keys) {
      Check(key.material.starts_with("-----BEGIN PUBLIC KEY-----\n"),
            "it is no public key");
      keys.Find(key.id, key.algorithm);
    }
  } catch (const meshhook::UsageError&) {
  } catch (const meshhook::api::TokenError&) {  // several without an id
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  constexpr int kGoOn = 0;
  if (size == 0) return kGoOn;
  const std::string rest(reinterpret_cast<const char*>(data) + 1, size - 1);
  if (data[0] == 'T') TryToken(rest);
  if (data[0] == 'S') TrySigned(rest);
  if (data[0] == 'J') TryJwks(rest);
  return kGoOn;
}
