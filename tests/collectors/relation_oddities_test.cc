// SPDX-License-Identifier: MIT
// What must not hold up or break the collectors of relations: locks, odd
// names, databases without an encoding, tables that go while they are read.
#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>
#include <future>

#include "collectors/all.h"
#include "exporter/statement.h"
#include "tests/support/collect.h"
#include "tests/support/process.h"
#include "tests/support/relations.h"

namespace {

using namespace std::chrono_literals;
namespace collectors = meshhook::collectors;
using meshhook::Collector;
using meshhook::pg::Clock;
using test::Collect;
using test::Database;
using test::Exec;
using test::kSuperuser;
using test::Of;
using test::Relation;
using test::SampleSum;

// All that read relations, also those that are off.
std::vector<Collector> OfRelations() {
  return {collectors::StatUserTables(),    collectors::TableSizes(),
          collectors::StatioUserTables(),  collectors::StatUserIndexes(),
          collectors::StatioUserIndexes(), collectors::IndexAdvice(),
          collectors::ForeignKeys(),       collectors::HypotheticalIndexes(),
          collectors::SequentialScans(),   collectors::Bloat(),
          collectors::Pgstattuple(),       collectors::Sequences(),
          collectors::MaterializedViews()};
}

std::string CollectAll(const meshhook::Conninfo& conninfo) {
  meshhook::Scraper scraper(conninfo, OfRelations(), nullptr);
  return scraper.Scrape(Clock::now() + 10s)->text();
}

// The page, having come well before a wait for a lock would have ended.
std::string Unhindered(const Database& db) {
  const auto start = Clock::now();
  auto page = CollectAll(db.Conninfo(test::kExporter));
  EXPECT_LT(Clock::now() - start, 2s);
  for (const auto& collector : OfRelations()) {
    const auto success =
        SampleSum(page, "pg_scrape_collector_success{collector=\"" +
                            collector.name + "\"}");
    EXPECT_TRUE(std::isnan(success) || success == 1) << collector.name;
  }
  return page;
}

constexpr auto kTable = R"(
    CREATE TABLE t (id serial PRIMARY KEY, body text, t int REFERENCES t);
    INSERT INTO t (body) SELECT n::text FROM generate_series(1, 5000) AS n;
    GRANT SELECT ON SEQUENCE t_id_seq TO meshhook_exporter; ANALYZE t)";

void ExpectSizes(const Database& db, const std::string& page) {
  for (const char* size :
       {"pg_stat_user_tables_table_size_bytes",
        "pg_stat_user_tables_index_size_bytes", "meshhook_index_size_bytes"}) {
    EXPECT_GT(SampleSum(page, Of(db, size) + Relation("t")), 100'000) << size;
  }
}

TEST(LockedRelations, KeepTheirSizesAndDelayNothing) {
  Database db;
  db.Exec(kTable);
  test::Install(db, "pgstattuple");
  test::Install(db, "hypopg");
  auto holder = db.Connect();
  Exec(holder, "BEGIN; LOCK TABLE t IN ACCESS EXCLUSIVE MODE");
  const auto page = Unhindered(db);
  ExpectSizes(db, page);
  EXPECT_EQ(
      SampleSum(page,
                Of(db, "pg_stat_user_tables_table_size_bytes") + Relation("t")),
      std::stod(db.Exec("SELECT sum(p.relpages) * 8192 FROM pg_class AS c "
                        "JOIN pg_class AS p ON p.oid IN (c.oid, "
                        "c.reltoastrelid) OR p.oid IN (SELECT indexrelid "
                        "FROM pg_index WHERE indrelid = c.reltoastrelid) "
                        "WHERE c.relname = 't'")));
}

TEST(LockedRelations, DelayNothingWhileTheLockIsOnlyAwaited) {
  Database db;
  db.Exec(kTable);
  test::Install(db, "pgstattuple");
  test::Install(db, "hypopg");
  auto reader = db.Connect();
  Exec(reader, "BEGIN; SELECT * FROM t LIMIT 1");
  auto alter = std::async(std::launch::async, [&db] {
    auto session = db.Connect();
    Exec(session, "ALTER TABLE t ADD COLUMN more int");
  });
  EXPECT_TRUE(test::Await([&] {
    return db.Exec("SELECT count(*) FROM pg_locks WHERE NOT granted") != "0";
  }));
  const auto page = Unhindered(db);
  Exec(reader, "ROLLBACK");
  ExpectSizes(db, page);
}

TEST(LockedRelations, DelayNothingWhereAnIndexAloneIsRebuilt) {
  Database db;
  db.Exec(kTable);
  test::Install(db, "pgstattuple");
  auto holder = db.Connect();
  Exec(holder, "BEGIN; REINDEX INDEX t_pkey");
  ExpectSizes(db, Unhindered(db));
}

TEST(LockedRelations, DelayNothingWhereASequenceIsAltered) {
  Database db;
  db.Exec(kTable);
  auto holder = db.Connect();
  Exec(holder, "BEGIN; ALTER SEQUENCE t_id_seq INCREMENT 2");
  const auto page = Unhindered(db);
  EXPECT_EQ(page.find("meshhook_sequence_used_ratio{"), page.npos);
}

TEST(LockedRelations, DelayNothingDuringAPlainRefresh) {
  Database db;
  db.Exec(R"(
      CREATE FUNCTION turn() RETURNS int LANGUAGE plpgsql AS $$ BEGIN
          PERFORM pg_advisory_xact_lock_shared(7); RETURN 1; END $$;
      CREATE MATERIALIZED VIEW t AS
          SELECT n, turn() FROM generate_series(1, 5000) AS n;
      CREATE INDEX ON t (n); ANALYZE t)");
  auto holder = db.Connect();
  Exec(holder, "SELECT pg_advisory_lock(7)");
  auto refresh = std::async(std::launch::async, [&db] {
    auto session = db.Connect();
    Exec(session, "REFRESH MATERIALIZED VIEW t");
  });
  EXPECT_TRUE(test::Await([&] {
    return db.Exec(
               "SELECT count(*) FROM pg_locks WHERE NOT granted "
               "AND locktype = 'advisory'") == "1";
  }));
  const auto page = Unhindered(db);
  Exec(holder, "SELECT pg_advisory_unlock(7)");
  refresh.get();
  ExpectSizes(db, page);
  EXPECT_GT(SampleSum(page, Of(db, "meshhook_materialized_view_size_bytes") +
                                ",schemaname=\"public\",matviewname=\"t\""),
            100'000);
}

TEST(OddNames, ArriveWhole) {
  Database db;
  test::Install(db, "pgstattuple");
  const bool hypopg = test::Install(db, "hypopg");
  db.Exec(R"(
      CREATE SCHEMA "a ""b'"; GRANT USAGE ON SCHEMA "a ""b'"
      TO meshhook_exporter;
      CREATE TABLE "a ""b'".U&"line\000Abreak\\'" (
          "i ""d" serial PRIMARY KEY, "f'k" int);
      ALTER TABLE "a ""b'".U&"line\000Abreak\\'" ADD CONSTRAINT "c ""k"
          FOREIGN KEY ("f'k") REFERENCES "a ""b'".U&"line\000Abreak\\'";
      INSERT INTO "a ""b'".U&"line\000Abreak\\'" ("f'k") VALUES (1);
      ANALYZE "a ""b'".U&"line\000Abreak\\'")");
  const auto page = Unhindered(db);
  const std::string labels = R"(schemaname="a \"b'",relname="line\nbreak\\'")";
  for (const char* metric :
       {"pg_stat_user_tables_table_size_bytes",
        "pg_statio_user_tables_heap_blocks_hit", "meshhook_index_size_bytes",
        "meshhook_unindexed_foreign_key_table_bytes"}) {
    EXPECT_GE(SampleSum(page, Of(db, metric, "," + labels)), 0) << metric;
  }
  if (hypopg) {
    EXPECT_GT(SampleSum(page, Of(db, "meshhook_hypothetical_index_bytes",
                                 "," + labels)),
              0);
  }
}

TEST(OddNames, MayBeNoTextAtAllWhereTheDatabaseHasNoEncoding) {
  const std::string name = "ascii_" + std::to_string(getpid());
  Database other;  // for a session that may create one
  other.Exec("CREATE DATABASE " + name +
                 " ENCODING 'SQL_ASCII' TEMPLATE template0 "
                 "LC_COLLATE 'C' LC_CTYPE 'C'",
             kSuperuser);
  const auto conninfo = [&](const std::string& role) {
    return test::ConninfoOf("postgresql://" + role + "@" +
                            test::ClusterAddress() + "/" + name);
  };
  {
    auto session = meshhook::pg::Connection::Open(conninfo(kSuperuser),
                                                  Clock::now() + 10s);
    Exec(session, "SET client_encoding = 'SQL_ASCII'");
    Exec(session,
         "CREATE SCHEMA \"sch\xe9ma\"; CREATE TABLE \"sch\xe9ma\".\"caf\xe9\" "
         "(\"cl\xe9\" serial PRIMARY KEY, b text DEFAULT 'd\xe9j\xe0'); "
         "CREATE UNIQUE INDEX \"ind\xe9x\" ON \"sch\xe9ma\".\"caf\xe9\" "
         "((b || '\xff')) WHERE b <> '\xfe'; "
         "ALTER TABLE \"sch\xe9ma\".\"caf\xe9\" OWNER TO postgres; "
         "INSERT INTO \"sch\xe9ma\".\"caf\xe9\" (b) VALUES ('x')");
    const auto page = CollectAll(conninfo(test::kExporter));
    for (const auto& collector : OfRelations()) {
      const auto success =
          SampleSum(page, "pg_scrape_collector_success{collector=\"" +
                              collector.name + "\"}");
      EXPECT_TRUE(std::isnan(success) || success == 1) << collector.name;
    }
    EXPECT_GT(
        SampleSum(page, "pg_stat_user_tables_table_size_bytes{datname=\"" +
                            name +
                            "\",schemaname=\"sch\xEF\xBF\xBDma\","
                            "relname=\"caf\xEF\xBF\xBD\"}"),
        0);
  }
  other.Exec("DROP DATABASE " + name + " WITH (FORCE)", kSuperuser);
}

// A snapshot from before the DROP shows the relation, and its files are gone:
// what a scrape meets when a table is dropped after it read the catalogue.
TEST(DroppedRelations, HaveNoSizeAndFailNothing) {
  Database db;
  db.Exec(kTable);
  db.Exec("CREATE MATERIALIZED VIEW v AS TABLE t");
  for (const auto& collector : OfRelations()) {
    if (!collector.extension.empty()) continue;
    db.Exec(
        "CREATE TABLE gone (id serial PRIMARY KEY, r int REFERENCES t); "
        "INSERT INTO gone VALUES (1, 1); ANALYZE gone; "
        "GRANT SELECT ON SEQUENCE gone_id_seq TO meshhook_exporter; "
        "CREATE MATERIALIZED VIEW gone_view AS TABLE t");
    auto session = db.Connect(test::kExporter);
    Exec(session, "BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 'gone'::name");
    db.Exec("DROP TABLE gone; DROP MATERIALIZED VIEW gone_view");
    const meshhook::Server server{.address = "",
                                  .database = db.name(),
                                  .user = "",
                                  .version = session.server_version(),
                                  .full_version = "",
                                  .short_version = "",
                                  .extension_schemas = {}};
    const auto rows = session.Execute(StatementFor(collector, server, "^$"),
                                      Clock::now() + 10s);
    if (collector.name == "stat_user_tables") {
      const int name = rows.Column("relname");
      const int size = rows.Column("table_size");
      bool seen = false;
      for (int row = 0; row < rows.rows(); ++row) {
        if (rows.Text(row, name) != "gone") continue;
        seen = true;
        EXPECT_FALSE(rows.Get(row, size).has_value());
      }
      EXPECT_TRUE(seen);
    }
  }
}

TEST(TrackCounts, MayBeOff) {
  Database db;
  db.Exec(kTable);
  db.Exec("ALTER DATABASE " + db.name() + " SET track_counts = off",
          kSuperuser);
  ExpectSizes(db, Unhindered(db));
}

TEST(ResetStatistics, LeaveEveryTableWithItsCounters) {
  Database db;
  db.Exec(kTable);
  db.Exec("SELECT pg_stat_reset()", kSuperuser);
  const auto page = Unhindered(db);
  EXPECT_EQ(
      SampleSum(page, Of(db, "pg_stat_user_tables_n_tup_ins") + Relation("t")),
      0);
  ExpectSizes(db, page);
}

}  // namespace
