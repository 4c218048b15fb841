// SPDX-License-Identifier: MIT
#include "exporter/custom/yaml.h"

#include <gtest/gtest.h>

namespace {

using meshhook::yaml::Kind;
using meshhook::yaml::Node;
using meshhook::yaml::Parse;

// The tree in one line, each thing behind its line.
std::string Shown(const Node& node) {
  std::string text = std::to_string(node.line);
  switch (node.kind) {
    case Kind::kNull:
      return text + "~";
    case Kind::kText:
      return text + (node.quoted ? "'" : "=") + node.text;
    case Kind::kList:
      text += "[";
      for (const auto& item : node.items) text += Shown(item) + " ";
      return text + "]";
    case Kind::kMap:
      text += "{";
      for (size_t i = 0; i < node.keys.size(); ++i) {
        text += Shown(node.keys[i]) + ": " + Shown(node.items[i]) + " ";
      }
      return text + "}";
  }
  return "";
}

TEST(Yaml, KnowsTheLineOfEachThing) {
  EXPECT_EQ(Shown(Parse("a: 1\nb:\n  - 'x'\n  - {c: \"y\", d: }\ne: |\n  q\n")),
            "1{1=a: 1=1 2=b: 3[3'x 4{4=c: 4'y 4=d: 4~ } ] 5=e: 5'q\n }");
}

TEST(Yaml, KeepsAKeyThatStandsTwice) {
  EXPECT_EQ(Shown(Parse("a: 1\na: 2\n")), "1{1=a: 1=1 2=a: 2=2 }");
}

TEST(Yaml, TakesWordsAsTheyAre) {
  EXPECT_EQ(Shown(Parse("on: no\n")), "1{1=on: 1=no }");
  EXPECT_EQ(Shown(Parse("v: 017\n")), "1{1=v: 1=017 }");
  EXPECT_EQ(Shown(Parse("ünï: ☃\n")), "1{1=ünï: 1=☃ }");
}

TEST(Yaml, HasNothingInAnEmptyText) {
  for (const char* empty : {"", "\n\n", "# a comment\n", "---\n", "~"}) {
    EXPECT_EQ(Parse(empty).kind, Kind::kNull) << empty;
  }
}

}  // namespace
