// SPDX-License-Identifier: MIT
#include "exporter/api/keys.h"

#include <algorithm>

#include "exporter/api/public_key.h"
#include "exporter/api/strict_json.h"
#include "exporter/api/token_error.h"
#include "exporter/errors.h"

namespace meshhook::api {
namespace {

constexpr size_t kShortestSecret = 32;  // bytes, as RFC 7518 has it for HS256
constexpr size_t kLongestId = 255;

// Why a key is of no use.
class Unusable : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// A member that must be a string where it is there at all.
std::string Text(const Json::Value& jwk, const char* name) {
  const Json::Value& value = jwk[name];
  if (value.isNull()) return "";
  if (!value.isString()) {
    throw Unusable(std::string("its `") + name + "` is not a string");
  }
  return value.asString();
}

bool MayVerify(const Json::Value& operations) {
  return operations.isNull() ||
         (operations.isArray() &&
          std::any_of(
              operations.begin(), operations.end(), [](const auto& operation) {
                return operation.isString() && operation.asString() == "verify";
              }));
}

Key ReadJwk(const Json::Value& jwk) {
  if (!jwk.isObject()) throw Unusable("it is not an object");
  const std::string type = Text(jwk, "kty");
  if (type == "oct") {
    throw Unusable("it is symmetric; give a secret as a file of its own");
  }
  if (type != "RSA" && type != "EC") {
    throw Unusable("its `kty` is neither RSA nor EC");
  }
  for (const char* secret : {"d", "p", "q"}) {
    if (jwk.isMember(secret)) {
      throw Unusable(
          "its private part is in the JWKS; whoever could read that can sign "
          "tokens, so make another key and publish only its public part");
    }
  }
  const bool rsa = type == "RSA";
  Key key{.id = Text(jwk, "kid"),
          .algorithm = rsa ? Algorithm::kRs256 : Algorithm::kEs256,
          .material = ""};
  if (key.id.size() > kLongestId) throw Unusable("its `kid` is too long");
  if (const auto use = Text(jwk, "use"); !use.empty() && use != "sig") {
    throw Unusable("its `use` is not sig");
  }
  if (!MayVerify(jwk["key_ops"])) throw Unusable("its `key_ops` lack verify");
  if (const auto name = Text(jwk, "alg");
      !name.empty() && AlgorithmNamed(name) != key.algorithm) {
    throw Unusable(rsa ? "its `alg` is not RS256" : "its `alg` is not ES256");
  }
  if (!rsa && Text(jwk, "crv") != "P-256") {
    throw Unusable("its `crv` is not P-256");
  }
  const auto pem = rsa ? RsaPem(Text(jwk, "n"), Text(jwk, "e"))
                       : P256Pem(Text(jwk, "x"), Text(jwk, "y"));
  if (!pem) {
    throw Unusable(rsa ? "`n` and `e` make no RSA key of 2048 bits or more"
                       : "`x` and `y` are no point of P-256");
  }
  key.material = *pem;
  return key;
}

}  // namespace

std::optional<Algorithm> AlgorithmNamed(std::string_view name) {
  if (name == "HS256") return Algorithm::kHs256;
  if (name == "ES256") return Algorithm::kEs256;
  if (name == "RS256") return Algorithm::kRs256;
  return std::nullopt;
}

Key SecretKey(std::string secret) {
  if (secret.size() < kShortestSecret) {
    throw UsageError("the secret that tokens are signed with is shorter than " +
                         std::to_string(kShortestSecret) + " bytes",
                     "give the project's own JWT secret, or make one with "
                     "openssl rand -hex 32 and sign with that");
  }
  return {
      .id = "", .algorithm = Algorithm::kHs256, .material = std::move(secret)};
}

Jwks ReadJwks(std::string_view text) {
  constexpr auto kRemedy =
      "give a JWKS with a public key for ES256 (P-256) or RS256 (2048 bits or "
      "more), as a project's .well-known/jwks.json is";
  const auto document = ParseObject(text);
  if (!document || !(*document)["keys"].isArray()) {
    throw UsageError("it is not a JWKS: an object with an array `keys`",
                     kRemedy);
  }
  Jwks read;
  int number = 0;
  for (const auto& jwk : (*document)["keys"]) {
    ++number;
    try {
      read.keys.push_back(ReadJwk(jwk));
    } catch (const Unusable& error) {
      read.skipped.push_back("key " + std::to_string(number) + ": " +
                             error.what());
    }
  }
  if (read.keys.empty()) {
    throw UsageError(read.skipped.empty()
                         ? "it holds no key"
                         : "it holds no key of use; " + read.skipped.front(),
                     kRemedy);
  }
  return read;
}

}  // namespace meshhook::api
