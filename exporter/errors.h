// SPDX-License-Identifier: MIT
// The exceptions that cross parts of the program. Three places catch them: a
// collector in a scrape, a request, and main.
#pragma once

#include <stdexcept>
#include <string>

namespace meshhook {

// Something the operator can mend: what is wrong and how to mend it, in one
// line each. main prints both and exits with status 2.
class UsageError : public std::runtime_error {
 public:
  UsageError(const std::string& what, std::string remedy)
      : std::runtime_error(what), remedy_(std::move(remedy)) {}
  const std::string& remedy() const { return remedy_; }

 private:
  std::string remedy_;
};

}  // namespace meshhook
