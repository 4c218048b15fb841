// SPDX-License-Identifier: MIT
#include "exporter/custom/sql_text.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <string_view>

namespace meshhook {
namespace {

bool IsSpace(char c) { return std::isspace(static_cast<unsigned char>(c)); }
bool IsWord(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) || c == '_' || c == '$' ||
         static_cast<unsigned char>(c) >= 0x80;
}

// Goes through SQL by what PostgreSQL's lexer takes for one thing, as far as
// that matters to where a statement ends.
class Lexer {
 public:
  explicit Lexer(std::string_view sql) : sql_(sql) {}

  // The next thing that is neither space nor comment: a word, or the first
  // character of anything else. "" at the end.
  std::string_view Next() {
    SkipSpace();
    start_ = at_;
    if (at_ >= sql_.size()) return {};
    const char c = sql_[at_];
    if (c == '\'') {
      SkipQuote('\'', false);
    } else if (c == '"') {
      SkipQuote('"', false);
    } else if (c == '$' && SkipDollarQuote()) {
      return sql_.substr(start_, 1);
    } else if (IsWord(c)) {
      while (at_ < sql_.size() && IsWord(sql_[at_])) ++at_;
      const auto word = sql_.substr(start_, at_ - start_);
      if ((word == "E" || word == "e") && Starts("'")) SkipQuote('\'', true);
      return word;
    } else {
      ++at_;
    }
    return sql_.substr(start_, 1);
  }

  size_t start() const { return start_; }
  bool open() const { return open_; }  // whether a quote or comment is not shut

 private:
  bool Starts(std::string_view text) const {
    return sql_.substr(at_, text.size()) == text;
  }

  void SkipSpace() {
    while (at_ < sql_.size()) {
      if (IsSpace(sql_[at_])) {
        ++at_;
      } else if (Starts("--")) {
        at_ = std::min(sql_.find('\n', at_), sql_.size());
      } else if (Starts("/*")) {
        SkipComment();
      } else {
        return;
      }
    }
  }

  void SkipComment() {  // which may hold others
    int depth = 0;
    do {
      if (at_ >= sql_.size()) {
        open_ = true;
        return;
      }
      const int step = Starts("/*") ? 1 : Starts("*/") ? -1 : 0;
      depth += step;
      at_ += step == 0 ? 1 : 2;
    } while (depth > 0);
  }

  // A doubled quote ends one text and begins the next, which is as good.
  void SkipQuote(char quote, bool backslashes) {
    for (++at_; at_ < sql_.size(); ++at_) {
      if (backslashes && sql_[at_] == '\\') {
        ++at_;
      } else if (sql_[at_] == quote) {
        ++at_;
        return;
      }
    }
    at_ = sql_.size();
    open_ = true;
  }

  bool SkipDollarQuote() {
    const size_t end = sql_.find('$', at_ + 1);
    if (end == sql_.npos) return false;
    const auto tag = sql_.substr(at_, end + 1 - at_);
    const auto name = tag.substr(1, tag.size() - 2);
    if (!std::all_of(name.begin(), name.end(), IsWord) ||
        (!name.empty() && std::isdigit(static_cast<unsigned char>(name[0])))) {
      return false;
    }
    const size_t close = sql_.find(tag, end + 1);
    open_ = close == sql_.npos;
    at_ = open_ ? sql_.size() : close + tag.size();
    return true;
  }

  std::string_view sql_;
  size_t at_ = 0;
  size_t start_ = 0;
  bool open_ = false;
};

std::string Upper(std::string_view word) {
  std::string upper(word);
  for (char& c : upper) {
    c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  }
  return upper;
}

}  // namespace

Statement OneStatement(const std::string& sql) {
  Lexer lexer(sql);
  const auto first = lexer.Next();
  if (first.empty() && !lexer.open()) return {sql, "is empty"};
  size_t end = sql.size();
  for (auto thing = first; !thing.empty(); thing = lexer.Next()) {
    if (thing == ";") {
      end = std::min(end, lexer.start());
    } else if (end < sql.size()) {
      return {sql, "has several statements"};
    }
  }
  if (lexer.open()) return {sql, "has a quote or a comment without an end"};
  constexpr std::array<std::string_view, 5> kRows{"SELECT", "WITH", "VALUES",
                                                  "TABLE", "("};
  if (std::find(kRows.begin(), kRows.end(), Upper(first)) == kRows.end()) {
    return {sql, "begins with none of SELECT, WITH, VALUES and TABLE"};
  }
  return {sql.substr(0, end)};
}

}  // namespace meshhook
