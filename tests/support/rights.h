// SPDX-License-Identifier: MIT
// What a role may do in schema metrics, by the catalogue and by trying.
#pragma once

#include <string>
#include <vector>

#include "tests/support/database.h"

namespace test {

// Every right of the role on anything there, a line each: "SELECT ON x". The
// role `public` stands for everybody.
std::string RightsOf(Database& db, const std::string& role);

// A statement for each relation and function there that uses it: a SELECT, or
// a call with nothing but NULL. Functions that are strict are left out, as such
// a call of them need not happen.
struct Use {
  std::string object;  // as RightsOf() has it: "SELECT ON x", "EXECUTE ON f()"
  std::string statement;
};
std::vector<Use> Uses(Database& db);

}  // namespace test
