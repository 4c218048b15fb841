// SPDX-License-Identifier: MIT
// Tokens and their keys, made with OpenSSL alone: what checks them in the
// program is another's work.
#pragma once

#include <json/value.h>

#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace test {

std::string Base64Url(std::string_view bytes);

// A key that signs tokens. Copies are the same key.
class Signer {
 public:
  static Signer Secret(const std::string& secret, const std::string& id = "");
  static Signer Rsa(const std::string& id = "", int bits = 2048);
  // The curve by OpenSSL's name.
  static Signer Ec(const std::string& id = "",
                   const std::string& curve = "prime256v1");

  // A token of these claims, whose header has `alg`, `typ` and, where the key
  // has an id, `kid`.
  std::string Token(const Json::Value& claims) const;
  // A token of these very texts, signed as this key does.
  std::string Token(const std::string& header, const std::string& claims) const;
  // What signs these bytes: HMAC, RSA (PKCS #1) or R and S, with SHA-256.
  std::string Sign(std::string_view bytes) const;

  Json::Value Jwk() const;         // its public part
  Json::Value PrivateJwk() const;  // with what signs
  std::string PublicPem() const;
  std::string PublicDer() const;

 private:
  struct Pair;  // of OpenSSL
  Signer(std::string algorithm, std::string id);

  std::string Number(const char* name) const;

  std::string algorithm_;
  std::string id_;
  std::string secret_;
  std::shared_ptr<Pair> pair_;
};

// A JWKS of keys, as text.
std::string JwksOf(const std::vector<Json::Value>& keys);

// Claims as a project's own tokens have them, good for an hour from now.
Json::Value UserClaims(const std::string& subject);
Json::Value ServiceClaims();

// In one line.
std::string Text(const Json::Value& value);

}  // namespace test
