// SPDX-License-Identifier: MIT
#include "exporter/api/strict_json.h"

#include <json/reader.h>
#include <json/writer.h>

#include <algorithm>
#include <charconv>
#include <memory>

#include "exporter/utf8.h"

namespace meshhook::api {
namespace {

bool IsUtf8(std::string_view text) {
  while (!text.empty()) {
    const size_t length = Utf8Length(text);
    if (length == 0) return false;
    text.remove_prefix(length);
  }
  return true;
}

// Reads the words of a text as RFC 8259 has them. jsoncpp then sees to their
// order; of the words themselves it lets through comments, numbers such as 01,
// line ends inside strings and surrogates that are no pair.
class Words {
 public:
  explicit Words(std::string_view text) : rest_(text) {}

  bool AreGood() {
    while (!rest_.empty()) {
      const char c = rest_.front();
      const bool good = std::string_view(" \t\r\n{}[],:").find(c) != rest_.npos
                            ? Take(c)
                        : c == '"' ? String()
                        : c >= 'a' ? Name()
                                   : Number();
      if (!good) return false;
    }
    return true;
  }

 private:
  bool Take(char c) {
    const bool there = !rest_.empty() && rest_.front() == c;
    if (there) rest_.remove_prefix(1);
    return there;
  }

  bool TakeAny(std::string_view any) {
    return std::any_of(any.begin(), any.end(),
                       [this](char c) { return Take(c); });
  }

  bool Name() {
    for (const std::string_view name : {"true", "false", "null"}) {
      if (rest_.starts_with(name)) {
        rest_.remove_prefix(name.size());
        return true;
      }
    }
    return false;
  }

  bool Digits() {
    const size_t count =
        std::min(rest_.find_first_not_of("0123456789"), rest_.size());
    rest_.remove_prefix(count);
    return count > 0;
  }

  bool Number() {
    Take('-');
    if (!Take('0') && !Digits()) return false;
    if (Take('.') && !Digits()) return false;
    if (TakeAny("eE")) {
      TakeAny("+-");
      if (!Digits()) return false;
    }
    // Not 01, nor two numbers with nothing between them.
    return rest_.empty() ||
           std::string_view(" \t\r\n,]}").find(rest_.front()) != rest_.npos;
  }

  // The code unit of \uXXXX, after the u; nullopt where there is none.
  std::optional<unsigned> Unit() {
    const auto digits = rest_.substr(0, 4);
    const auto* end = digits.data() + digits.size();
    unsigned unit = 0;
    if (digits.size() < 4 ||
        std::from_chars(digits.data(), end, unit, 16).ptr != end) {
      return std::nullopt;
    }
    rest_.remove_prefix(4);
    return unit;
  }

  bool Escape() {
    if (TakeAny("\"\\/bfnrt")) return true;
    if (!Take('u')) return false;
    const auto unit = Unit();
    if (!unit || *unit == 0) return false;
    if (*unit < 0xD800 || *unit > 0xDFFF) return true;
    // The first half of a pair, and the second.
    if (*unit > 0xDBFF || !Take('\\') || !Take('u')) return false;
    const auto second = Unit();
    return second && *second >= 0xDC00 && *second <= 0xDFFF;
  }

  bool String() {
    Take('"');
    while (!Take('"')) {
      if (rest_.empty()) return false;
      const auto byte = static_cast<unsigned char>(rest_.front());
      if (byte < 0x20) return false;
      rest_.remove_prefix(1);
      if (byte == '\\' && !Escape()) return false;
    }
    return true;
  }

  std::string_view rest_;
};

std::unique_ptr<Json::CharReader> StrictReader() {
  Json::CharReaderBuilder builder;
  Json::CharReaderBuilder::strictMode(&builder.settings_);
  builder["stackLimit"] = kDeepestJson;
  builder["skipBom"] = false;
  return std::unique_ptr<Json::CharReader>(builder.newCharReader());
}

}  // namespace

std::optional<Json::Value> ParseJson(std::string_view text) {
  if (!IsUtf8(text) || !Words(text).AreGood()) return std::nullopt;
  try {
    Json::Value value;
    if (!StrictReader()->parse(text.data(), text.data() + text.size(), &value,
                               nullptr)) {
      return std::nullopt;
    }
    return value;
  } catch (const Json::Exception&) {  // how it says that it is too deep
    return std::nullopt;
  }
}

std::optional<Json::Value> ParseObject(std::string_view text) {
  auto value = ParseJson(text);
  if (value && !value->isObject()) return std::nullopt;
  return value;
}

std::string ToLine(const Json::Value& value, int digits) {
  Json::StreamWriterBuilder builder;
  builder["indentation"] = "";
  builder["commentStyle"] = "None";
  builder["precision"] = digits;
  return Json::writeString(builder, value);
}

}  // namespace meshhook::api
