// SPDX-License-Identifier: MIT
// What must be so of every page of metrics, whatever has gone wrong.
#pragma once

#include <set>
#include <string>

namespace test {

// What keeps Prometheus from taking the page, or would make it take it wrongly:
// a line it cannot read, a family in two pieces, a series twice. "" if nothing.
std::string SyntaxFault(const std::string& page);

// Samples of collectors that failed, or that nobody could have asked as the
// database is away. "" if there are none.
std::string PieceOfAFailure(const std::string& page);

// The collectors that failed, as the page says; those that succeeded.
std::set<std::string> Failed(const std::string& page);
std::set<std::string> Succeeded(const std::string& page);

// The names of the families that have a sample.
std::set<std::string> Families(const std::string& page);

}  // namespace test
