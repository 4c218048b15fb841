// SPDX-License-Identifier: MIT
// Advice on indexes: which do not help, and which are missing.
#include <gtest/gtest.h>

#include <cmath>
#include <future>

#include "collectors/all.h"
#include "exporter/statement.h"
#include "tests/support/collect.h"
#include "tests/support/process.h"
#include "tests/support/relations.h"

namespace {

namespace collectors = meshhook::collectors;
using test::Collect;
using test::Database;
using test::kSuperuser;
using test::Of;
using test::Relation;
using test::SampleSum;
using test::With;

// What is said of the index, whatever covers it.
double Advice(const Database& db, const std::string& page,
              const std::string& index, const std::string& advice) {
  const auto found =
      page.find("indexrelname=\"" + index + "\",advice=\"" + advice + "\"");
  if (found == page.npos) return std::nan("");
  const auto line = page.rfind('\n', found) + 1;
  return SampleSum(page.substr(line, page.find('\n', found) - line),
                   Of(db, "meshhook_index_advice_bytes"));
}

std::string Advised(const Database& db) {
  return Collect(db,
                 With(collectors::IndexAdvice(), "unused_after_seconds", "0"));
}

TEST(IndexAdvice, NamesWhatIsUnusedTwiceThereOrAPrefix) {
  Database db;
  db.Exec(R"(
      CREATE TABLE t (a int PRIMARY KEY, b int, c int, d text, UNIQUE (c));
      CREATE INDEX b1 ON t (b); CREATE INDEX b2 ON t (b);
      CREATE INDEX ba ON t (b, a);
      CREATE INDEX b_down ON t (b DESC);
      CREATE INDEX b_where ON t (b) WHERE a > 3;
      CREATE INDEX c1 ON t (c);
      CREATE UNIQUE INDEX c2 ON t (c);
      CREATE INDEX low1 ON t (lower(d)); CREATE INDEX low2 ON t ( lower(d) );
      CREATE INDEX up ON t (upper(d));
      CREATE INDEX d_hash ON t USING hash (b))");
  const auto page = Advised(db);
  for (const char* unused : {"b1", "b2", "ba", "b_where", "c1", "low1"}) {
    EXPECT_GT(Advice(db, page, unused, "unused"), 0) << unused;
  }
  for (const char* unique : {"t_pkey", "c2", "t_c_key"}) {
    EXPECT_TRUE(std::isnan(Advice(db, page, unique, "unused"))) << unique;
  }
  const auto kinds = [&](const std::string& index) {
    std::string found;
    for (const char* advice : {"duplicate", "redundant"}) {
      if (!std::isnan(Advice(db, page, index, advice))) found += advice;
    }
    return found;
  };
  EXPECT_EQ(kinds("b1"), "redundant");  // a prefix of ba
  EXPECT_EQ(kinds("b2"), "duplicate");
  EXPECT_EQ(kinds("ba"), "");
  EXPECT_EQ(kinds("b_down"), "");
  EXPECT_EQ(kinds("b_where"), "");
  EXPECT_EQ(kinds("c1"), "duplicate");
  EXPECT_EQ(kinds("c2"), "duplicate");  // the constraint's stays
  EXPECT_EQ(kinds("t_c_key"), "");
  EXPECT_EQ(kinds("t_pkey"), "");
  EXPECT_EQ(kinds("low1"), "");
  EXPECT_EQ(kinds("low2"), "duplicate");
  EXPECT_EQ(kinds("up"), "");
  EXPECT_EQ(kinds("d_hash"), "");
  EXPECT_NE(page.find("indexrelname=\"b2\",advice=\"duplicate\","
                      "covered_by=\"b1\""),
            page.npos);
  EXPECT_GE(SampleSum(page, Of(db, "meshhook_index_advice_indexes",
                               ",advice=\"duplicate\"")),
            4);
  EXPECT_EQ(SampleSum(page, Of(db, "meshhook_index_advice_indexes",
                               ",advice=\"invalid\"")),
            0);
}

TEST(IndexAdvice, CallsNothingUnusedBeforeUseWasCountedForLong) {
  Database db;
  db.Exec("CREATE TABLE t (n int); CREATE INDEX i ON t (n)");
  db.Exec("SELECT pg_stat_reset()", kSuperuser);
  const auto unused =
      Of(db, "meshhook_index_advice_indexes", ",advice=\"unused\"");
  const auto page = Collect(db, collectors::IndexAdvice());
  EXPECT_EQ(SampleSum(page, unused), 0);
  EXPECT_LT(SampleSum(page, Of(db, "meshhook_index_statistics_age_seconds")),
            60);
  EXPECT_GT(SampleSum(Advised(db), unused), 0);
}

TEST(IndexAdvice, TakesAPartitionedIndexAsOne) {
  Database db;
  db.Exec(R"(
      CREATE TABLE p (n int, m int) PARTITION BY RANGE (n);
      CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (0) TO (10);
      CREATE TABLE p2 PARTITION OF p FOR VALUES FROM (10) TO (20);
      CREATE INDEX used ON p (n); CREATE INDEX idle ON p (m);
      INSERT INTO p SELECT n, n FROM generate_series(0, 19) AS n; ANALYZE p)");
  test::Use(db, "SET enable_seqscan = off; SELECT * FROM p WHERE n = 12");
  ASSERT_TRUE(test::Await(
      [&] { return std::isnan(Advice(db, Advised(db), "used", "unused")); }));
  const auto page = Advised(db);
  EXPECT_GT(Advice(db, page, "idle", "unused"), 0);
  EXPECT_EQ(page.find("relname=\"p1\""), page.npos);
}

TEST(IndexAdvice, KnowsAnInvalidIndexFromOneThatIsBeingBuilt) {
  Database db;
  db.Exec("CREATE TABLE t (n int); INSERT INTO t VALUES (1), (1)");
  try {
    db.Exec("CREATE UNIQUE INDEX CONCURRENTLY broken ON t (n)");
    FAIL();
  } catch (const meshhook::pg::Error&) {
  }
  auto writer = db.Connect();
  test::Exec(writer, "BEGIN; INSERT INTO t VALUES (2)");
  auto builder = std::async(std::launch::async, [&db] {
    auto session = db.Connect();
    test::Exec(session, "CREATE INDEX CONCURRENTLY building ON t (n)");
  });
  EXPECT_TRUE(test::Await([&] {
    return db.Exec("SELECT count(*) FROM pg_index WHERE NOT indisvalid") == "2";
  }));
  const auto page = Advised(db);
  test::Exec(writer, "ROLLBACK");
  builder.get();
  EXPECT_FALSE(std::isnan(Advice(db, page, "broken", "invalid")));
  EXPECT_TRUE(std::isnan(Advice(db, page, "building", "invalid")));
}

TEST(IndexAdvice, LeavesOutWhatIsNotTheOperators) {
  Database db;
  constexpr auto kThree = R"(
      CREATE TABLE auth.hosted (n int PRIMARY KEY, m int REFERENCES auth.hosted);
      INSERT INTO auth.hosted VALUES (1, 1);
      CREATE INDEX hosted_n ON auth.hosted (n); ANALYZE auth.hosted;
      CREATE TABLE member (n int); CREATE INDEX member_n ON member (n);
      ALTER EXTENSION pg_stat_statements ADD TABLE member;
      CREATE TABLE mine (n int); CREATE INDEX mine_n ON mine (n);
      ALTER TABLE mine OWNER TO postgres)";
  db.Exec(kThree, kSuperuser);
  const auto page = Advised(db);
  EXPECT_GT(Advice(db, page, "mine_n", "unused"), 0);
  for (const char* left_out : {"hosted", "member_n", "mv_workflow_metrics"}) {
    EXPECT_EQ(page.find(left_out), page.npos) << left_out;
  }
  EXPECT_EQ(SampleSum(Collect(db, collectors::ForeignKeys()),
                      Of(db, "meshhook_unindexed_foreign_keys")),
            0);
  const auto used = Collect(db, collectors::StatUserIndexes());
  for (const char* index : {"hosted_n", "member_n", "mine_n"}) {
    EXPECT_NE(used.find(index), used.npos) << index;
  }
}

constexpr auto kKeys = R"(
    CREATE TABLE other (a int PRIMARY KEY, b int, UNIQUE (a, b));
    INSERT INTO other SELECT n, n FROM generate_series(1, 1000) AS n;
    CREATE TABLE t (
        bare int CONSTRAINT bare REFERENCES other,
        first int CONSTRAINT first REFERENCES other,
        second int CONSTRAINT second REFERENCES other,
        set_only int CONSTRAINT set_only REFERENCES other,
        partly int CONSTRAINT partly REFERENCES other,
        CONSTRAINT pair FOREIGN KEY (second, first) REFERENCES other (a, b));
    INSERT INTO t SELECT n, n, n, n, n FROM generate_series(1, 1000) AS n;
    CREATE INDEX ON t (first, second);
    CREATE INDEX ON t (set_only) WHERE set_only IS NOT NULL;
    CREATE INDEX ON t (partly) WHERE bare > 5;
    CREATE TABLE empty (n int REFERENCES other);
    CREATE TABLE parts (n int REFERENCES other) PARTITION BY RANGE (n);
    CREATE TABLE parts1 PARTITION OF parts FOR VALUES FROM (0) TO (100);
    CREATE TABLE parts2 PARTITION OF parts FOR VALUES FROM (100) TO (1001);
    INSERT INTO parts SELECT generate_series(1, 1000);
    ANALYZE t, parts)";

TEST(ForeignKeys, AreNamedWhereNoIndexServesThem) {
  Database db;
  db.Exec(kKeys);
  const auto page = Collect(db, collectors::ForeignKeys());
  const auto bytes = [&](const std::string& table, const std::string& key) {
    return SampleSum(page,
                     Of(db, "meshhook_unindexed_foreign_key_table_bytes") +
                         Relation(table) + ",conname=\"" + key + "\"");
  };
  const auto size = std::stod(db.Exec("SELECT pg_relation_size('t')"));
  for (const char* missing : {"bare", "second", "partly"}) {
    EXPECT_EQ(bytes("t", missing), size) << missing;
  }
  for (const char* served : {"first", "set_only", "pair"}) {
    EXPECT_TRUE(std::isnan(bytes("t", served))) << served;
  }
  EXPECT_EQ(bytes("parts", "parts_n_fkey"),
            std::stod(db.Exec("SELECT pg_relation_size('parts1')"
                              " + pg_relation_size('parts2')")));
  EXPECT_EQ(SampleSum(page, Of(db, "meshhook_unindexed_foreign_keys")), 4);
}

TEST(HypotheticalIndexes, SayWhatTheMissingOnesWouldTake) {
  Database db;
  if (!test::Install(db, "hypopg")) GTEST_SKIP() << "the server has no hypopg";
  db.Exec(kKeys);
  const auto page = Collect(db, collectors::HypotheticalIndexes());
  const auto bare = SampleSum(page, Of(db, "meshhook_hypothetical_index_bytes",
                                       Relation("t") + ",conname=\"bare\""));
  db.Exec("CREATE INDEX bare ON t (bare)");
  const auto real = std::stod(db.Exec("SELECT pg_relation_size('bare')"));
  EXPECT_GT(bare, real / 3);
  EXPECT_LT(bare, real * 3);
}

TEST(HypotheticalIndexes, AreGoneFromTheSessionAtOnce) {
  Database db;
  if (!test::Install(db, "hypopg")) GTEST_SKIP() << "the server has no hypopg";
  db.Exec(kKeys);
  auto session = db.Connect(test::kExporter);
  meshhook::Server server{.address = "",
                          .database = db.name(),
                          .user = "",
                          .version = session.server_version(),
                          .full_version = "",
                          .short_version = "",
                          .extension_schemas = {{"hypopg", "extensions"}}};
  const auto statement =
      meshhook::StatementFor(collectors::HypotheticalIndexes(), server, "^$");
  const auto deadline = meshhook::pg::Clock::now() + std::chrono::seconds(10);
  EXPECT_EQ(session.Execute(statement, deadline).rows(), 3);
  EXPECT_EQ(test::Exec(session, "SELECT count(*) FROM extensions.hypopg()"),
            "0");
}

TEST(HypotheticalIndexes, AreSilentWithoutTheExtension) {
  Database db;
  const auto page = Collect(db, collectors::HypotheticalIndexes());
  EXPECT_TRUE(std::isnan(SampleSum(page,
                                   "pg_scrape_collector_success{collector="
                                   "\"hypothetical_indexes\"}")));
}

}  // namespace
