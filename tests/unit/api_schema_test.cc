// SPDX-License-Identifier: MIT
#include <gtest/gtest.h>

#include <stdexcept>

#include "exporter/api/schema.h"
#include "tests/support/api.h"
#include "tests/support/samples.h"

namespace {

using meshhook::api::IsDateTime;
using meshhook::api::IsUuid;
using meshhook::api::Schemas;
using test::JsonOf;

// What is wrong with the value, "" where nothing is; JSON both.
std::string Wrong(const std::string& value, const std::string& schema) {
  const Json::Value document(Json::objectValue);
  const auto fault = Schemas(document).FaultOf(JsonOf(value), JsonOf(schema));
  return fault ? fault->where + ": " + fault->what : "";
}

bool Fits(const std::string& value, const std::string& schema) {
  return Wrong(value, schema).empty();
}

TEST(Schema, HasTypes) {
  struct Case {
    std::string type;
    std::vector<std::string> fit;
    std::vector<std::string> others;
  };
  for (const auto& [type, fit, others] : std::vector<Case>{
           {R"("string")", {R"("")", R"("1")"}, {"1", "null", "[]", "true"}},
           {R"("integer")",
            {"0", "-7", "3.0", "1e3"},
            {"1.5", R"("1")", "true", "null", "1e-1"}},
           {R"("number")", {"0", "-1.5", "1e300"}, {R"("1")", "false", "null"}},
           {R"("boolean")", {"true", "false"}, {"0", R"("true")", "null"}},
           {R"("array")", {"[]", "[1]"}, {"{}", "null", R"("")"}},
           {R"("object")", {"{}", R"({"a": 1})"}, {"[]", "null", "1"}},
           {R"(["number", "null"])", {"1.5", "null"}, {R"("")", "{}"}}}) {
    const auto schema = R"({"type": )" + type + "}";
    for (const auto& value : fit) EXPECT_TRUE(Fits(value, schema)) << value;
    for (const auto& value : others) {
      EXPECT_FALSE(Fits(value, schema)) << value << " as " << type;
    }
  }
}

TEST(Schema, HasBoundsThatAreThemselvesRight) {
  const auto schema = R"({"type": "integer", "minimum": 1, "maximum": 200})";
  EXPECT_TRUE(Fits("1", schema));
  EXPECT_TRUE(Fits("200", schema));
  EXPECT_EQ(Wrong("0", schema), ": must be an integer from 1 to 200");
  EXPECT_EQ(Wrong("201", schema), ": must be an integer from 1 to 200");
  EXPECT_EQ(Wrong("-1", R"({"type": "number", "minimum": 0})"),
            ": must be a number of at least 0");
  EXPECT_EQ(Wrong("1000000000001", R"({"type": "number", "maximum": 1e12})"),
            ": must be a number of at most 1000000000000");
}

TEST(Schema, HasLengths) {
  const auto schema = R"({"type": "string", "minLength": 1, "maxLength": 3})";
  EXPECT_TRUE(Fits(R"("a")", schema));
  EXPECT_TRUE(Fits(R"("abc")", schema));
  EXPECT_EQ(Wrong(R"("")", schema), ": must be a string from 1 to 3 bytes");
  EXPECT_FALSE(Fits(R"("abcd")", schema));
  EXPECT_TRUE(Fits("[1, 2]", R"({"type": "array", "maxItems": 2})"));
  EXPECT_FALSE(Fits("[1, 2, 3]", R"({"type": "array", "maxItems": 2})"));
}

TEST(Schema, HasChoices) {
  const auto schema = R"({"type": "string", "enum": ["hour", "day"]})";
  EXPECT_TRUE(Fits(R"("day")", schema));
  EXPECT_EQ(Wrong(R"("Day")", schema), ": must be one of hour, day");
  EXPECT_EQ(Wrong("1", schema), ": must be one of hour, day");
  EXPECT_TRUE(Fits(R"("x")", R"({"const": "x"})"));
  EXPECT_EQ(Wrong(R"("y")", R"({"const": "x"})"), ": must be x");
}

TEST(Schema, SaysWhereTheFaultIs) {
  const auto schema = R"({
      "type": "object", "additionalProperties": false, "required": ["a"],
      "properties": {
        "a": {"type": "array", "items": {
            "type": "object", "properties": {"b": {"type": "boolean"}}}},
        "c": {"type": "string"}}})";
  EXPECT_EQ(Wrong(R"({"a": []})", schema), "");
  EXPECT_EQ(Wrong(R"({"a": [{"b": true}, {"b": 1}]})", schema),
            "a.[1].b: must be true or false");
  EXPECT_EQ(Wrong(R"({"c": "x"})", schema),
            "a: is missing; it must be an array");
  EXPECT_EQ(Wrong(R"({"a": [], "d": 1})", schema),
            "d: is not known here; there are a, c");
  EXPECT_EQ(Wrong(R"({"a": null})", schema), "a: must be an array");
  // Only where the schema says so.
  EXPECT_EQ(Wrong(R"({"x": 1})", R"({"type": "object"})"), "");
}

TEST(Schema, FollowsReferences) {
  const auto document = JsonOf(R"({"components": {"schemas": {
      "A": {"$ref": "#/components/schemas/B"},
      "B": {"type": "boolean"},
      "Lost": {"$ref": "#/components/schemas/C"}}}})");
  const Schemas schemas(document);
  const auto& all = document["components"]["schemas"];
  EXPECT_FALSE(schemas.FaultOf(true, all["A"]));
  EXPECT_TRUE(schemas.FaultOf("true", all["A"]));
  EXPECT_THROW(schemas.Resolved(all["Lost"]), std::logic_error);
}

TEST(Schema, RefusesADocumentThatPromisesWhatIsNotChecked) {
  for (const std::string promise :
       {R"({"type": "string", "pattern": "^a"})",
        R"({"type": "object", "properties": {"a": {"minItems": 1}}})",
        R"({"type": "array", "items": {"uniqueItems": true}})",
        R"({"oneOf": []})"}) {
    EXPECT_THROW(Schemas(JsonOf(R"({"components": {"schemas": {"A": )" +
                                promise + "}}}")),
                 std::logic_error)
        << promise;
    EXPECT_THROW(Schemas(JsonOf(R"({"paths": {"/a": {"get": {"parameters": [
            {"schema": )" + promise +
                                "}]}}}}")),
                 std::logic_error)
        << promise;
  }
}

TEST(Schema, ReadsTextAsItsType) {
  const Json::Value document(Json::objectValue);
  const Schemas schemas(document);
  const auto read = [&](const std::string& text, const std::string& type) {
    Json::Value schema;
    schema["type"] = type;
    return schemas.FromText(text, schema);
  };
  EXPECT_EQ(read("12", "integer"), Json::Value(12));
  EXPECT_EQ(read("-9223372036854775808", "integer"),
            Json::Value(Json::Value::minInt64));
  EXPECT_EQ(read("true", "boolean"), Json::Value(true));
  EXPECT_EQ(read("12", "string"), Json::Value("12"));
  for (const std::string text :
       {"", "1.0", "1e1", " 1", "1 ", "+1", "0x1", "9223372036854775808"}) {
    EXPECT_TRUE(read(text, "integer").isString()) << text;
  }
  for (const std::string text : {"", "1", "TRUE", "true ", "null"}) {
    EXPECT_TRUE(read(text, "boolean").isString()) << text;
  }
}

// A sample of each kind is what it is said to be.
TEST(Schema, TakesWhatIsGoodAndNothingThatIsBad) {
  const Json::Value document(Json::objectValue);
  const Schemas schemas(document);
  for (const std::string text :
       {R"({"type": "integer", "minimum": 1, "maximum": 200})",
        R"({"type": "string", "enum": ["asc", "desc"]})",
        R"({"type": "boolean"})", R"({"type": "string", "format": "uuid"})",
        R"({"type": "string", "format": "date-time"})",
        R"({"type": "string", "format": "base64url", "minLength": 1,
            "maxLength": 1024})"}) {
    const auto schema = JsonOf(text);
    const auto samples = test::SamplesOf(schema);
    for (const auto& good : samples.good) {
      EXPECT_FALSE(schemas.FaultOf(schemas.FromText(good, schema), schema))
          << good;
    }
    for (const auto& bad : samples.bad) {
      EXPECT_TRUE(schemas.FaultOf(schemas.FromText(bad, schema), schema))
          << bad;
    }
  }
}

TEST(Schema, KnowsTheDaysOfEachMonth) {
  for (const std::string date : {"2024-02-29", "2000-02-29", "2026-01-31",
                                 "2026-12-31", "0001-01-01", "9999-12-31"}) {
    EXPECT_TRUE(IsDateTime(date + "T00:00:00Z")) << date;
  }
  for (const std::string date :
       {"2025-02-29", "1900-02-29", "2026-04-31", "2026-00-10", "2026-01-00",
        "2026-01-32", "0000-01-01", "2026-1-01", "02026-01-01", "-026-01-01"}) {
    EXPECT_FALSE(IsDateTime(date + "T00:00:00Z")) << date;
  }
}

TEST(Schema, TakesFractionsAndZones) {
  for (const std::string rest :
       {"Z", "z", ".1Z", ".123456789Z", "+00:00", "-15:59", ".5+05:30"}) {
    EXPECT_TRUE(IsDateTime("2026-01-31T23:59:59" + rest)) << rest;
    EXPECT_TRUE(IsDateTime("2026-01-31t23:59:59" + rest)) << rest;
  }
  for (const std::string rest :
       {"", ".Z", ".1234567890Z", "+0000", "+00", "+16:00", "+00:60", "ZZ",
        " Z", "Z ", "+00:00Z", ",5Z"}) {
    EXPECT_FALSE(IsDateTime("2026-01-31T23:59:59" + rest)) << rest;
  }
}

TEST(Schema, TakesUuidsInOneFormOnly) {
  EXPECT_TRUE(IsUuid("00000000-0000-0000-0000-000000000000"));
  EXPECT_TRUE(IsUuid("ABCDEFab-cdef-0123-4567-89abcdefABCD"));
  EXPECT_FALSE(IsUuid("0000000-00000-0000-0000-000000000000"));
  EXPECT_FALSE(IsUuid("00000000_0000_0000_0000_000000000000"));
  EXPECT_FALSE(IsUuid(std::string(36, '\0')));
}

}  // namespace
