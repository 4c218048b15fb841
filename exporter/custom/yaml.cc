// SPDX-License-Identifier: MIT
#include "exporter/custom/yaml.h"

#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <cstdint>
#include <sstream>
#include <string_view>

#include "exporter/utf8.h"

namespace meshhook::yaml {
namespace {

int LineOf(const YAML::Mark& mark) { return std::max(mark.line, 0) + 1; }

// The parser would take U+0004 for the end of the file, and bytes that are no
// UTF-8 for something else.
void RefuseOddBytes(const std::string& text) {
  int line = 1;
  for (size_t at = 0; at < text.size();) {
    const size_t length = Utf8Length(std::string_view(text).substr(at));
    if (length == 0) {
      throw Error(line, "this is not UTF-8", "save the file as UTF-8");
    }
    const auto byte = static_cast<std::uint8_t>(text[at]);
    if ((byte < ' ' && byte != '\n' && byte != '\t' && byte != '\r') ||
        byte == 0x7F) {
      throw Error(line, "a control character stands here", "remove it");
    }
    if (byte == '\n') ++line;
    at += length;
  }
}

class Builder : public YAML::EventHandler {
 public:
  Node Take() { return std::move(root_); }

  void OnDocumentStart(const YAML::Mark& mark) override {
    if (++documents_ > 1) {
      throw Error(LineOf(mark), "a second document begins here",
                  "put it into a file of its own");
    }
  }
  void OnDocumentEnd() override {}

  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    RefuseAnchor(mark, anchor);
    Add({.kind = Kind::kNull, .line = LineOf(mark)});
  }
  void OnAlias(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    RefuseAnchor(mark, anchor);
  }
  void OnScalar(const YAML::Mark& mark, const std::string& tag,
                YAML::anchor_t anchor, const std::string& value) override {
    RefuseAnchor(mark, anchor);
    RefuseTag(mark, tag);
    Add({.kind = Kind::kText,
         .line = LineOf(mark),
         .text = value,
         .quoted = tag == "!"});
  }
  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag,
                       YAML::anchor_t anchor,
                       YAML::EmitterStyle::value /*style*/) override {
    RefuseAnchor(mark, anchor);
    RefuseTag(mark, tag);
    open_.push_back({.kind = Kind::kList, .line = LineOf(mark)});
  }
  void OnSequenceEnd() override { Close(); }
  void OnMapStart(const YAML::Mark& mark, const std::string& tag,
                  YAML::anchor_t anchor,
                  YAML::EmitterStyle::value /*style*/) override {
    RefuseAnchor(mark, anchor);
    RefuseTag(mark, tag);
    open_.push_back({.kind = Kind::kMap, .line = LineOf(mark)});
  }
  void OnMapEnd() override { Close(); }

 private:
  static void RefuseAnchor(const YAML::Mark& mark, YAML::anchor_t anchor) {
    if (anchor == YAML::NullAnchor) return;
    throw Error(LineOf(mark), "anchors (&) and aliases (*) are not read",
                "write it out; quote a text that begins with & or *");
  }

  // The parser's own are "?" for plain text and "!" for quoted.
  static void RefuseTag(const YAML::Mark& mark, const std::string& tag) {
    if (tag.empty() || tag == "?" || tag == "!") return;
    throw Error(LineOf(mark), "tags (!) are not read",
                "remove it; quote a text that begins with !");
  }

  void Close() {
    Node node = std::move(open_.back());
    open_.pop_back();
    Add(std::move(node));
  }

  void Add(Node node) {
    if (open_.empty()) {
      root_ = std::move(node);
      return;
    }
    Node& parent = open_.back();
    if (parent.kind == Kind::kList ||
        parent.keys.size() > parent.items.size()) {
      parent.items.push_back(std::move(node));
    } else if (node.kind == Kind::kText) {
      parent.keys.push_back(std::move(node));
    } else {
      throw Error(node.line, "a key must be a word",
                  "write KEY: VALUE; quote a text that has braces in it");
    }
  }

  Node root_;
  std::vector<Node> open_;
  int documents_ = 0;
};

}  // namespace

Node Parse(const std::string& text) {
  RefuseOddBytes(text);
  std::istringstream stream(text);
  Builder builder;
  try {
    YAML::Parser parser(stream);
    while (parser.HandleNextDocument(builder)) {
    }
  } catch (const YAML::Exception& error) {
    throw Error(LineOf(error.mark), "this is not YAML: " + error.msg,
                "look at the indentation and the quotes there");
  }
  return builder.Take();
}

}  // namespace meshhook::yaml
