// SPDX-License-Identifier: MIT
// Taking the data layer out again: nothing of it stays, nothing of others goes,
// and MeshHook goes on working meanwhile.
#include "exporter/uninstall.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <thread>

#include "exporter/errors.h"
#include "exporter/migrations.h"
#include "tests/support/database.h"
#include "tests/support/exporter.h"
#include "tests/support/process.h"
#include "tests/support/runs.h"
#include "tests/support/server.h"

namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;
using test::Database;
using test::Ended;
using test::SchemaDump;
using test::Template;

constexpr auto kNoDataLayer = "there is no data layer here";

void Migrate(const meshhook::Conninfo& conninfo) {
  const auto silent = [](const std::string&) {};
  meshhook::Migrate(conninfo, meshhook::EmbeddedMigrations(), 60s, silent);
  meshhook::Backfill(conninfo, silent);
}

// What it says, a line each.
std::string Uninstall(const meshhook::Conninfo& conninfo,
                      std::chrono::seconds patience = 60s) {
  std::string said;
  meshhook::Uninstall(conninfo, patience,
                      [&](const std::string& line) { said += line + "\n"; });
  return said;
}

// What is wrong, and what to do about it.
std::string Complaint(const meshhook::Conninfo& conninfo) {
  try {
    return "no complaint, but " + Uninstall(conninfo, 0s);
  } catch (const meshhook::UsageError& error) {
    return error.what() + std::string("; ") + error.remedy();
  } catch (const meshhook::pg::Error& error) {
    return error.what() + std::string("; ") + error.hint();
  }
}

bool Says(const std::string& text, const std::string& part) {
  return text.find(part) != text.npos;
}

bool Installed(Database& db) {
  return db.Exec("SELECT to_regnamespace('metrics') IS NOT NULL") == "t";
}

TEST(Uninstall, LeavesTheSchemaByteForByteAsItWasBefore) {
  Database db(Template::kFixture);
  db.Exec(test::kWorkflows);
  const auto before = SchemaDump(db.Url());
  Migrate(db.Conninfo());
  for (int i = 0; i < 12; ++i) db.Exec(test::kRun);
  db.Exec("UPDATE workflow_runs SET status = 'running', finished_at = NULL");
  db.Exec("UPDATE workflow_runs SET status = 'succeeded', finished_at = now()");
  db.Exec("SELECT metrics.fold(), metrics.fold_trends(), metrics.maintain()");
  EXPECT_NE(SchemaDump(db.Url()), before);
  const auto said = Uninstall(db.Conninfo());
  EXPECT_TRUE(SchemaDump(db.Url()) == before);
  for (const auto* part :
       {"removed schema metrics, with the counts of 24 runs of ",
        "removed 3 triggers from public.workflow_runs\n",
        "removed workflow_run_metrics from publication supabase_realtime\n",
        "revoked the rights of meshhook_exporter on schema extensions\n"}) {
    EXPECT_TRUE(Says(said, part)) << said;
  }
  db.Exec(test::kRun);
}

TEST(Uninstall, LeavesNoRightsOfOurRolesInTheDatabase) {
  Database db;
  Uninstall(db.Conninfo());
  EXPECT_EQ(db.Exec("SELECT count(*) FROM pg_shdepend "
                    "WHERE refclassid = 'pg_authid'::regclass "
                    "AND refobjid IN ('meshhook_exporter'::regrole, "
                    "'meshhook_api'::regrole, 'meshhook_operator'::regrole) "
                    "AND dbid = (SELECT oid "
                    "FROM pg_database WHERE datname = current_database())"),
            "0");
}

TEST(Uninstall, IsSafeToRepeat) {
  Database db;
  Uninstall(db.Conninfo());
  EXPECT_EQ(Uninstall(db.Conninfo()).rfind(kNoDataLayer, 0), 0u);
  Database without(Template::kFixture);
  EXPECT_EQ(Uninstall(without.Conninfo()).rfind(kNoDataLayer, 0), 0u);
}

TEST(Uninstall, IsTheSameWhenTwoRunAtOnce) {
  Database db;
  std::vector<std::string> said(3);
  std::vector<std::thread> threads;
  for (auto& lines : said) {
    threads.emplace_back([&] { lines = Uninstall(db.Conninfo()); });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(std::count_if(said.begin(), said.end(),
                          [](const std::string& lines) {
                            return Says(lines, "removed schema metrics");
                          }),
            1);
  EXPECT_FALSE(Installed(db));
}

TEST(Uninstall, LetsTheDataLayerBeInstalledAgain) {
  Database db;
  db.Exec(test::kWorkflows);
  for (int i = 0; i < 5; ++i) db.Exec(test::kRun);
  Uninstall(db.Conninfo());
  db.Exec(test::kRun);
  Migrate(db.Conninfo());
  db.Exec(test::kRun);
  db.Exec("SELECT metrics.fold()");
  EXPECT_EQ(db.Exec(test::kCounted), "7");
  EXPECT_EQ(db.Exec(test::kDifferences), "0");
}

TEST(Uninstall, TakesOutAnInstallationThatWasBrokenOff) {
  for (const size_t applied : {0, 2, 7}) {
    Database db(Template::kFixture);
    const auto before = SchemaDump(db.Url());
    auto migrations = meshhook::EmbeddedMigrations();
    migrations.resize(applied);
    meshhook::Migrate(db.Conninfo(), migrations, 60s,
                      [](const std::string&) {});
    const auto said = Uninstall(db.Conninfo());
    EXPECT_TRUE(Says(said, "removed schema metrics")) << said;
    EXPECT_TRUE(SchemaDump(db.Url()) == before) << applied;
  }
}

TEST(Uninstall, GoesOnWhileWritersWriteAndAnExporterFolds) {
  Database db;
  db.Exec(test::kWorkflows);
  const test::Exporter exporter(db.Url(test::kExporter));
  std::atomic<bool> stop{false};
  std::atomic<long> longest_ms{0};
  std::vector<std::thread> writers;
  for (int i = 0; i < 2; ++i) {
    writers.emplace_back([&] {
      auto session = db.Connect();
      while (!stop) {
        const auto started = Clock::now();
        test::Exec(session, test::kRun);
        const auto took = std::chrono::ceil<std::chrono::milliseconds>(
            Clock::now() - started);
        if (took.count() > longest_ms) longest_ms = took.count();
      }
    });
  }
  ASSERT_TRUE(
      test::Await([&] { return std::stol(db.Exec(test::kCounted)) > 100; }));
  const auto said = Uninstall(db.Conninfo());
  std::this_thread::sleep_for(300ms);
  stop = true;
  for (auto& writer : writers) writer.join();
  EXPECT_FALSE(Installed(db));
  EXPECT_LT(longest_ms, 2000);
  EXPECT_TRUE(Says(
      said, "meshhook_exporter is connected to database \"" + db.name() + "\""))
      << said;
  EXPECT_EQ(test::SampleSum(exporter.Page(), "pg_up"), 1);
}

TEST(Uninstall, WaitsForALongTransactionInShortTriesAndThenGivesUp) {
  Database db;
  db.Exec(test::kWorkflows);
  auto holder = db.Connect();
  test::Exec(holder, std::string("BEGIN;") + test::kRun);
  Ended ended;
  std::atomic<bool> done{false};
  std::thread uninstall([&] {
    ended = test::Run(
        {MESHHOOK_EXPORTER, "migrate", "--uninstall", "--lock-wait=1"},
        {{"DATABASE_URL", db.Url()}});
    done = true;
  });
  auto longest = 0ms;
  while (!done) {
    const auto started = Clock::now();
    db.Exec(test::kRun);
    longest = std::max(longest, std::chrono::ceil<std::chrono::milliseconds>(
                                    Clock::now() - started));
  }
  uninstall.join();
  EXPECT_LT(longest, 1s);
  EXPECT_EQ(ended.status, 2);
  EXPECT_TRUE(Says(ended.out, "waits for a lock")) << ended.out;
  EXPECT_TRUE(Says(ended.err,
                   "; to mend it: end the long transaction that "
                   "holds it"))
      << ended.err;
  EXPECT_TRUE(Says(ended.err, "run migrate --uninstall again")) << ended.err;
  EXPECT_TRUE(Installed(db));
  test::Exec(holder, "COMMIT");
  EXPECT_TRUE(Says(Uninstall(db.Conninfo()), "removed schema metrics"));
}

TEST(Uninstall, RefusesASchemaThatIsSomebodyElses) {
  Database db(Template::kFixture);
  // As other tools keep their migrations.
  db.Exec(
      "CREATE SCHEMA metrics; "
      "CREATE TABLE metrics.schema_migrations (version bigint, dirty bool)");
  EXPECT_EQ(Complaint(db.Conninfo()),
            "schema metrics was not made by this program, so nothing was "
            "removed; check the database name in the URL; there is no data "
            "layer in \"" +
                db.name() + "\"");
  EXPECT_TRUE(Installed(db));
}

TEST(Uninstall, RefusesWhoDoesNotOwnTheDataLayer) {
  Database db;
  EXPECT_EQ(Complaint(db.Conninfo(test::kExporter)),
            "role \"meshhook_exporter\" does not own schema metrics; connect "
            "as its owner, postgres");
  EXPECT_TRUE(Installed(db));
}

TEST(Uninstall, RefusesADatabaseThatIsNewer) {
  Database db;
  db.Exec(
      "INSERT INTO metrics.schema_migrations (version, name, checksum) "
      "VALUES (99, '0099_from_the_future.sql', 'x')");
  EXPECT_TRUE(Says(Complaint(db.Conninfo()), "0099_from_the_future.sql"));
  EXPECT_TRUE(Installed(db));
}

TEST(Uninstall, DropsNothingThatOthersMadeOfIt) {
  Database db;
  db.Exec(R"(
      CREATE VIEW public.theirs AS SELECT * FROM metrics.mv_workflow_metrics;
      CREATE TABLE public.kept (durations metrics.sketch))");
  EXPECT_EQ(Complaint(db.Conninfo()),
            "what is not of the data layer uses it: table kept, view theirs; "
            "drop that first, or make it do without; nothing was removed");
  EXPECT_TRUE(Installed(db));
  db.Exec("DROP VIEW public.theirs; DROP TABLE public.kept");
  Uninstall(db.Conninfo());
  EXPECT_FALSE(Installed(db));
}

TEST(Uninstall, KeepsRolesThatAnotherDatabaseNeedsAndSaysWhich) {
  Database db;
  Database other;
  const auto said = Uninstall(db.Conninfo());
  EXPECT_TRUE(Says(said,
                   "kept the roles meshhook_api, meshhook_exporter, "
                   "meshhook_operator: "))
      << said;
  EXPECT_TRUE(Says(said, "database \"" + other.name() +
                             "\" knows them (run migrate --uninstall there)"))
      << said;
  EXPECT_TRUE(Says(said,
                   "; then run: DROP ROLE meshhook_api, meshhook_exporter, "
                   "meshhook_operator\n"))
      << said;
  EXPECT_EQ(
      db.Exec("SELECT count(*) FROM pg_roles WHERE rolname IN "
              "('meshhook_api', 'meshhook_exporter', 'meshhook_operator')"),
      "3");
}

// A cluster of its own, as roles belong to no database.
TEST(Uninstall, DropsTheRolesOnceNothingNeedsThem) {
  const test::Server server;
  const auto conninfo = test::ConninfoOf(server.Url());
  const auto owner = [&] {
    auto url = server.Url();
    url.replace(url.find("supabase_admin"), 14, "postgres");
    return test::ConninfoOf(url);
  }();
  for (const std::string layer : {"supabase", "meshhook"}) {
    const auto loaded = test::Run(
        {"psql", "--no-psqlrc", "--quiet", "--set", "ON_ERROR_STOP=1", "--file",
         MESHHOOK_MIGRATIONS "/../tests/fixtures/" + layer + ".sql",
         server.Url()});
    ASSERT_EQ(loaded.status, 0) << loaded.err;
  }
  const auto kRoles =
      "SELECT count(*) FROM pg_roles WHERE rolname LIKE 'meshhook%'";
  auto admin = meshhook::pg::Connection::Open(conninfo, Clock::now() + 20s);
  Migrate(owner);
  EXPECT_EQ(test::Exec(admin, kRoles), "3");

  test::Exec(admin, R"(
      CREATE TABLE public.reports ();
      GRANT SELECT ON public.reports TO meshhook_exporter;
      CREATE ROLE grafana IN ROLE meshhook_exporter)");
  const auto said = Uninstall(owner);
  for (const auto* part :
       {"kept the roles meshhook_api, meshhook_exporter, "
        "meshhook_operator: ",
        "meshhook_exporter has rights on table reports (REVOKE them)",
        "role grafana is a member (REVOKE meshhook_exporter FROM it)"}) {
    EXPECT_TRUE(Says(said, part)) << said;
  }
  test::Exec(admin, "DROP TABLE public.reports; DROP ROLE grafana");
  Migrate(owner);
  EXPECT_TRUE(Says(Uninstall(owner),
                   "dropped the roles meshhook_api, meshhook_exporter, "
                   "meshhook_operator\n"));
  EXPECT_EQ(test::Exec(admin, kRoles), "0");
  EXPECT_EQ(Uninstall(owner), std::string(kNoDataLayer) + "\n");
  Migrate(owner);
  EXPECT_EQ(test::Exec(admin, kRoles), "3");
}

TEST(Uninstall, StandsAloneOnTheCommandLine) {
  for (const auto* flag :
       {"--print", "--dir=/tmp", "--backfill", "--no-backfill"}) {
    const auto ended =
        test::Run({MESHHOOK_EXPORTER, "migrate", "--uninstall", flag});
    EXPECT_EQ(ended.status, 2);
    EXPECT_TRUE(Says(ended.err, "--uninstall cannot be combined with --"))
        << ended.err;
    EXPECT_TRUE(Says(ended.err,
                     "; to mend it: run meshhook-exporter migrate "
                     "--uninstall"))
        << ended.err;
  }
}

}  // namespace
