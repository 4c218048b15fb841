// SPDX-License-Identifier: MIT
#include "exporter/api/public_key.h"

#include <openssl/bio.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/pem.h>

#include <memory>

#include "exporter/api/base64url.h"

namespace meshhook::api {
namespace {

constexpr int kFewestBits = 2048;
constexpr int kMostBits = 8192;          // a token is not worth more time
constexpr size_t kLongestExponent = 8;   // bytes, for the same reason
constexpr size_t kCoordinateBytes = 32;  // of P-256

template <auto free>
struct Freed {
  template <typename T>
  void operator()(T* it) const {
    free(it);
  }
};
using Number = std::unique_ptr<BIGNUM, Freed<BN_free>>;
using Builder = std::unique_ptr<OSSL_PARAM_BLD, Freed<OSSL_PARAM_BLD_free>>;
using Parameters = std::unique_ptr<OSSL_PARAM, Freed<OSSL_PARAM_free>>;
using Context = std::unique_ptr<EVP_PKEY_CTX, Freed<EVP_PKEY_CTX_free>>;
using PublicKey = std::unique_ptr<EVP_PKEY, Freed<EVP_PKEY_free>>;
using Buffer = std::unique_ptr<BIO, Freed<BIO_vfree>>;

// Others who use OpenSSL in this thread would take old errors for their own.
struct ForgetErrors {
  ~ForgetErrors() { ERR_clear_error(); }
};

Number NumberOf(const std::string& bytes) {
  return Number(BN_bin2bn(reinterpret_cast<const unsigned char*>(bytes.data()),
                          static_cast<int>(bytes.size()), nullptr));
}

// nullptr where the parameters are no key.
PublicKey KeyOf(const char* type, const Builder& builder) {
  const Parameters parameters(OSSL_PARAM_BLD_to_param(builder.get()));
  const Context making(EVP_PKEY_CTX_new_from_name(nullptr, type, nullptr));
  EVP_PKEY* made = nullptr;
  if (parameters == nullptr || making == nullptr ||
      EVP_PKEY_fromdata_init(making.get()) != 1 ||
      EVP_PKEY_fromdata(making.get(), &made, EVP_PKEY_PUBLIC_KEY,
                        parameters.get()) != 1) {
    return nullptr;
  }
  PublicKey key(made);
  const Context checking(
      EVP_PKEY_CTX_new_from_pkey(nullptr, key.get(), nullptr));
  if (checking == nullptr || EVP_PKEY_public_check(checking.get()) != 1) {
    return nullptr;
  }
  return key;
}

std::optional<std::string> PemOf(const PublicKey& key) {
  if (key == nullptr) return std::nullopt;
  const Buffer buffer(BIO_new(BIO_s_mem()));
  char* text = nullptr;
  if (buffer == nullptr || PEM_write_bio_PUBKEY(buffer.get(), key.get()) != 1) {
    return std::nullopt;
  }
  const auto size = BIO_get_mem_data(buffer.get(), &text);
  return std::string(text, static_cast<size_t>(size));
}

}  // namespace

std::optional<std::string> RsaPem(std::string_view modulus,
                                  std::string_view exponent) {
  const ForgetErrors forget;
  const auto n = DecodeBase64Url(modulus);
  const auto e = DecodeBase64Url(exponent);
  if (!n || !e || n->size() > kMostBits / 8 || e->size() > kLongestExponent) {
    return std::nullopt;
  }
  const Number n_number = NumberOf(*n);
  const Number e_number = NumberOf(*e);
  const Builder builder(OSSL_PARAM_BLD_new());
  if (n_number == nullptr || e_number == nullptr || builder == nullptr ||
      BN_num_bits(n_number.get()) < kFewestBits ||
      OSSL_PARAM_BLD_push_BN(builder.get(), OSSL_PKEY_PARAM_RSA_N,
                             n_number.get()) != 1 ||
      OSSL_PARAM_BLD_push_BN(builder.get(), OSSL_PKEY_PARAM_RSA_E,
                             e_number.get()) != 1) {
    return std::nullopt;
  }
  return PemOf(KeyOf("RSA", builder));
}

std::optional<std::string> P256Pem(std::string_view x, std::string_view y) {
  const ForgetErrors forget;
  const auto x_bytes = DecodeBase64Url(x);
  const auto y_bytes = DecodeBase64Url(y);
  if (!x_bytes || !y_bytes || x_bytes->size() != kCoordinateBytes ||
      y_bytes->size() != kCoordinateBytes) {
    return std::nullopt;
  }
  const std::string point = '\x04' + *x_bytes + *y_bytes;  // not compressed
  const Builder builder(OSSL_PARAM_BLD_new());
  if (builder == nullptr ||
      OSSL_PARAM_BLD_push_utf8_string(builder.get(), OSSL_PKEY_PARAM_GROUP_NAME,
                                      "prime256v1", 0) != 1 ||
      OSSL_PARAM_BLD_push_octet_string(builder.get(), OSSL_PKEY_PARAM_PUB_KEY,
                                       point.data(), point.size()) != 1) {
    return std::nullopt;
  }
  return PemOf(KeyOf("EC", builder));
}

}  // namespace meshhook::api
