// SPDX-License-Identifier: MIT
#include "tests/support/tokens.h"

#include <json/writer.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>

#include <ctime>
#include <stdexcept>
#include <vector>

namespace test {
namespace {

void Check(bool good) {
  if (!good) throw std::runtime_error("OpenSSL failed");
}

const unsigned char* Bytes(std::string_view text) {
  return reinterpret_cast<const unsigned char*>(text.data());
}

// A number's bytes, of the length that is wanted.
std::string Padded(const BIGNUM* number, int length) {
  std::string bytes(static_cast<size_t>(length), '\0');
  Check(BN_bn2binpad(number, reinterpret_cast<unsigned char*>(bytes.data()),
                     length) == length);
  return bytes;
}

// R and S, one behind the other, of a signature in DER.
std::string RAndS(const std::string& der, int length) {
  const unsigned char* at = Bytes(der);
  const std::unique_ptr<ECDSA_SIG, decltype(&ECDSA_SIG_free)> signature(
      d2i_ECDSA_SIG(nullptr, &at, static_cast<long>(der.size())),
      &ECDSA_SIG_free);
  Check(signature != nullptr);
  return Padded(ECDSA_SIG_get0_r(signature.get()), length) +
         Padded(ECDSA_SIG_get0_s(signature.get()), length);
}

}  // namespace

struct Signer::Pair {
  explicit Pair(EVP_PKEY* made) : key(made) { Check(key != nullptr); }
  ~Pair() { EVP_PKEY_free(key); }
  Pair(const Pair&) = delete;
  Pair& operator=(const Pair&) = delete;

  // Bytes of one coordinate.
  int Length() const { return (EVP_PKEY_get_bits(key) + 7) / 8; }

  EVP_PKEY* key;
};

Signer::Signer(std::string algorithm, std::string id)
    : algorithm_(std::move(algorithm)), id_(std::move(id)) {}

Signer Signer::Secret(const std::string& secret, const std::string& id) {
  Signer signer("HS256", id);
  signer.secret_ = secret;
  return signer;
}

Signer Signer::Rsa(const std::string& id, int bits) {
  Signer signer("RS256", id);
  signer.pair_ = std::make_shared<Pair>(EVP_RSA_gen(static_cast<size_t>(bits)));
  return signer;
}

Signer Signer::Ec(const std::string& id, const std::string& curve) {
  Signer signer("ES256", id);
  signer.pair_ = std::make_shared<Pair>(EVP_EC_gen(curve.c_str()));
  return signer;
}

std::string Base64Url(std::string_view bytes) {
  std::string text(bytes.size() / 3 * 4 + 5, '\0');
  text.resize(static_cast<size_t>(
      EVP_EncodeBlock(reinterpret_cast<unsigned char*>(text.data()),
                      Bytes(bytes), static_cast<int>(bytes.size()))));
  for (char& c : text) {
    if (c == '+') c = '-';
    if (c == '/') c = '_';
  }
  text.erase(text.find_last_not_of('=') + 1);
  return text;
}

std::string Signer::Sign(std::string_view bytes) const {
  if (pair_ == nullptr) {
    std::string signature(EVP_MAX_MD_SIZE, '\0');
    unsigned length = 0;
    Check(HMAC(EVP_sha256(), secret_.data(), static_cast<int>(secret_.size()),
               Bytes(bytes), bytes.size(),
               reinterpret_cast<unsigned char*>(signature.data()),
               &length) != nullptr);
    return signature.substr(0, length);
  }
  const std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context(
      EVP_MD_CTX_new(), &EVP_MD_CTX_free);
  Check(EVP_DigestSignInit(context.get(), nullptr, EVP_sha256(), nullptr,
                           pair_->key) == 1);
  size_t length = 0;
  Check(EVP_DigestSign(context.get(), nullptr, &length, Bytes(bytes),
                       bytes.size()) == 1);
  std::string signature(length, '\0');
  Check(EVP_DigestSign(context.get(),
                       reinterpret_cast<unsigned char*>(signature.data()),
                       &length, Bytes(bytes), bytes.size()) == 1);
  signature.resize(length);
  return algorithm_ == "RS256" ? signature : RAndS(signature, pair_->Length());
}

std::string Signer::Token(const std::string& header,
                          const std::string& claims) const {
  const auto text = Base64Url(header) + "." + Base64Url(claims);
  return text + "." + Base64Url(Sign(text));
}

std::string Signer::Token(const Json::Value& claims) const {
  Json::Value header;
  header["alg"] = algorithm_;
  header["typ"] = "JWT";
  if (!id_.empty()) header["kid"] = id_;
  return Token(Text(header), Text(claims));
}

// In base64url, as a JWK has it.
std::string Signer::Number(const char* name) const {
  BIGNUM* number = nullptr;
  Check(EVP_PKEY_get_bn_param(pair_->key, name, &number) == 1);
  const std::unique_ptr<BIGNUM, decltype(&BN_free)> owned(number, &BN_free);
  return Base64Url(Padded(
      number, algorithm_ == "RS256" ? BN_num_bytes(number) : pair_->Length()));
}

Json::Value Signer::Jwk() const {
  Json::Value jwk;
  if (!id_.empty()) jwk["kid"] = id_;
  jwk["alg"] = algorithm_;
  jwk["use"] = "sig";
  if (pair_ == nullptr) {
    jwk["kty"] = "oct";
    jwk["k"] = Base64Url(secret_);
  } else if (algorithm_ == "RS256") {
    jwk["kty"] = "RSA";
    jwk["n"] = Number(OSSL_PKEY_PARAM_RSA_N);
    jwk["e"] = Number(OSSL_PKEY_PARAM_RSA_E);
  } else {
    jwk["kty"] = "EC";
    jwk["crv"] = "P-256";
    jwk["x"] = Number(OSSL_PKEY_PARAM_EC_PUB_X);
    jwk["y"] = Number(OSSL_PKEY_PARAM_EC_PUB_Y);
  }
  return jwk;
}

Json::Value Signer::PrivateJwk() const {
  Json::Value jwk = Jwk();
  jwk["d"] = Number(algorithm_ == "RS256" ? OSSL_PKEY_PARAM_RSA_D
                                          : OSSL_PKEY_PARAM_PRIV_KEY);
  return jwk;
}

std::string Signer::PublicPem() const {
  const std::unique_ptr<BIO, decltype(&BIO_vfree)> buffer(BIO_new(BIO_s_mem()),
                                                          &BIO_vfree);
  Check(PEM_write_bio_PUBKEY(buffer.get(), pair_->key) == 1);
  char* text = nullptr;
  const auto size = BIO_get_mem_data(buffer.get(), &text);
  return {text, static_cast<size_t>(size)};
}

std::string Signer::PublicDer() const {
  std::string der(static_cast<size_t>(i2d_PUBKEY(pair_->key, nullptr)), '\0');
  auto* at = reinterpret_cast<unsigned char*>(der.data());
  Check(i2d_PUBKEY(pair_->key, &at) > 0);
  return der;
}

std::string JwksOf(const std::vector<Json::Value>& keys) {
  Json::Value jwks;
  jwks["keys"] = Json::arrayValue;
  for (const auto& key : keys) jwks["keys"].append(key);
  return Text(jwks);
}

Json::Value UserClaims(const std::string& subject) {
  const auto now = static_cast<Json::Int64>(std::time(nullptr));
  Json::Value claims;
  claims["iss"] = "https://project.example/auth/v1";
  claims["aud"] = "authenticated";
  claims["sub"] = subject;
  claims["role"] = "authenticated";
  claims["iat"] = now;
  claims["exp"] = now + 3600;
  return claims;
}

Json::Value ServiceClaims() {
  const auto now = static_cast<Json::Int64>(std::time(nullptr));
  Json::Value claims;
  claims["iss"] = "supabase";
  claims["ref"] = "project";
  claims["role"] = "service_role";
  claims["iat"] = now;
  claims["exp"] = now + 3600;
  return claims;
}

std::string Text(const Json::Value& value) {
  Json::StreamWriterBuilder builder;
  builder["indentation"] = "";
  return Json::writeString(builder, value);
}

}  // namespace test
