// SPDX-License-Identifier: MIT
// The server as a whole: limits, versions, counters, and commands under way.
#include <gtest/gtest.h>

#include <future>

#include "collectors/all.h"
#include "tests/support/collect.h"

namespace {

namespace collectors = meshhook::collectors;
using test::Collect;
using test::Collecting;
using test::Database;
using test::Exec;
using test::kSuperuser;
using test::SampleSum;

int Version(Database& db) {
  return std::stoi(db.Exec("SHOW server_version_num"));
}

TEST(ConnectionLimits, AreThoseOfTheServerAndOfWhoeverHasOne) {
  Database db;
  const auto of_database = "{kind=\"database\",name=\"" + db.name() + "\"}";
  auto page = Collect(db, collectors::ConnectionLimits());
  EXPECT_EQ(page.find(of_database), page.npos);
  const auto max = std::stod(db.Exec("SHOW max_connections"));
  EXPECT_EQ(SampleSum(page, "meshhook_allowed_connections{kind=\"server\""),
            max - std::stod(db.Exec("SHOW superuser_reserved_connections")));
  const auto role = db.name() + "_\"role";
  db.Exec("CREATE ROLE \"" + db.name() + "_\"\"role\" CONNECTION LIMIT 7",
          kSuperuser);
  db.Exec("ALTER DATABASE " + db.name() + " CONNECTION LIMIT 9", kSuperuser);
  const auto one = db.Connect();
  page = Collect(db, collectors::ConnectionLimits());
  EXPECT_EQ(SampleSum(page, "meshhook_allowed_connections" + of_database), 9);
  // Those of `db`, `one` and the exporter.
  EXPECT_GE(SampleSum(page, "meshhook_used_connections" + of_database), 4);
  const auto of_role = "{kind=\"role\",name=\"" + db.name() + "_\\\"role\"}";
  EXPECT_EQ(SampleSum(page, "meshhook_allowed_connections" + of_role), 7);
  EXPECT_EQ(SampleSum(page, "meshhook_used_connections" + of_role), 0);
  db.Exec("DROP ROLE \"" + db.name() + "_\"\"role\"", kSuperuser);
}

TEST(ClientEncryption, KnowsPlainConnections) {
  Database db;
  const auto page = Collect(db, collectors::ClientEncryption());
  EXPECT_GE(SampleSum(page,
                      "meshhook_client_sessions{transport=\"plain\","
                      "tls_version=\"\"}"),
            1);
  EXPECT_EQ(SampleSum(page, "meshhook_client_sessions{transport=\"tls\""), 0);
}

TEST(DatabaseIds, AreRatiosOfWhatTheServerAllows) {
  Database db;
  const auto page = Collect(db, collectors::DatabaseIds());
  const auto Of = [&](const std::string& metric, const std::string& kind) {
    return SampleSum(page,
                     metric + "{datname=\"" + db.name() + "\"" +
                         (kind.empty() ? "}" : ",kind=\"" + kind + "\"}"));
  };
  const auto age = Of("meshhook_database_age_transactions", "");
  EXPECT_GT(age, 0);
  EXPECT_DOUBLE_EQ(Of("meshhook_database_freeze_ratio", "transaction"),
                   age / std::stod(db.Exec("SHOW autovacuum_freeze_max_age")));
  const double reserve = Version(db) < 140000 ? 1000000 : 3000000;
  EXPECT_NEAR(Of("meshhook_database_wraparound_ratio", "transaction"),
              age / (2147483648.0 - reserve), 1e-15);
  EXPECT_GE(Of("meshhook_database_age_multixacts", ""), 0);
  // One that takes no connections stops the server as well.
  EXPECT_GE(SampleSum(page,
                      "meshhook_database_age_transactions{datname="
                      "\"template0\"}"),
            0);
}

TEST(Extensions, AreOutdatedWhereTheFilesAreNewer) {
  Database db;
  db.Exec("CREATE EXTENSION hstore VERSION '1.4'", kSuperuser);
  const auto newest = db.Exec(
      "SELECT default_version FROM pg_available_extensions "
      "WHERE name = 'hstore'");
  const auto count =
      "meshhook_outdated_extensions{datname=\"" + db.name() + "\"}";
  auto page = Collect(db, collectors::Extensions());
  EXPECT_EQ(SampleSum(page, count), 1);
  EXPECT_EQ(SampleSum(page, "meshhook_extension_info{datname=\"" + db.name() +
                                "\",extension=\"hstore\",version=\"1.4\","
                                "available=\"" +
                                newest + "\"}"),
            1);
  db.Exec("ALTER EXTENSION hstore UPDATE", kSuperuser);
  page = Collect(db, collectors::Extensions());
  EXPECT_EQ(SampleSum(page, count), 0);
}

// A session tells its counters when it ends.
void RunAndEnd(Database& db, const std::string& sql) {
  auto session = db.Connect();
  Exec(session, sql);
}

TEST(StatIo, CountsBytesThatWereExtended) {
  Database db;
  if (Version(db) < 160000) GTEST_SKIP() << "PostgreSQL 16 has it first";
  const std::string extended =
      "meshhook_io_extended_bytes_total{backend_type=\"client backend\","
      "object=\"relation\",context=\"normal\"}";
  RunAndEnd(db, "CREATE TABLE t (n int); INSERT INTO t VALUES (1)");
  Collecting io(db, collectors::StatIo());
  ASSERT_TRUE(io.Becomes(extended, [](double now) { return now > 0; }));
  const auto before = io.Sum(extended);
  RunAndEnd(db, "INSERT INTO t SELECT generate_series(1, 100000)");
  const auto size = std::stod(db.Exec("SELECT pg_relation_size('t')"));
  EXPECT_TRUE(io.Becomes(
      extended, [&](double now) { return now >= before + size - 8192; }));
}

TEST(StatWal, CountsWhatWasMade) {
  Database db;
  if (Version(db) < 140000) GTEST_SKIP() << "PostgreSQL 14 has it first";
  Collecting wal(db, collectors::StatWal());
  const auto page = wal.Page();
  const auto bytes = SampleSum(page, "meshhook_wal_bytes_total");
  const auto records = SampleSum(page, "meshhook_wal_records_total");
  EXPECT_GT(SampleSum(page, "meshhook_wal_writes_total"), 0);
  // Nobody measured them.
  EXPECT_EQ(page.find("meshhook_wal_write_seconds_total "), page.npos);
  RunAndEnd(db, "CREATE TABLE t AS SELECT generate_series(1, 10000) AS n");
  EXPECT_TRUE(wal.Becomes("meshhook_wal_records_total",
                          [&](double now) { return now >= records + 10000; }));
  EXPECT_GE(wal.Sum("meshhook_wal_bytes_total"), bytes + 500000);
}

TEST(Slru, HasTheSameNamesOnAllServers) {
  Database db;
  RunAndEnd(db, "CREATE TABLE t (); DROP TABLE t");
  Collecting slru(db, collectors::Slru());
  EXPECT_TRUE(
      slru.Becomes("meshhook_slru_hit_blocks_total{cache=\"transaction\"}",
                   [](double now) { return now > 0; }));
  const auto page = slru.Page();
  for (const char* cache :
       {"commit_timestamp", "multixact_member", "multixact_offset", "notify",
        "serializable", "subtransaction", "other"}) {
    EXPECT_GE(SampleSum(page, std::string("meshhook_slru_read_blocks_total{"
                                          "cache=\"") +
                                  cache + "\"}"),
              0)
        << cache;
  }
}

TEST(Progress, ShowsAnIndexBuildThatWaitsForATransaction) {
  Database db;
  db.Exec("CREATE TABLE \"odd \"\"name\" (n int)");
  std::future<void> build;
  auto writer = db.Connect();
  Exec(writer, "BEGIN; INSERT INTO \"odd \"\"name\" VALUES (1)");
  build = std::async(std::launch::async, [&db] {
    auto session = db.Connect();
    Exec(session, "CREATE INDEX CONCURRENTLY ON \"odd \"\"name\" (n)");
  });
  const auto labels =
      "{datname=\"" + db.name() +
      "\",schemaname=\"public\",relname=\"odd \\\"name\",command=\"create "
      "index "
      "concurrently\",phase=\"waiting for writers before build\"}";
  Collecting progress(db, collectors::Progress());
  EXPECT_TRUE(progress.Becomes("meshhook_progress_awaited_sessions" + labels,
                               [](double now) { return now == 1; }));
  const auto page = progress.Page();
  EXPECT_EQ(SampleSum(page, "meshhook_progress_commands" + labels), 1);
  EXPECT_GT(SampleSum(page, "meshhook_progress_running_seconds" + labels), 0);
  // From another database the table is a number.
  Database other;
  const auto seen = Collect(other, collectors::Progress());
  EXPECT_EQ(SampleSum(seen, "meshhook_progress_commands{datname=\"" +
                                db.name() + "\",schemaname=\"\",relname=\"" +
                                db.Exec("SELECT oid FROM pg_class "
                                        "WHERE relname LIKE 'odd%'")),
            1);
}

// Each is held where it computes an index's expression, by a lock of ours.
TEST(Progress, ShowsRewritesAnalyzesAndCopies) {
  Database db;
  db.Exec(R"(CREATE FUNCTION wait(n int) RETURNS int IMMUTABLE LANGUAGE plpgsql
      AS $$ BEGIN PERFORM pg_advisory_xact_lock_shared(1); RETURN n; END $$;
      CREATE TABLE t AS SELECT n FROM generate_series(1, 50) AS n;
      CREATE INDEX ON t (wait(n)))");
  std::future<void> command;
  for (const auto& [sql, name, value] : std::vector<std::array<std::string, 3>>{
           {"VACUUM FULL t", "vacuum full", "done_rows"},
           {"ANALYZE t", "analyze", "done_blocks"},
           {"COPY (SELECT wait(n) FROM t) TO STDOUT", "copy to",
            "done_bytes"}}) {
    if (name == "copy to" && Version(db) < 140000) continue;
    auto holder = db.Connect();
    Exec(holder, "BEGIN; SELECT pg_advisory_xact_lock(1)");
    command = std::async(std::launch::async, [&db, sql = sql] {
      auto session = db.Connect(kSuperuser);
      Exec(session, sql.rfind("COPY", 0) == 0
                        ? "COPY (SELECT wait(n) FROM t) TO '/dev/null'"
                        : sql);
    });
    const auto labels =
        "{datname=\"" + db.name() + "\",schemaname=\"" +
        (name == "copy to" ? "\",relname=\"" : "public\",relname=\"t") +
        "\",command=\"" + name + "\"";
    Collecting progress(db, collectors::Progress());
    EXPECT_TRUE(progress.Becomes("meshhook_progress_" + value + labels,
                                 [](double now) { return now >= 0; }))
        << name;
    Exec(holder, "COMMIT");
    command.get();
    EXPECT_EQ(progress.Page().find(labels), std::string::npos) << name;
  }
}

}  // namespace
