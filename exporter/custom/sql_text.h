// SPDX-License-Identifier: MIT
// What can be said of a statement without a server.
#pragma once

#include <string>

namespace meshhook {

struct Statement {
  std::string text;        // without the semicolon it may end in
  std::string fault = {};  // why it cannot be a collector's query; "": it can
};

// One statement that gives rows, as the extended protocol and a limit around
// it want it.
Statement OneStatement(const std::string& sql);

}  // namespace meshhook
