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
      "WITH ranked AS MATERIALIZED (SELECT row_number() OVER (ORDER BY "
      "\"size\" DESC NULLS LAST, \"a\", \"b\") AS \"meshhook rank\", * "
      "FROM (SELECT 1\n) AS rows)\n"
      "SELECT \"meshhook rank\", 1 AS \"meshhook rows\", "
      "\"a\"::text, \"b\"::text, \"calls\", \"size\" FROM ranked "
      "WHERE \"meshhook rank\" <= 15\n"
      "UNION ALL\n"
      "SELECT NULL, count(*), NULL, NULL, NULL, sum(\"size\") FROM ranked "
      "WHERE \"meshhook rank\" > 15 HAVING count(*) > 0\n"
      "ORDER BY 1 NULLS LAST");
}

}  // namespace
