// SPDX-License-Identifier: MIT
#include "tests/support/pattern.h"

#include <regex>

namespace test {

bool Matches(const std::string& text, const std::string& pattern) {
  return std::regex_match(text, std::regex(pattern));
}

bool Contains(const std::string& text, const std::string& pattern) {
  return std::regex_search(text, std::regex(pattern));
}

std::string Replaced(const std::string& text, const std::string& pattern,
                     const std::string& by) {
  return std::regex_replace(text, std::regex(pattern), by);
}

}  // namespace test
