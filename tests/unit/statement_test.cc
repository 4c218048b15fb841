// SPDX-License-Identifier: MIT
#include "exporter/statement.h"

#include <gtest/gtest.h>

namespace {

using meshhook::Collector;
using meshhook::Readable;
using meshhook::Server;
using meshhook::StatementFor;

Collector Of(const std::string& query) {
  return {.name = "c",
          .summary = "",
          .query = query,
          .labels = {"a", "b"},
          .metrics = {{.name = "size",
                       .type = prometheus::MetricType::Gauge,
                       .help = "",
                       .column = "size",
                       .additive = true},
                      {.name = "calls",
                       .type = prometheus::MetricType::Counter,
                       .help = "",
                       .column = "calls"}}};
}

Server Of(int version) {
  return {.address = "db:5432",
          .database = "app",
          .user = "me",
          .version = version,
          .full_version = "",
          .short_version = "",
          .extension_schemas = {{"hypopg", "\"Ext\""}}};
}

TEST(Statement, TakesTheNewestVariantThatTheServerHas) {
  auto collector = Of("old");
  collector.variants = {{140000, "14"}, {170000, "17"}};
  EXPECT_EQ(StatementFor(collector, Of(130021), "").sql, "old");
  EXPECT_EQ(StatementFor(collector, Of(140000), "").sql, "14");
  EXPECT_EQ(StatementFor(collector, Of(169999), "").sql, "14");
  EXPECT_EQ(StatementFor(collector, Of(180001), "").sql, "17");
}

TEST(Statement, NamesTheSchemaOfItsExtension) {
  auto collector = Of("SELECT @extschema@.f()");
  collector.extension = "hypopg";
  EXPECT_EQ(StatementFor(collector, Of(150000), "").sql, "SELECT \"Ext\".f()");
}

TEST(Statement, KnowsHowManyRowsMayStay) {
  auto collector = Of("SELECT @most_rows@");
  EXPECT_EQ(StatementFor(collector, Of(150000), "").sql, "SELECT 2147483647");
  collector.limit = {.rows = 100, .rank = "size"};
  EXPECT_NE(StatementFor(collector, Of(150000), "").sql.find("SELECT 150\n"),
            std::string::npos);
}

TEST(Statement, SaysWhichExtensionIsMissingAndWhatToDo) {
  auto collector = Of("SELECT @extschema@.f()");
  collector.extension = "pg_buffercache";
  try {
    StatementFor(collector, Of(150000), "");
    FAIL();
  } catch (const meshhook::pg::Error& error) {
    EXPECT_STREQ(error.what(),
                 "extension pg_buffercache is not installed in database app");
    EXPECT_EQ(error.hint(),
              "run CREATE EXTENSION pg_buffercache, or switch off with "
              "--no-collector.c");
  }
}

TEST(Statement, PassesWhatAnOperatorSetsAsParameters) {
  auto collector =
      Of("SELECT @who@, @server@ WHERE n !~ @excluded_schemas@ OR @who@ = ''");
  collector.settings = {{"who", "'; DROP", ""}, {"unused", "", ""}};
  const auto statement = StatementFor(collector, Of(150000), "^x$");
  EXPECT_EQ(statement.sql,
            "SELECT $3::text, $1::text WHERE n !~ $2::text OR $3::text = ''");
  EXPECT_EQ(statement.parameters,
            (std::vector<std::string>{"db:5432", "^x$", "'; DROP"}));
  EXPECT_EQ(Readable(statement),
            "SELECT '''; DROP'::text, 'db:5432'::text WHERE n !~ '^x$'::text "
            "OR '''; DROP'::text = ''");
}

TEST(Statement, PutsItsLimitAroundTheQuery) {
  auto collector = Of("SELECT 1");
  collector.limit = {.rows = 10, .rank = "size"};
  EXPECT_EQ(
      StatementFor(collector, Of(150000), "").sql,
      "SELECT CASE WHEN \"meshhook place\" <= 15 THEN \"meshhook place\" END "
      "AS \"meshhook rank\", CASE WHEN \"meshhook place\" <= 15 THEN 1 "
      "ELSE \"meshhook rest\" END AS \"meshhook rows\", "
      "\"a\"::text, \"b\"::text, \"calls\", "
      "CASE WHEN \"meshhook place\" <= 15 THEN \"size\" "
      "ELSE \"meshhook sum 1\" END AS \"size\"\n"
      "FROM (SELECT 1 + count(*) OVER () - count(*) OVER rest "
      "AS \"meshhook place\", count(*) OVER rest AS \"meshhook rest\", "
      "sum(\"size\") OVER rest AS \"meshhook sum 1\", * FROM (SELECT 1\n"
      ") AS rows\nWINDOW rest AS (ORDER BY \"size\" NULLS FIRST, "
      "\"a\" DESC, \"b\" DESC ROWS UNBOUNDED PRECEDING)) AS ranked\n"
      "WHERE \"meshhook place\" <= 15 + 1\nORDER BY \"meshhook place\"");
}

}  // namespace
