// SPDX-License-Identifier: MIT
// Installing the data layer: on a database that is at work, again, twice at
// once, and where it must not be.
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <set>
#include <thread>

#include "exporter/errors.h"
#include "exporter/migrations.h"
#include "tests/support/database.h"
#include "tests/support/pattern.h"
#include "tests/support/process.h"
#include "tests/support/runs.h"

namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;
using meshhook::EmbeddedMigrations;
using test::Await;
using test::Database;
using test::Template;

using Lines = std::vector<std::string>;

Lines Migrate(const meshhook::Conninfo& conninfo,
              std::chrono::seconds patience = 60s) {
  Lines lines;
  meshhook::Migrate(conninfo, EmbeddedMigrations(), patience,
                    [&](const std::string& line) { lines.push_back(line); });
  return lines;
}

// What is wrong, and what to do about it.
std::string Complaint(const meshhook::Conninfo& conninfo) {
  try {
    Migrate(conninfo, 0s);
    return "";
  } catch (const meshhook::UsageError& error) {
    return error.what() + std::string("; ") + error.remedy();
  } catch (const meshhook::pg::Error& error) {
    return error.what() + std::string("; ") + error.hint();
  }
}

// The schema as SQL, without the time of installation, at which the partial
// index for the backfill begins.
std::string Dump(const Database& db) {
  return test::Replaced(test::SchemaDump(db.Url()), "created_at < '[^']*'",
                        "created_at < 'then'");
}

TEST(Migrate, NeedsNoSuperuser) {
  Database db(Template::kFixture);
  EXPECT_EQ(db.Exec("SELECT rolsuper FROM pg_roles WHERE rolname = user"), "f");
  const auto lines = Migrate(db.Conninfo());
  ASSERT_EQ(lines.size(), EmbeddedMigrations().size() + 1);
  EXPECT_EQ(lines[0], "applied " + EmbeddedMigrations()[0].name);
  EXPECT_EQ(db.Exec("SELECT nspowner::regrole FROM pg_namespace "
                    "WHERE nspname = 'metrics'"),
            "postgres");
  EXPECT_EQ(db.Exec("SELECT count(*) FROM metrics.schema_migrations"),
            std::to_string(EmbeddedMigrations().size()));
}

TEST(Migrate, DoesNothingWhenItIsRepeated) {
  Database db;
  const auto dump = Dump(db);
  EXPECT_EQ(Migrate(db.Conninfo()), Lines{"the data layer is up to date"});
  EXPECT_EQ(Dump(db), dump);
}

TEST(Migrate, TakesTurnsWithAnother) {
  Database db(Template::kFixture);
  std::vector<Lines> said(3);
  std::vector<std::thread> threads;
  for (auto& lines : said) {
    threads.emplace_back([&] { lines = Migrate(db.Conninfo()); });
  }
  for (auto& thread : threads) thread.join();
  std::multiset<std::string> applied;
  for (const auto& lines : said) {
    for (const auto& line : lines) {
      if (line.ends_with(".sql")) applied.insert(line);
    }
  }
  for (const auto& migration : EmbeddedMigrations()) {
    EXPECT_EQ(applied.count("applied " + migration.name), 1u) << migration.name;
  }
}

TEST(Migrate, WaitsForALockInShortTriesAndHoldsUpNobody) {
  Database db(Template::kFixture);
  db.Exec(test::kWorkflows);
  auto holder = db.Connect();
  test::Exec(holder, std::string("BEGIN;") + test::kRun);
  Lines lines;
  std::atomic<bool> done{false};
  std::thread migrate([&] {
    lines = Migrate(db.Conninfo());
    done = true;
  });
  const auto end = Clock::now() + 2500ms;
  auto longest = 0ms;
  while (Clock::now() < end) {
    const auto started = Clock::now();
    db.Exec(test::kRun);
    longest = std::max(longest, std::chrono::ceil<std::chrono::milliseconds>(
                                    Clock::now() - started));
    std::this_thread::sleep_for(2ms);
  }
  EXPECT_FALSE(done);
  EXPECT_LT(longest, 1s);
  // That it was in the way at all: it does wait in the queue for a lock.
  EXPECT_GT(longest, 50ms);
  test::Exec(holder, "COMMIT");
  migrate.join();
  EXPECT_EQ(std::count_if(lines.begin(), lines.end(),
                          [](const std::string& line) {
                            return line.find("waits for a lock") != line.npos;
                          }),
            1);
  EXPECT_EQ(db.Exec("SELECT count(*) FROM metrics.schema_migrations"),
            std::to_string(EmbeddedMigrations().size()));
}

TEST(Migrate, GivesUpWithAWordOnWhoIsInTheWayAndGoesOnLater) {
  Database db(Template::kFixture);
  auto holder = db.Connect();
  test::Exec(holder, "BEGIN; LOCK TABLE workflow_runs IN ROW EXCLUSIVE MODE");
  const auto ended = test::Run({MESHHOOK_EXPORTER, "migrate", "--lock-wait=1"},
                               {{"DATABASE_URL", db.Url()}});
  EXPECT_EQ(ended.status, 2);
  EXPECT_NE(ended.out.find("0007_"), std::string::npos);
  EXPECT_EQ(std::count(ended.err.begin(), ended.err.end(), '\n'), 1);
  EXPECT_NE(ended.err.find("0007_"), std::string::npos) << ended.err;
  EXPECT_NE(ended.err.find("lock timeout; to mend it: end the long transaction "
                           "that holds it"),
            std::string::npos)
      << ended.err;
  EXPECT_EQ(db.Exec("SELECT max(version) FROM metrics.schema_migrations"), "6");
  test::Exec(holder, "COMMIT");
  EXPECT_EQ(Migrate(db.Conninfo()).front().substr(0, 13), "applied 0007_");
}

TEST(Migrate, IsExactUnderALoadOfWriters) {
  Database db(Template::kFixture);
  db.Exec(test::kWorkflows);
  std::atomic<bool> stop{false};
  std::vector<std::thread> writers;
  for (int i = 0; i < 3; ++i) {
    writers.emplace_back([&] {
      auto session = db.Connect();
      while (!stop) test::Exec(session, test::kRun);
    });
  }
  std::this_thread::sleep_for(300ms);
  Migrate(db.Conninfo());
  meshhook::Backfill(db.Conninfo(), [](const std::string&) {});
  std::this_thread::sleep_for(300ms);
  stop = true;
  for (auto& writer : writers) writer.join();
  db.Exec("SELECT metrics.fold()");
  EXPECT_GT(std::stol(db.Exec(test::kFinishedRuns)), 100);
  EXPECT_EQ(db.Exec(test::kCounted), db.Exec(test::kFinishedRuns));
  EXPECT_EQ(db.Exec(test::kDifferences), "0");
}

TEST(Migrate, RefusesAFileThatWasEdited) {
  Database db;
  db.Exec(
      "UPDATE metrics.schema_migrations SET checksum = 'other' "
      "WHERE version = 2");
  EXPECT_EQ(Complaint(db.Conninfo()).rfind("migration 0002_", 0), 0u);
}

TEST(Migrate, RefusesADatabaseThatIsNewer) {
  Database db;
  db.Exec(
      "INSERT INTO metrics.schema_migrations (version, name, checksum) "
      "VALUES (99, '0099_from_the_future.sql', 'x')");
  EXPECT_EQ(Complaint(db.Conninfo()),
            "the database is newer than this program: it has "
            "0099_from_the_future.sql; use the version of meshhook-exporter "
            "that applied it");
}

TEST(Migrate, RefusesADatabaseThatIsNotMeshHooks) {
  Database db(Template::kFixture);
  db.Exec("DROP TABLE workflow_runs CASCADE");
  const auto complaint = Complaint(db.Conninfo());
  EXPECT_EQ(complaint.rfind("there is no table public.workflow_runs in "
                            "database \"" +
                                db.name() + "\"",
                            0),
            0u)
      << complaint;
  EXPECT_EQ(db.Exec("SELECT to_regnamespace('metrics') IS NULL"), "t");
}

TEST(Migrate, RefusesWhoDoesNotOwnMeshHooksTables) {
  for (const auto from : {Template::kFixture, Template::kMigrated}) {
    Database db(from);
    EXPECT_EQ(Complaint(db.Conninfo(test::kExporter)),
              "role \"meshhook_exporter\" does not own public.workflow_runs; "
              "connect as its owner, postgres");
  }
}

TEST(Migrate, RefusesASchemaThatIsSomebodyElses) {
  Database db(Template::kFixture);
  db.Exec("CREATE SCHEMA metrics; CREATE TABLE metrics.theirs ()");
  EXPECT_EQ(
      Complaint(db.Conninfo())
          .rfind("schema metrics exists and was not made by this program", 0),
      0u);
  EXPECT_EQ(db.Exec("SELECT count(*) FROM pg_class "
                    "WHERE relnamespace = 'metrics'::regnamespace"),
            "1");
}

TEST(Migrate, TellsAnAdministratorWhatItMayNotDo) {
  Database db(Template::kFixture);
  // One that owns the tables but may create no roles; the name of the role is
  // changed in the file, as the cluster's own exists already.
  const auto owner = "owner_of_" + db.name();
  db.Exec("CREATE ROLE " + owner + " LOGIN IN ROLE postgres; " +
              "ALTER DATABASE " + db.name() + " OWNER TO " + owner,
          test::kSuperuser);
  auto migrations = EmbeddedMigrations();
  migrations.resize(1);
  auto& sql = migrations[0].sql;
  sql = test::Replaced(sql, "meshhook_api", "role_of_" + db.name());
  std::string said;
  try {
    meshhook::Migrate(db.Conninfo(owner), migrations, 0s,
                      [](const std::string&) {});
  } catch (const meshhook::pg::Error& error) {
    said = error.what() + std::string("; ") + error.hint();
  }
  EXPECT_EQ(said, migrations[0].name + ": role role_of_" + db.name() +
                      " does not exist and " + owner +
                      " may not create it; as an administrator run: CREATE "
                      "ROLE role_of_" +
                      db.name() + " LOGIN NOINHERIT");
  db.Exec("ALTER DATABASE " + db.name() + " OWNER TO postgres; DROP OWNED BY " +
              owner + "; DROP ROLE " + owner,
          test::kSuperuser);
}

TEST(MigrationScript, ThroughPsqlMakesTheSameSchema) {
  Database by_program;
  Database by_psql(Template::kFixture);
  const auto script = test::Run({MESHHOOK_EXPORTER, "migrate", "--print"});
  ASSERT_EQ(script.status, 0) << script.err;
  const std::string file =
      testing::TempDir() + "script_for_" + by_psql.name() + ".sql";
  std::ofstream(file) << script.out;
  const auto psql =
      test::Run({"psql", "--no-psqlrc", "--quiet", "--set", "ON_ERROR_STOP=1",
                 "--output", "/dev/null", "--file", file, by_psql.Url()});
  std::filesystem::remove(file);
  EXPECT_EQ(psql.status, 0) << psql.err;
  EXPECT_TRUE(Dump(by_program) == Dump(by_psql));
  EXPECT_EQ(Migrate(by_psql.Conninfo()), Lines{"the data layer is up to date"});
}

}  // namespace
