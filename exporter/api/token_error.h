// SPDX-License-Identifier: MIT
#pragma once

#include <stdexcept>
#include <string>

namespace meshhook::api {

// Why nobody was let in. The text is for the log; it never repeats any part of
// a token.
class TokenError : public std::runtime_error {
 public:
  enum class Why {
    kMissing,      // there is no token
    kRefused,      // there is one, and it does not hold
    kUnknownKey,   // the key that should have signed it is not known
    kUnavailable,  // nor could it be, as the keys could not be read yet
  };

  TokenError(Why why, const std::string& reason)
      : std::runtime_error(reason), why_(why) {}
  Why why() const { return why_; }

 private:
  Why why_;
};

}  // namespace meshhook::api
