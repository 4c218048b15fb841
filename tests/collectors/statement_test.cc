// SPDX-License-Identifier: MIT
// Statements: what the top ones used, the exact rest, and which texts are
// shown to whom asked.
#include <gtest/gtest.h>

#include "collectors/all.h"
#include "exporter/scraper.h"
#include "tests/support/collect.h"
#include "tests/support/database.h"
#include "tests/support/server.h"

namespace {

using namespace std::chrono_literals;
using meshhook::Collector;
using meshhook::collectors::StatStatements;
using test::Database;
using test::Exec;
using test::SampleSum;

Collector Told(std::vector<std::pair<std::string, std::string>> settings) {
  auto collector = StatStatements();
  for (const auto& [name, value] : settings) {
    collector = test::With(std::move(collector), name, value);
  }
  return collector;
}

std::string Page(const meshhook::Conninfo& conninfo,
                 std::vector<Collector> collectors) {
  meshhook::Scraper scraper(conninfo, std::move(collectors), nullptr);
  const auto page = scraper.Scrape(meshhook::pg::Clock::now() + 10s)->text();
  for (const auto& status : scraper.Status().collectors) {
    EXPECT_TRUE(status.success || status.silent) << status.reason;
  }
  return page;
}

// pg_stat_statements keeps what the databases of tests that are over ran, and
// once it is full it forgets new statements first.
class Roomy : public Database {
 public:
  Roomy() {
    Exec(
        "SELECT extensions.pg_stat_statements_reset(0, dbid, 0) "
        "FROM (SELECT DISTINCT dbid "
        "FROM extensions.pg_stat_statements(false)) AS known "
        "WHERE dbid NOT IN (SELECT oid FROM pg_database)",
        test::kSuperuser);
  }
};

// All statements of this database alone: other tests run in the others.
std::string Everything(Database& db, Collector collector) {
  collector =
      test::With(std::move(collector), "exclude_databases",
                 db.Exec("SELECT string_agg(datname, ' , ') FROM pg_database "
                         "WHERE datname <> current_database()"));
  collector.limit.rows = 5000;
  return Page(db.Conninfo(test::kExporter), {std::move(collector)});
}

// The labels of the one statement of `postgres` whose text is like that.
std::string Labels(Database& db, const std::string& text) {
  return "{user=\"postgres\",datname=\"" + db.name() + "\",queryid=\"" +
         db.Exec(
             "SELECT DISTINCT queryid FROM extensions.pg_stat_statements "
             "JOIN pg_database AS d ON d.oid = dbid "
             "WHERE datname = current_database() "
             "AND userid = 'postgres'::regrole AND query LIKE '" +
                 text + "' AND query NOT LIKE '%pg_stat%'",
             test::kSuperuser) +
         "\"}";
}

// On a server of its own, so that nobody else runs a statement.
TEST(StatStatements, OfTheTopAndTheRestAddUpToAll) {
  test::Server server;
  const auto conninfo = test::ConninfoOf(server.Url());
  auto admin =
      meshhook::pg::Connection::Open(conninfo, meshhook::pg::Clock::now() + 9s);
  Exec(admin,
       "CREATE EXTENSION pg_stat_statements; "
       "SET pg_stat_statements.track = 'all'; SET ROLE postgres");
  for (int columns = 1; columns <= 60; ++columns) {
    std::string sql = "SELECT 1";
    for (int i = 1; i < columns; ++i) sql += ", 1";
    for (int i = 0; i < columns % 7 + 1; ++i) Exec(admin, sql);
  }
  Exec(admin, "RESET ROLE");
  auto collector = Told({{"exclude_users", "supabase_admin"}});
  collector.limit.rows = 10;
  const auto page = Page(conninfo, {collector});
  const auto truth = [&admin](const std::string& what) {
    return std::stod(Exec(admin, "SELECT sum(" + what +
                                     ") FROM pg_stat_statements(false) "
                                     "WHERE userid = 'postgres'::regrole"));
  };
  EXPECT_EQ(SampleSum(page, "meshhook_statements_held_calls"), truth("calls"));
  EXPECT_NEAR(SampleSum(page, "meshhook_statements_held_seconds"),
              truth("total_exec_time") / 1000, 1e-9);
  const auto count = [&page](const std::string& line) {
    int lines = 0;
    for (size_t at = page.find(line); at != page.npos;
         at = page.find(line, at + 1)) {
      ++lines;
    }
    return lines;
  };
  EXPECT_EQ(count("\npg_stat_statements_calls_total{"), 10);
  EXPECT_EQ(count("\nmeshhook_statements_held_calls{"), 11);
  const double other =
      SampleSum(page,
                "meshhook_statements_held_calls{user=\"\",datname=\"\","
                "queryid=\"other\"}");
  EXPECT_EQ(other,
            truth("calls") - SampleSum(page, "pg_stat_statements_calls_total"));
  EXPECT_GT(other, 0);
}

TEST(StatStatements, SumCallsFromAFunctionAndFromOutside) {
  Roomy db;
  db.Exec("SET pg_stat_statements.track = 'all'", test::kSuperuser);
  db.Exec("SET ROLE postgres", test::kSuperuser);
  db.Exec("SELECT 1 AS both, 2, 3, 4, 5, 6, 7", test::kSuperuser);
  db.Exec("DO 'BEGIN EXECUTE ''SELECT 1 AS both, 2, 3, 4, 5, 6, 7''; END'",
          test::kSuperuser);
  db.Exec("RESET ROLE", test::kSuperuser);
  const auto page = Everything(db, StatStatements());
  EXPECT_EQ(SampleSum(page, "pg_stat_statements_calls_total" +
                                Labels(db, "SELECT $1 AS both%")),
            2);
}

TEST(StatStatements, SayWhatEachUsed) {
  Roomy db;
  db.Exec("SET work_mem = '64kB'; CREATE TABLE filled (n int)");
  db.Exec("INSERT INTO filled SELECT generate_series(1, 20000)");
  db.Exec(
      "SELECT count(*) FROM (SELECT n FROM filled ORDER BY n OFFSET 1) AS s");
  const auto page = Everything(db, StatStatements());
  const auto held = [&](const std::string& column, const std::string& text) {
    return std::stod(
        db.Exec("SELECT sum(" + column +
                    ") FROM extensions.pg_stat_statements "
                    "JOIN pg_database AS d ON d.oid = dbid "
                    "WHERE datname = current_database() AND query LIKE '" +
                    text + "'",
                test::kSuperuser));
  };
  const auto value = [&](const std::string& metric, const std::string& text) {
    return SampleSum(
        page, "meshhook_statement_" + metric + "_total" + Labels(db, text));
  };
  const std::string insert = "INSERT INTO filled%";
  const std::string sort = "SELECT count(*) FROM (SELECT n FROM filled%";
  EXPECT_GT(value("wal_bytes", insert), 20000);
  EXPECT_EQ(value("wal_bytes", insert), held("wal_bytes", insert));
  EXPECT_EQ(value("wal_records", insert), held("wal_records", insert));
  EXPECT_EQ(value("shared_dirtied_bytes", insert),
            8192 * held("shared_blks_dirtied", insert));
  EXPECT_GT(value("temp_written_bytes", sort), 0);
  EXPECT_EQ(value("temp_written_bytes", sort),
            8192 * held("temp_blks_written", sort));
  EXPECT_EQ(value("shared_hit_bytes", sort),
            8192 * held("shared_blks_hit", sort));
  EXPECT_EQ(value("plans", sort), 0);
}

TEST(StatStatements, LeaveOutDatabasesAndUsers) {
  Roomy db;
  db.Exec("SELECT 1, 'mine'");
  auto collector = StatStatements();
  collector.limit.rows = 5000;
  const auto own = "datname=\"" + db.name() + "\"";
  const auto page = [&](const std::string& setting, const std::string& value) {
    auto told = Told({{setting, value}});
    told.limit.rows = 5000;
    return Page(db.Conninfo(test::kExporter), {told});
  };
  EXPECT_NE(page("exclude_users", "").find(own), std::string::npos);
  EXPECT_EQ(
      page("exclude_databases", "no such, " + db.name() + " ,x").find(own),
      std::string::npos);
  EXPECT_EQ(page("exclude_users", "anon, postgres").find("user=\"postgres\""),
            std::string::npos);
}

class Texts : public testing::Test {
 protected:
  std::string Shown(const std::string& length = "120") {
    return Everything(
        db_, Told({{"include_query", "true"}, {"query_length", length}}));
  }
  static bool Has(const std::string& page, const std::string& text) {
    return page.find(",query=\"" + text + "\"} 1\n") != page.npos;
  }

  Roomy db_;
};

TEST_F(Texts, AreNotShownUnlessAskedFor) {
  db_.Exec("SELECT 'x', 1 AS unasked");
  EXPECT_EQ(Everything(db_, StatStatements()).find("unasked"),
            std::string::npos);
}

TEST_F(Texts, AreNormalisedSqueezedAndCut) {
  db_.Exec(
      "SELECT 'secret'  AS\n\t normalised, 12345 -- a secret\n /* of "
      "somebody's */ WHERE 'secret' <> ''");
  db_.Exec(
      "/* secret */ INSERT INTO queue_config (queue_name) "
      "VALUES ('secret')");
  db_.Exec("WITH long_one AS (SELECT 'secret' AS a) SELECT * FROM long_one");
  const auto page = Shown();
  EXPECT_TRUE(Has(page, "INSERT INTO queue_config (queue_name) VALUES ($1)"));
  EXPECT_TRUE(
      Has(page, "WITH long_one AS (SELECT $1 AS a) SELECT * FROM long_one"));
  EXPECT_EQ(page.find("secret"), std::string::npos);
  EXPECT_TRUE(Has(Shown("20"), "WITH long_one AS (SE"));
}

// Of utility statements the server keeps the text as it came.
TEST_F(Texts, OfUtilityStatementsAreNever) {
  for (const char* sql :
       {"BEGIN; ALTER ROLE anon PASSWORD 'secret'; ROLLBACK",
        "SET application_name = 'secret'", "DO $$BEGIN PERFORM 'secret'; END$$",
        "EXPLAIN SELECT 'secret'", "CREATE TABLE t AS SELECT 'secret' AS s",
        "PREPARE p AS SELECT 'secret'", "COMMENT ON TABLE t IS 'secret'",
        "BEGIN; DECLARE c CURSOR FOR SELECT 'secret'; COMMIT",
        "CREATE VIEW v AS SELECT 1234567 AS secret"}) {
    db_.Exec(sql, test::kSuperuser);
  }
  const auto page = Shown();
  EXPECT_NE(page.find("pg_stat_statements_query_id{"), std::string::npos);
  EXPECT_EQ(page.find("secret"), std::string::npos);
}

TEST_F(Texts, OfTwoUsersAreShownOnce) {
  db_.Exec("SELECT 1 AS shared_by_two, 2, 3, 4, 5, 6, 7, 8, 9");
  db_.Exec("SELECT 1 AS shared_by_two, 2, 3, 4, 5, 6, 7, 8, 9",
           test::kSuperuser);
  const auto page = Shown();
  const auto first = page.find("$1 AS shared_by_two");
  ASSERT_NE(first, page.npos);
  EXPECT_EQ(page.find("$1 AS shared_by_two", first + 1), page.npos);
}

// A server's upgrade leaves the extension as it was.
TEST(StatStatements, WorkWithAnOlderExtension) {
  for (const std::string version : {"1.8", "1.9"}) {
    Roomy db;
    if (db.Exec("SELECT count(*) FROM pg_available_extension_versions "
                "WHERE name = 'pg_stat_statements' AND version = '" +
                version + "'") == "0") {
      continue;  // PostgreSQL 13 ends at 1.8
    }
    db.Exec("DROP EXTENSION pg_stat_statements", test::kSuperuser);
    db.Exec("CREATE EXTENSION pg_stat_statements SCHEMA extensions VERSION '" +
                version + "'",
            test::kSuperuser);
    db.Exec("SELECT 1 AS older, 2");
    const auto page = Everything(db, StatStatements());
    const auto labels = Labels(db, "SELECT $1 AS older%");
    EXPECT_EQ(SampleSum(page, "pg_stat_statements_calls_total" + labels), 1);
    EXPECT_EQ(
        SampleSum(page, "pg_stat_statements_block_read_seconds_total" + labels),
        0);
    EXPECT_EQ(page.find("meshhook_statement_jit_seconds_total{"),
              std::string::npos);
    meshhook::Scraper scraper(db.Conninfo(test::kExporter),
                              {meshhook::collectors::StatStatementsInfo()},
                              nullptr);
    scraper.Scrape(meshhook::pg::Clock::now() + 10s);
    const auto status = scraper.Status().collectors.at(0);
    if (version == "1.8") {
      EXPECT_TRUE(status.silent);
      EXPECT_EQ(status.reason, "pg_stat_statements is older than version 1.9");
    } else {
      EXPECT_TRUE(status.success) << status.reason;
    }
  }
}

TEST(StatStatementsInfo, SaysWhenStatementsWereForgotten) {
  Roomy db;
  if (std::stoi(db.Exec("SHOW server_version_num")) < 140000) GTEST_SKIP();
  const auto page = Page(db.Conninfo(test::kExporter),
                         {meshhook::collectors::StatStatementsInfo()});
  EXPECT_EQ(SampleSum(page, "meshhook_statements_deallocations_total"),
            std::stod(db.Exec("SELECT dealloc FROM "
                              "extensions.pg_stat_statements_info")));
  EXPECT_NEAR(SampleSum(page, "meshhook_statements_reset_timestamp_seconds"),
              std::stod(db.Exec("SELECT extract(epoch FROM stats_reset) FROM "
                                "extensions.pg_stat_statements_info")),
              1e-3);
}

}  // namespace
