// SPDX-License-Identifier: MIT
#include "exporter/custom/sql_text.h"

#include <gtest/gtest.h>

namespace {

using meshhook::OneStatement;

TEST(OneStatement, TakesWhatGivesRows) {
  for (const char* sql : {"SELECT 1",
                          "select 1",
                          "WITH a AS (SELECT 1) TABLE a",
                          "VALUES (1)",
                          "TABLE a",
                          "(SELECT 1)",
                          "-- why\nSELECT 1",
                          "/* a /* b */ c */SELECT 1",
                          "SELECT ';'",
                          "SELECT ';;''; SELECT 2'",
                          "SELECT \"a;b\" FROM c",
                          "SELECT $$a; b$$",
                          "SELECT $x$ $$; $x$",
                          "SELECT E'\\'; '",
                          "SELECT 1 -- ; DROP",
                          "SELECT /* ; */ 1",
                          "SELECT a$b$c FROM d",
                          "SELECT $1, ';'",
                          "SELECT 'e\\', 1",
                          "SELECT '☃;'"}) {
    EXPECT_EQ(OneStatement(sql).fault, "") << sql;
    EXPECT_EQ(OneStatement(sql).text, sql);
  }
}

TEST(OneStatement, LosesTheSemicolonItEndsIn) {
  EXPECT_EQ(OneStatement("SELECT 1;").text, "SELECT 1");
  EXPECT_EQ(OneStatement("SELECT ';' ; ;\n-- done\n").text, "SELECT ';' ");
  EXPECT_EQ(OneStatement("SELECT 1; /* done */").fault, "");
}

TEST(OneStatement, RefusesTheRest) {
  for (const auto& [sql, fault] :
       {std::pair("", "is empty"), std::pair(" \n\t-- nothing", "is empty"),
        std::pair("/**/", "is empty"),
        std::pair("SELECT 1; SELECT 2", "has several statements"),
        std::pair("SELECT $$a$$; SELECT ';'", "has several statements"),
        std::pair("SELECT E'a\\\\'; x", "has several statements"),
        std::pair(";SELECT 1", "has several statements"),
        std::pair("SELECT 'a", "has a quote or a comment without an end"),
        std::pair("SELECT \"a", "has a quote or a comment without an end"),
        std::pair("SELECT $a$ $b$", "has a quote or a comment without an end"),
        std::pair("SELECT 1 /* /* */",
                  "has a quote or a comment without an end"),
        std::pair("/* SELECT 1", "has a quote or a comment without an end"),
        std::pair(";", "begins with none of SELECT, WITH, VALUES and TABLE"),
        std::pair("DELETE FROM a",
                  "begins with none of SELECT, WITH, VALUES and TABLE"),
        std::pair("SELECTED",
                  "begins with none of SELECT, WITH, VALUES and "
                  "TABLE")}) {
    EXPECT_EQ(OneStatement(sql).fault, fault) << sql;
  }
}

}  // namespace
