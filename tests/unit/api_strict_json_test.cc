// SPDX-License-Identifier: MIT
#include <gtest/gtest.h>

#include "exporter/api/strict_json.h"

namespace {

using meshhook::api::kDeepestJson;
using meshhook::api::ParseObject;
using meshhook::api::ToLine;

std::string Nested(int depth) {
  const auto lists = static_cast<size_t>(depth - 1);
  return "{\"a\":" + std::string(lists, '[') + std::string(lists, ']') + "}";
}

TEST(StrictJson, TakesAnObjectAndWritesItInALineOfAscii) {
  const auto object = ParseObject(
      " {\"b\": [1, -2.5, true, null],\n\"a\": "
      "{\"\\u00e4\\ud83d\\ude00\\n\": \"ä\"}} ");
  ASSERT_TRUE(object);
  EXPECT_EQ(
      ToLine(*object),
      R"({"a":{"\u00e4\ud83d\ude00\n":"\u00e4"},"b":[1,-2.5,true,null]})");
}

TEST(StrictJson, RefusesWhatIsNoObject) {
  for (const char* text :
       {"", " ", "[]", "1", "\"{}\"", "null", "true", "{", "}", "{]", "{\"a\"}",
        "{\"a\":}", "{a:1}", "{'a':1}", "{\"a\":1,}", "{\"a\":nan}",
        "{\"a\":Infinity}", "{\"a\":1e999}", "{\"a\":\"\\x41\"}"}) {
    EXPECT_FALSE(ParseObject(text)) << text;
  }
}

TEST(StrictJson, RefusesWhatCouldBeReadInTwoWays) {
  using namespace std::string_view_literals;
  for (const auto text : {"{\"a\":1,\"a\":1}"sv, "{\"a\":1,\"\\u0061\":2}"sv,
                          "{\"b\":{\"a\":1,\"a\":2}}"sv, "{}{}"sv, "{} x"sv,
                          "{}\0"sv, "{\"a\":1}\0{\"a\":2}"sv, "{\"a\":1/**/}"sv,
                          "{}//"sv, "\xEF\xBB\xBF{}"sv}) {
    EXPECT_FALSE(ParseObject(text)) << text;
  }
}

TEST(StrictJson, TakesEachKindOfWord) {
  for (const char* word :
       {"0", "-0", "10", "-1.50", "1e5", "1E+5", "0.1e-05", "true", "false",
        "null", R"("")", R"("\"\\\/\b\f\n\r\t")", R"("\u00e4\uD83d\uDE00")",
        "\"\x7F\"", "\"\xF4\x8F\xBF\xBF\"", "{}", "[]", "[1 , 2]"}) {
    EXPECT_TRUE(ParseObject("{\"a\":" + std::string(word) + "}")) << word;
  }
}

TEST(StrictJson, RefusesWordsThatAreNone) {
  for (const char* word : {"01",
                           "00",
                           "-",
                           "+1",
                           ".5",
                           "1.",
                           "1.e5",
                           "1e",
                           "1e+",
                           "0x1",
                           "1 2",
                           "1true",
                           "--1",
                           "True",
                           "nul",
                           "nulll",
                           "truefalse",
                           "NaN",
                           "-Infinity",
                           R"("\x41")",
                           R"("\u12")",
                           R"("\u123g")",
                           R"("\u+123")",
                           R"("\U0041")",
                           R"("\)",
                           "\"\n\"",
                           "\"\t\"",
                           "\"\x1F\"",
                           "'a'",
                           "\"a\"\"b\"",
                           "[1,]",
                           "[,1]",
                           "[1}",
                           "1,",
                           ":1",
                           "\x0C"
                           "1"}) {
    EXPECT_FALSE(ParseObject("{\"a\":" + std::string(word) + "}")) << word;
  }
}

TEST(StrictJson, RefusesTextThatPostgresHasNoPlaceFor) {
  for (const char* text :
       {R"({"a":"\u0000"})", R"({"a\u0000":1})", R"({"a":["\ud800"]})",
        R"({"a":"\udc00"})", R"({"a":"\ud800\u0041"})", "{\"a\":\"\xFF\"}",
        "{\"a\":\"\xED\xA0\x80\"}", "{\"a\":\"\xC0\x80\"}"}) {
    EXPECT_FALSE(ParseObject(text)) << text;
  }
}

TEST(StrictJson, RefusesWhatIsTooDeep) {
  EXPECT_TRUE(ParseObject(Nested(kDeepestJson)));
  EXPECT_FALSE(ParseObject(Nested(kDeepestJson + 1)));
  EXPECT_FALSE(ParseObject(Nested(100'000)));
}

}  // namespace
