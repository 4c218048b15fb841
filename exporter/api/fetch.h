// SPDX-License-Identifier: MIT
// Reading a small document by HTTP.
#pragma once

#include <chrono>
#include <stdexcept>
#include <string>

namespace meshhook::api {

// Its text repeats no more of a URL than ShownUrl() does.
class FetchError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// The URL without what may be secret: user, password, query and fragment.
// Throws UsageError where it is no http or https URL.
std::string ShownUrl(const std::string& url);

// The body of an answer 200 to a GET. Follows no redirect, and trusts only the
// system's certificates. Throws FetchError, also where it is larger or takes
// longer than allowed.
std::string Fetch(const std::string& url, size_t most_bytes,
                  std::chrono::milliseconds patience);

}  // namespace meshhook::api
