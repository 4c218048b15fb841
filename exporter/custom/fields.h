// SPDX-License-Identifier: MIT
// What a file of custom collectors may hold: the fields as data, and the check
// of a file against them.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "exporter/custom/yaml.h"

namespace meshhook {

enum class FieldType {
  kText,
  kBoolean,
  kNumber,
  kTexts,  // a list
  kPairs,  // a map of texts
  kGroup,  // a map that has fields of its own
  kGroups  // a list of such maps
};

struct Field {
  std::string of;    // the group it stands in; "": the file
  std::string name;  // a group's fields are those that are `of` it
  FieldType type;
  bool required;
  std::string example;  // in one line
};

const std::vector<Field>& CustomFields();

// As the reference says it: "text", "list of names".
std::string_view TypeText(FieldType type);

// What is wrong in a file, or better done otherwise.
struct FileFault {
  std::string file;
  int line;  // 0: the file as such
  std::string what;
  std::string remedy;
};

// A text of the file as a message can hold it: in quotes, one line, not long.
std::string Quoted(const std::string& text);

// FILE:LINE: what; to mend it: remedy
std::string Text(const FileFault& fault);

// The faults of one file, in the order they are found.
class Faults {
 public:
  explicit Faults(std::string file) : file_(std::move(file)) {}

  void Add(int line, const std::string& what, const std::string& remedy) {
    all_.push_back({file_, line, context_ + what, remedy});
  }
  // What the next faults are in: "collector \"orders\""; "" for the file.
  void In(const std::string& context) {
    context_ = context.empty() ? "" : context + ": ";
  }
  const std::vector<FileFault>& all() const { return all_; }

 private:
  std::string file_;
  std::string context_;
  std::vector<FileFault> all_;
};

// The value of that key in a map; nullptr where it has none.
const yaml::Node* Find(const yaml::Node& map, std::string_view key);

// The items of the list there; none where it is no list of that kind alone.
std::vector<yaml::Node> ItemsOf(const yaml::Node& map, std::string_view key,
                                yaml::Kind kind);

// The line of that value, or of the map that lacks it.
int LineOf(const yaml::Node& map, std::string_view key);

// Whether it is true; only for a text that CheckFields() took.
bool IsTrue(const yaml::Node& boolean);

// Keys that are unknown, doubled or missing, and values of the wrong type, in
// the map and all in it save the groups of a list, which are for the caller to
// go through.
void CheckFields(const yaml::Node& map, std::string_view group, Faults& faults);

}  // namespace meshhook
