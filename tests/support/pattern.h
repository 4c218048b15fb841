// SPDX-License-Identifier: MIT
// Regular expressions, in a file of their own: a test that includes <regex>
// takes three times as long to compile.
#pragma once

#include <string>

namespace test {

// All of the text.
bool Matches(const std::string& text, const std::string& pattern);
// Some part of it.
bool Contains(const std::string& text, const std::string& pattern);
// The text with each match replaced.
std::string Replaced(const std::string& text, const std::string& pattern,
                     const std::string& by);

}  // namespace test
