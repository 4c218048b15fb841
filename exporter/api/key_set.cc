// SPDX-License-Identifier: MIT
#include <algorithm>

#include "exporter/api/keys.h"
#include "exporter/api/token_error.h"

namespace meshhook::api {

using Why = TokenError::Why;

KeySet::KeySet(const std::vector<Key>& keys) {
  for (const auto& key : keys) {
    const bool known =
        std::any_of(keys_.begin(), keys_.end(), [&key](const Key& other) {
          return key == other || (!key.id.empty() && key.id == other.id &&
                                  key.algorithm == other.algorithm);
        });
    if (!known) keys_.push_back(key);
  }
}

const Key& KeySet::Find(const std::optional<std::string>& id,
                        Algorithm algorithm) const {
  bool named = false;
  for (const auto& key : keys_) {
    if (!id || id->empty() || key.id != *id) continue;
    if (key.algorithm == algorithm) return key;
    named = true;
  }
  if (named) {
    throw TokenError(Why::kRefused, "its key is one of another algorithm");
  }
  const Key* found = nullptr;
  for (const auto& key : keys_) {
    if (key.algorithm != algorithm || (id && !key.id.empty())) continue;
    if (found != nullptr) {
      throw TokenError(Why::kRefused,
                       "it does not say which of several keys signed it");
    }
    found = &key;
  }
  if (found == nullptr) {
    throw TokenError(Why::kUnknownKey, "no key is known that it names");
  }
  return *found;
}

}  // namespace meshhook::api
