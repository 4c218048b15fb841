// SPDX-License-Identifier: MIT
// YAML as a person writes a configuration in it: text, lists and maps, and the
// line that each stands on. What makes a file mean more than it shows (anchors,
// aliases, tags, several documents) is refused.
#pragma once

#include <stdexcept>
#include <string>
#include <vector>

namespace meshhook::yaml {

enum class Kind { kNull, kText, kList, kMap };

struct Node {
  Kind kind = Kind::kNull;
  int line = 1;
  std::string text = {};         // of a text, as it reads without its quotes
  bool quoted = false;           // so that "true" is no boolean
  std::vector<Node> items = {};  // of a list, or the values of a map
  std::vector<Node> keys = {};   // of a map, all text; an item each
};

// Why a text is not taken, and where.
class Error : public std::runtime_error {
 public:
  Error(int line, const std::string& what, std::string remedy)
      : std::runtime_error(what), line_(line), remedy_(std::move(remedy)) {}
  int line() const { return line_; }
  const std::string& remedy() const { return remedy_; }

 private:
  int line_;
  std::string remedy_;
};

// A key may stand in a map twice; the reader of the map knows what to call it.
// Throws Error.
Node Parse(const std::string& text);

}  // namespace meshhook::yaml
