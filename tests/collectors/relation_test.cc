// SPDX-License-Identifier: MIT
// Tables, indexes, sequences and views of a database, read as the exporter's
// own role.
#include <gtest/gtest.h>

#include <cmath>

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

TEST(StatUserTables, CutsTheSmallestAndAddsThemUp) {
  Database db;
  test::Use(db, R"(
      CREATE SCHEMA many;
      DO $$ BEGIN FOR i IN 1..300 LOOP
          EXECUTE format('CREATE TABLE many.t%s AS SELECT %s AS n
                          FROM generate_series(1, %s)', i, i,
                         CASE i WHEN 300 THEN 20000 ELSE 10 * i END);
          EXECUTE format('ANALYZE many.t%s', i);
      END LOOP; END $$)");
  auto collector = collectors::StatUserTables();
  collector.limit.rows = 100;
  const auto live = Of(db, "pg_stat_user_tables_n_live_tup");
  std::string page;
  EXPECT_TRUE(test::Await([&] {
    page = Collect(db, collector);
    return SampleSum(page, live) >= 20'000 + 2990 * 150;
  }));
  int tables = 0;
  for (size_t at = page.find(live); at != page.npos;
       at = page.find(live, at + 1)) {
    ++tables;
  }
  EXPECT_EQ(tables, 101);
  EXPECT_EQ(SampleSum(page, live + Relation("t300", "many")), 20'000);
  auto sizes = collectors::TableSizes();
  sizes.limit.rows = 100;
  EXPECT_GT(SampleSum(Collect(db, sizes),
                      Of(db, "pg_stat_user_tables_table_size_bytes")),
            200 * 8192);
  EXPECT_GT(SampleSum(page,
                      "meshhook_exporter_series_dropped{collector="
                      "\"stat_user_tables\"}"),
            200 * 15);
  EXPECT_EQ(
      page.find(Of(db, "pg_stat_user_tables_seq_scan", Relation("t1", "many"))),
      page.npos);
}

// Rows of the collector that are not as the view has them, or the other way.
std::string Differences(Database& db, meshhook::Collector collector,
                        const std::string& view, const std::string& columns) {
  collector.limit = {};
  meshhook::Server server;
  server.version = std::stoi(db.Exec("SHOW server_version_num"));
  const auto rows =
      "SELECT schemaname, relname, " + columns + " FROM (" +
      meshhook::Readable(meshhook::StatementFor(collector, server, "^$")) +
      ") AS rows";
  const auto seen = "SELECT schemaname, relname, " + columns + " FROM " + view;
  return db.Exec("WITH rows AS (" + rows + "), seen AS (" + seen +
                 ") SELECT (SELECT count(*) FROM (TABLE rows EXCEPT TABLE seen)"
                 " AS m) || ' more, ' || (SELECT count(*) FROM (TABLE seen "
                 "EXCEPT TABLE rows) AS f) || ' fewer' "
                 "WHERE (SELECT count(*) FROM rows) > 5");
}

// Read and written, with and without an index, with TOAST, in parts, and as a
// materialized view.
void UseTables(Database& db) {
  db.Exec(R"(
      CREATE SCHEMA "Odd";
      CREATE TABLE "Odd"."Plain" AS SELECT generate_series(1, 5000) AS n;
      CREATE TABLE keyed (id int PRIMARY KEY, other int UNIQUE, body text);
      ALTER TABLE keyed ALTER body SET STORAGE EXTERNAL;
      CREATE TABLE whole (id int PRIMARY KEY) PARTITION BY RANGE (id);
      CREATE TABLE part PARTITION OF whole FOR VALUES FROM (0) TO (1000);
      CREATE MATERIALIZED VIEW seen AS SELECT * FROM "Odd"."Plain";
      CREATE UNLOGGED TABLE untouched (n int))");
  test::Use(db, R"(
      INSERT INTO keyed SELECT n, n, repeat('x', 5000)
      FROM generate_series(1, 100) AS n;
      INSERT INTO whole SELECT generate_series(1, 500))");
  test::Use(db, R"(
      UPDATE keyed SET id = id + 1000; DELETE FROM keyed WHERE id > 1050;
      SELECT sum(length(body)) FROM keyed; SELECT count(*) FROM seen;
      SET enable_seqscan = off; SELECT body FROM keyed WHERE other = 7;
      SELECT * FROM whole WHERE id = 3)");
  for (const char* how : {"VACUUM", "ANALYZE", "VACUUM ANALYZE"}) {
    db.Exec(std::string(how) + " keyed");
  }
  ASSERT_TRUE(test::Await([&db] {
    return db.Exec(
               "SELECT coalesce(idx_tup_fetch, 0) > 0 AND n_tup_del > 0 "
               "FROM pg_stat_user_tables WHERE relname = 'keyed'") == "t";
  }));
}

TEST(StatUserTables, SaysWhatTheViewSays) {
  Database db;
  UseTables(db);
  EXPECT_EQ(
      Differences(
          db, collectors::StatUserTables(), R"((
              SELECT schemaname, relname, seq_scan, seq_tup_read, idx_scan,
                     idx_tup_fetch, n_tup_ins, n_tup_upd, n_tup_del,
                     n_tup_hot_upd, n_live_tup, n_dead_tup,
                     n_mod_since_analyze, vacuum_count, autovacuum_count,
                     analyze_count, autoanalyze_count,
                     coalesce(extract(epoch FROM last_vacuum), 0)
                         AS last_vacuum,
                     coalesce(extract(epoch FROM last_autovacuum), 0)
                         AS last_autovacuum,
                     coalesce(extract(epoch FROM last_analyze), 0)
                         AS last_analyze,
                     coalesce(extract(epoch FROM last_autoanalyze), 0)
                         AS last_autoanalyze
              FROM pg_stat_user_tables) AS v)",
          "seq_scan, seq_tup_read, idx_scan, idx_tup_fetch, n_tup_ins, "
          "n_tup_upd, n_tup_del, n_tup_hot_upd, n_live_tup, n_dead_tup, "
          "n_mod_since_analyze, vacuum_count, autovacuum_count, "
          "analyze_count, autoanalyze_count, last_vacuum, last_autovacuum, "
          "last_analyze, last_autoanalyze"),
      "0 more, 0 fewer");
}

TEST(StatioUserTables, SayWhatTheViewSays) {
  Database db;
  UseTables(db);
  EXPECT_EQ(
      Differences(db, collectors::StatioUserTables(), "pg_statio_user_tables",
                  "heap_blks_read, heap_blks_hit, idx_blks_read, "
                  "idx_blks_hit, toast_blks_read, toast_blks_hit, "
                  "tidx_blks_read, tidx_blks_hit"),
      "0 more, 0 fewer");
}

TEST(TableSizes, AreWhatTheSizeFunctionsSay) {
  Database db;
  UseTables(db);
  EXPECT_EQ(Differences(db, collectors::TableSizes(), R"((
              SELECT schemaname, relname, pg_indexes_size(relid) AS index_size,
                     pg_table_size(relid) AS table_size
              FROM pg_stat_user_tables) AS v)",
                        "index_size, table_size"),
            "0 more, 0 fewer");
}

TEST(StatUserTables, LeavesExcludedSchemasOut) {
  Database db;
  db.Exec(
      "CREATE SCHEMA left_out; CREATE TABLE left_out.t (n int PRIMARY KEY)");
  for (const auto& collector :
       {collectors::StatUserTables(), collectors::TableSizes(),
        collectors::StatioUserTables(), collectors::StatUserIndexes(),
        collectors::StatioUserIndexes()}) {
    EXPECT_NE(Collect(db, collector).find("left_out"), std::string::npos)
        << collector.name;
    meshhook::Scraper scraper(db.Conninfo(test::kExporter), {collector},
                              nullptr,
                              {.databases = {.excluded_schemas = {"left_*"}}});
    const auto page =
        scraper.Scrape(meshhook::pg::Clock::now() + std::chrono::seconds(10))
            ->text();
    EXPECT_EQ(page.find("left_out"), page.npos) << collector.name;
    EXPECT_NE(page.find("schemaname=\"public\""), page.npos) << collector.name;
  }
}

TEST(StatUserIndexes, CountScansAndSayTheSize) {
  Database db;
  db.Exec(R"(CREATE TABLE t (n int PRIMARY KEY);
             INSERT INTO t SELECT generate_series(1, 5000); ANALYZE t)");
  test::Use(db, "SET enable_seqscan = off; SELECT * FROM t WHERE n = 7");
  const auto index = Relation("t") + ",indexrelname=\"t_pkey\"";
  ASSERT_TRUE(test::Await([&] {
    const auto page = Collect(db, collectors::StatUserIndexes());
    return SampleSum(page, Of(db, "meshhook_index_scans_total") + index) == 1 &&
           SampleSum(page,
                     Of(db, "meshhook_index_read_entries_total") + index) == 1;
  }));
  const auto page = Collect(db, collectors::StatUserIndexes());
  EXPECT_EQ(SampleSum(page, Of(db, "meshhook_index_size_bytes") + index),
            std::stod(db.Exec("SELECT pg_relation_size('t_pkey')")));
}

TEST(SequentialScans, NameLargeTablesThatAreReadWhole) {
  Database db;
  db.Exec(R"(
      CREATE TABLE whole AS SELECT n FROM generate_series(1, 5000) AS n;
      CREATE TABLE by_key (n int PRIMARY KEY);
      INSERT INTO by_key SELECT generate_series(1, 5000);
      ANALYZE whole, by_key)");
  test::Use(db, R"(
      SELECT count(*) FROM whole; SELECT count(*) FROM whole;
      SET enable_seqscan = off; SET enable_bitmapscan = off;
      SET enable_indexonlyscan = off;
      SELECT sum(n) FROM by_key WHERE n > 0; SELECT sum(n) FROM by_key WHERE n > 1)");
  const auto sequential = With(collectors::SequentialScans(), "min_bytes", "1");
  const auto rows =
      Of(db, "meshhook_table_sequential_scan_rows") + Relation("whole");
  ASSERT_TRUE(test::Await(
      [&] { return SampleSum(Collect(db, sequential), rows) > 4000; }));
  const auto page = Collect(db, sequential);
  EXPECT_EQ(SampleSum(page, Of(db, "meshhook_table_sequential_read_ratio") +
                                Relation("whole")),
            1);
  EXPECT_EQ(page.find("by_key"), page.npos);
  EXPECT_EQ(Collect(db, collectors::SequentialScans()).find("whole"),
            std::string::npos);
}

TEST(Bloat, IsWhatRowsWouldNotTakeIfPackedAnew) {
  Database db;
  db.Exec(R"(
      CREATE TABLE tidy (id bigint PRIMARY KEY, owner uuid, at timestamptz);
      INSERT INTO tidy SELECT n, gen_random_uuid(), now()
      FROM generate_series(1, 20000) AS n;
      CREATE TABLE bloated (LIKE tidy INCLUDING ALL);
      INSERT INTO bloated TABLE tidy;
      DELETE FROM bloated WHERE id % 4 <> 0;
      CREATE TABLE wide (id bigint PRIMARY KEY, body text);
      INSERT INTO wide SELECT n, repeat('x', 100)
      FROM generate_series(1, 5000) AS n;)");
  for (const char* table : {"tidy", "bloated", "wide"}) {
    db.Exec(std::string("VACUUM ANALYZE ") + table);
  }
  auto page = Collect(db, collectors::Bloat());
  const auto bloat = [&](const std::string& table, const std::string& index) {
    return SampleSum(page, Of(db, "meshhook_bloat_bytes") + Relation(table) +
                               ",indexrelname=\"" + index + "\"");
  };
  const auto size = [&](const std::string& relation) {
    return std::stod(db.Exec("SELECT pg_relation_size('" + relation + "')"));
  };
  EXPECT_LT(bloat("tidy", ""), size("tidy") * 0.1);
  EXPECT_LT(bloat("tidy", "tidy_pkey"), size("tidy_pkey") * 0.1);
  EXPECT_NEAR(bloat("bloated", ""), size("bloated") * 0.75,
              size("bloated") * 0.1);
  EXPECT_NEAR(bloat("bloated", "bloated_pkey"), size("bloated_pkey") * 0.75,
              size("bloated_pkey") * 0.1);
  // How wide a text is only those know who may read it.
  EXPECT_TRUE(std::isnan(bloat("wide", "")));
  EXPECT_FALSE(std::isnan(bloat("wide", "wide_pkey")));
  db.Exec("GRANT SELECT (body) ON wide TO meshhook_exporter");
  page = Collect(db, collectors::Bloat());
  EXPECT_LT(bloat("wide", ""), size("wide") * 0.1);
}

TEST(Pgstattuple, MeasuresWhatIsNotTooLarge) {
  Database db;
  if (!test::Install(db, "pgstattuple")) GTEST_SKIP() << "no pgstattuple";
  db.Exec(R"(
      CREATE TABLE t (id bigint PRIMARY KEY, owner uuid)
          WITH (autovacuum_enabled = off);
      INSERT INTO t SELECT n, gen_random_uuid()
      FROM generate_series(1, 20000) AS n; ANALYZE t;
      DELETE FROM t WHERE id > 10000)");
  const auto dead = Of(db, "meshhook_table_dead_rows_bytes") + Relation("t");
  auto page = Collect(db, collectors::Pgstattuple());
  EXPECT_GT(SampleSum(page, dead), 10000 * 40);
  EXPECT_GT(SampleSum(page, Of(db, "meshhook_index_leaf_density_ratio") +
                                Relation("t")),
            0.8);
  page = Collect(db, With(collectors::Pgstattuple(), "max_bytes", "100000"));
  EXPECT_EQ(page.find("relname=\"t\""), page.npos);
}

TEST(Sequences, AreUsedUpByTheColumnThatIsSmaller) {
  Database db;
  db.Exec(R"(
      CREATE SEQUENCE wide; SELECT setval('wide', 2147483647);
      CREATE TABLE t (n int DEFAULT nextval('wide'));
      CREATE SEQUENCE narrow OWNED BY t.n; SELECT setval('narrow', 1073741824);
      CREATE TABLE s (id smallserial);
      SELECT setval('s_id_seq', 32767);
      CREATE SEQUENCE down INCREMENT -1 MINVALUE -100 MAXVALUE 0;
      SELECT setval('down', -25);
      CREATE SEQUENCE round MAXVALUE 10 CYCLE; SELECT setval('round', 10);
      GRANT SELECT ON wide, narrow, down, round, s_id_seq
      TO meshhook_exporter;
      CREATE SEQUENCE secret)");
  const auto page = Collect(db, collectors::Sequences());
  const auto used = [&](const std::string& name) {
    return SampleSum(page, Of(db, "meshhook_sequence_used_ratio") +
                               ",schemaname=\"public\",sequencename=\"" + name +
                               "\"");
  };
  EXPECT_LT(used("wide"), 1e-6);
  EXPECT_NEAR(used("narrow"), 0.5, 0.01);
  EXPECT_EQ(used("s_id_seq"), 1);
  EXPECT_EQ(used("down"), 0.25);
  EXPECT_TRUE(std::isnan(used("round")));
  EXPECT_TRUE(std::isnan(used("secret")));
  EXPECT_GE(SampleSum(page, Of(db, "meshhook_unreadable_sequences")), 1);
  auto exporter = db.Connect(test::kExporter);
  EXPECT_EQ(test::Refusal(exporter, "SELECT nextval('wide')"), "42501");
}

TEST(MaterializedViews, SayWhetherTheyCanBeReadAndWhenTheyWereRefreshed) {
  Database db;
  db.Exec(R"(
      CREATE MATERIALIZED VIEW full_one AS SELECT generate_series(1, 5000) AS n;
      CREATE INDEX ON full_one (n);
      CREATE MATERIALIZED VIEW empty_one AS SELECT 1 AS n WITH NO DATA;
      SELECT metrics.refresh_if_due() FROM generate_series(1, 4))");
  auto page = Collect(db, collectors::MaterializedViews());
  const auto view = [](const std::string& name,
                       const std::string& schema = "public") {
    return ",schemaname=\"" + schema + "\",matviewname=\"" + name + "\"";
  };
  const auto populated = Of(db, "meshhook_materialized_view_populated");
  EXPECT_EQ(SampleSum(page, populated + view("full_one")), 1);
  EXPECT_EQ(SampleSum(page, populated + view("empty_one")), 0);
  EXPECT_EQ(SampleSum(page, Of(db, "meshhook_materialized_view_size_bytes") +
                                view("full_one")),
            std::stod(db.Exec("SELECT pg_total_relation_size('full_one')")));
  page = Collect(db, collectors::MaterializedViewRefreshes());
  EXPECT_LT(SampleSum(page, Of(db, "meshhook_materialized_view_age_seconds") +
                                view("mv_workflow_metrics", "metrics")),
            60);
}

TEST(MaterializedViewRefreshes, AreSilentWithoutTheDataLayer) {
  Database db(test::Template::kFixture);
  const auto page = Collect(db, collectors::MaterializedViewRefreshes());
  EXPECT_TRUE(std::isnan(SampleSum(page,
                                   "pg_scrape_collector_success{collector="
                                   "\"materialized_view_refreshes\"}")));
}

}  // namespace
