// SPDX-License-Identifier: MIT
// The keys that tokens are checked with. Each has one algorithm, which is the
// key's own and never the token's choice.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace meshhook::api {

enum class Algorithm { kHs256, kEs256, kRs256 };

// As a token's header names it; nullopt for any other, `none` among them.
std::optional<Algorithm> AlgorithmNamed(std::string_view name);

struct Key {
  std::string id;  // what a token's `kid` says, or ""
  Algorithm algorithm;
  std::string material;  // the secret itself, or a public key as PEM

  bool operator==(const Key&) const = default;
};

// The secret that a project signs HS256 with. Throws UsageError where it is
// shorter than the hash, and so could be guessed sooner than it.
Key SecretKey(std::string secret);

struct Jwks {
  std::vector<Key> keys;
  std::vector<std::string> skipped;  // keys of no use here, and why
};

// The public keys of a JWKS (RFC 7517): RSA from 2048 bits for RS256, P-256 for
// ES256. Symmetric keys never come from one, and private ones must not be in
// it. Throws UsageError where there is none of use.
Jwks ReadJwks(std::string_view text);

// Immutable, so threads may share it.
class KeySet {
 public:
  KeySet() = default;
  // Of two with the same id and algorithm the first counts.
  explicit KeySet(const std::vector<Key>& keys);

  bool empty() const { return keys_.empty(); }
  bool operator==(const KeySet&) const = default;

  // The key for a token with this `kid`, if it has one. A key without an id may
  // have signed any token of its algorithm. Throws TokenError where there is
  // none, or more than one.
  const Key& Find(const std::optional<std::string>& id,
                  Algorithm algorithm) const;

 private:
  std::vector<Key> keys_;
};

}  // namespace meshhook::api
