// SPDX-License-Identifier: MIT
// The program at the command line: whatever is wrong is said in one line, with
// its remedy, status 2 and never a password.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <sstream>
#include <thread>

#include "exporter/migrations.h"
#include "tests/support/database.h"
#include "tests/support/exporter.h"
#include "tests/support/folder.h"

namespace {

namespace fs = std::filesystem;
using test::Database;
using test::Ended;
using test::Exporter;
using test::Folder;
using test::SampleSum;
using test::Variables;

constexpr auto kPassword = "hunter2-kept-to-oneself";

Ended Program(std::vector<std::string> arguments,
              const Variables& variables = {}) {
  arguments.insert(arguments.begin(), MESHHOOK_EXPORTER);
  return test::Run(arguments, variables);
}

Ended With(const std::string& url, const std::vector<std::string>& arguments) {
  return Program(arguments, {{"DATABASE_URL", url}});
}

size_t Lines(const std::string& text) {
  return static_cast<size_t>(std::count(text.begin(), text.end(), '\n'));
}

// One line on standard error that says each of the parts, and status 2.
void ExpectComplaint(const Ended& ended,
                     const std::vector<std::string>& parts) {
  EXPECT_EQ(ended.status, 2);
  EXPECT_EQ(ended.out, "");
  EXPECT_EQ(Lines(ended.err), 1u) << ended.err;
  EXPECT_EQ(ended.err.rfind("meshhook-exporter: ", 0), 0u) << ended.err;
  EXPECT_NE(ended.err.find("; to mend it: "), std::string::npos) << ended.err;
  EXPECT_EQ(ended.err.find("hunter2"), std::string::npos) << ended.err;
  EXPECT_EQ(ended.err.find('\t'), std::string::npos) << ended.err;
  for (const auto& part : parts) {
    EXPECT_NE(ended.err.find(part), std::string::npos)
        << part << " is not in: " << ended.err;
  }
}

// The lines of the preflight that begin so.
std::vector<std::string> LinesOf(const std::string& text,
                                 const std::string& prefix) {
  std::vector<std::string> lines;
  std::istringstream all(text);
  for (std::string line; std::getline(all, line);) {
    if (line.rfind(prefix, 0) == 0) lines.push_back(line);
  }
  return lines;
}

// That `check` finds just one thing to mend.
void ExpectOneFailure(const Ended& ended,
                      const std::vector<std::string>& parts) {
  EXPECT_EQ(ended.status, 2);
  const auto failures = LinesOf(ended.out, "FAIL  ");
  ASSERT_EQ(failures.size(), 1u) << ended.out;
  EXPECT_NE(failures[0].find("; to mend it: "), std::string::npos);
  EXPECT_EQ((ended.out + ended.err).find("hunter2"), std::string::npos);
  for (const auto& part : parts) {
    EXPECT_NE(failures[0].find(part), std::string::npos)
        << part << " is not in: " << failures[0];
  }
}

// As `check` and `migrate` say it, for what both find.
void ExpectBoth(const std::string& url, const std::vector<std::string>& parts) {
  ExpectComplaint(With(url, {"migrate"}), parts);
  ExpectOneFailure(With(url, {"check"}), parts);
}

std::string At(const std::string& who, const std::string& database) {
  return "postgresql://" + who + "@" + test::ClusterAddress() + "/" + database;
}

// A login role of the cluster that must give its password.
class PasswordRole {
 public:
  explicit PasswordRole(Database& db) : db_(db), name_("user_of_" + db.name()) {
    db_.Exec("CREATE ROLE " + name_ + " LOGIN PASSWORD '" + kPassword +
                 "' IN ROLE password_user, meshhook_exporter",
             test::kSuperuser);
  }
  ~PasswordRole() { db_.Exec("DROP ROLE " + name_, test::kSuperuser); }
  PasswordRole(const PasswordRole&) = delete;
  PasswordRole& operator=(const PasswordRole&) = delete;

  std::string Url(const std::string& password) const {
    return At(name_ + ":" + password, db_.name());
  }

 private:
  Database& db_;
  const std::string name_;
};

TEST(Cli, NamesAUrlThatIsWrong) {
  for (const char* command : {"serve", "migrate", "check", "scrape"}) {
    ExpectComplaint(With("postgresql://u:hunter2@@h:x/d", {command}),
                    {"DATABASE_URL is not a valid connection string", "%40"});
  }
}

TEST(Cli, NamesASecretFileThatIsMissing) {
  ExpectComplaint(Program({"scrape"}, {{"DATABASE_URL_FILE", "/no/file"}}),
                  {"DATABASE_URL_FILE", "/no/file"});
}

TEST(Cli, SaysThatThePasswordIsWrongOrMissing) {
  Database db;
  const PasswordRole role(db);
  ExpectBoth(role.Url("hunter2-mistyped"),
             {"password authentication failed", "ALTER ROLE"});
  ExpectBoth(At("user_of_" + db.name(), db.name()),
             {"no password supplied", "DATABASE_URL_FILE"});
}

TEST(Cli, TakesThePasswordFromTheUrlOrAFile) {
  Database db;
  const PasswordRole role(db);
  const auto page = With(role.Url(kPassword), {"scrape"});
  EXPECT_EQ(page.status, 0) << page.err;
  EXPECT_EQ((page.out + page.err).find("hunter2"), std::string::npos);
  const Folder folder;
  folder.Write("url", role.Url(kPassword) + "\n");
  EXPECT_EQ(Program({"scrape"}, {{"DATABASE_URL_FILE", folder.path() + "/url"}})
                .status,
            0);
}

TEST(Cli, SaysThatTheRoleIsMissing) {
  Database db;
  ExpectBoth(At("no_such_role:hunter2", db.name()),
             {"role \"no_such_role\" does not exist", "create the role"});
}

TEST(Cli, SaysThatTheDatabaseIsMissing) {
  ExpectBoth(At("postgres:hunter2", "no_such_database"),
             {"database \"no_such_database\" does not exist",
              "check the database name"});
}

TEST(Cli, SaysThatTheHostDoesNotResolve) {
  ExpectBoth("postgresql://postgres:hunter2@no-such-host.invalid/d",
             {"could not translate host name \"no-such-host.invalid\"",
              "check the host name"});
}

TEST(Cli, SaysThatNothingListens) {
  ExpectBoth("postgresql://postgres:hunter2@127.0.0.1:1/d",
             {"port 1 failed: Connection refused", "check host and port"});
}

TEST(Check, IsContentWithWhatWorks) {
  Database db;
  db.Exec("SELECT metrics.backfill(); SELECT metrics.fold()");
  const auto ended = With(db.Url(test::kExporter), {"check"});
  EXPECT_EQ(ended.status, 0) << ended.out;
  EXPECT_EQ(ended.err.find("level=warn"), std::string::npos) << ended.err;
  EXPECT_EQ(LinesOf(ended.out, "ok    ").size() +
                LinesOf(ended.out, "off   ").size() +
                LinesOf(ended.out, "n/a   ").size(),
            Lines(ended.out));
  EXPECT_NE(ended.out.find("as meshhook_exporter, by DATABASE_URL"),
            std::string::npos);
}

TEST(Check, FindsAMissingExtensionUnlessItsCollectorIsOff) {
  Database db;
  db.Exec("SELECT metrics.backfill(); SELECT metrics.fold()");
  db.Exec("DROP EXTENSION pg_stat_statements", test::kSuperuser);
  const auto url = db.Url(test::kExporter);
  ExpectOneFailure(With(url, {"check"}),
                   {"extension pg_stat_statements is not installed",
                    "CREATE EXTENSION pg_stat_statements",
                    "--no-collector.stat_statements"});
  const auto off = With(url, {"check", "--no-collector.stat_statements"});
  EXPECT_EQ(off.status, 0) << off.out;
  EXPECT_NE(off.out.find("off   collector stat_statements: switched off"),
            std::string::npos);
}

TEST(Check, FindsAMissingPrivilege) {
  Database db;
  db.Exec("SELECT metrics.backfill(); SELECT metrics.fold()");
  db.Exec("REVOKE SELECT ON metrics.workflow_names FROM meshhook_exporter");
  ExpectOneFailure(
      With(db.Url(test::kExporter), {"check"}),
      {"collector workflow_info", "permission denied for view workflow_names",
       "meshhook-exporter migrate"});
}

TEST(Check, TellsARoleWithoutRightsWhatToBe) {
  Database db;
  const auto ended = With(db.Url("authenticator"), {"check"});
  EXPECT_EQ(ended.status, 2);
  const auto failures = LinesOf(ended.out, "FAIL  ");
  EXPECT_GE(failures.size(), 5u);
  for (const auto& failure : failures) {
    EXPECT_NE(failure.find("; to mend it: "), failure.npos) << failure;
  }
  EXPECT_NE(ended.out.find("permission denied for schema metrics; to mend it: "
                           "connect as meshhook_exporter"),
            std::string::npos)
      << ended.out;
}

TEST(Check, TellsToMigrateADatabaseWithoutTheDataLayer) {
  Database db(test::Template::kFixture);
  const auto ended = With(db.Url(test::kOwner), {"check"});
  EXPECT_EQ(ended.status, 2);
  EXPECT_NE(ended.out.find("the data layer is installed and as new as this "
                           "program: relation \"metrics.schema_migrations\" "
                           "does not exist; to mend it: install the data "
                           "layer: meshhook-exporter migrate"),
            std::string::npos)
      << ended.out;
}

TEST(Cli, NamesWhatItDoesNotKnow) {
  ExpectComplaint(Program({"--web.listen-adress=:1"}),
                  {"--web.listen-adress", "--help"});
  ExpectComplaint(Program({"serv"}), {"serv", "--help"});
  ExpectComplaint(Program({"--log.level=loud"}), {"--log.level", "loud"});
}

TEST(Cli, SaysThatThePortIsInUseOrNoAddress) {
  Database db;
  const Exporter first(db.Url(test::kExporter), {"--no-worker"});
  const auto address = "127.0.0.1:" + std::to_string(first.port());
  ExpectComplaint(With(db.Url(test::kExporter),
                       {"--no-worker", "--web.listen-address=" + address}),
                  {"cannot listen on " + address, "Address already in use",
                   "--web.listen-address"});
  ExpectComplaint(With(db.Url(test::kExporter), {"--web.listen-address=9187"}),
                  {"\"9187\" is not an address to listen on", "HOST:PORT"});
}

TEST(Cli, SaysWhyItCannotListenOnAnAddress) {
  const auto listen = [](const std::string& address) {
    return With("postgresql://h/d",
                {"--no-worker", "--web.listen-address=127.0.0.1:0",
                 "--web.listen-address=" + address});
  };
  ExpectComplaint(listen("192.0.2.1:9187"),
                  {"cannot listen on 192.0.2.1:9187: Cannot assign",
                   "an address of this machine"});
  ExpectComplaint(listen("nowhere.invalid:9187"),
                  {"cannot listen on nowhere.invalid:9187: the host's name",
                   "check the name"});
}

TEST(Cli, FailsWhenNobodyCanReadWhatItPrints) {
  for (const std::string command : {"metrics", "migrate --print", "--help"}) {
    const auto ended =
        test::Run({"sh", "-c", "exec \"$0\" " + command + " >/dev/full",
                   MESHHOOK_EXPORTER});
    ExpectComplaint(ended, {"cannot write to standard output"});
  }
}

TEST(Cli, NamesAMigrationThatIsUnreadableOrOutOfPlace) {
  Database db(test::Template::kFixture);
  const Folder folder;
  const auto complaint = [&] {
    return With(db.Url(), {"migrate", "--dir", folder.path()});
  };
  ExpectComplaint(complaint(), {"no migrations in " + folder.path()});
  folder.Write("0001_a.sql", "SELECT 1;");
  folder.Write("0003_c.sql", "SELECT 3;");
  ExpectComplaint(complaint(), {"0003_c.sql", "0002_", "without a gap"});
  fs::create_directory(folder.path() + "/0002_b.sql");
  ExpectComplaint(complaint(), {"cannot read migration", "0002_b.sql"});
  EXPECT_EQ(db.Exec("SELECT to_regnamespace('metrics') IS NULL"), "t");
}

TEST(Cli, NamesAMigrationThatWasEdited) {
  Database db;
  const Folder folder;
  for (const auto& [name, sql] : meshhook::EmbeddedMigrations()) {
    folder.Write(name, sql + (name.rfind("0003", 0) == 0 ? "-- edited\n" : ""));
  }
  ExpectComplaint(With(db.Url(), {"migrate", "--dir", folder.path()}),
                  {"migration 0003_", "was edited after it was applied",
                   "restore the file"});
}

TEST(Cli, NamesAMigrationThatFails) {
  Database db(test::Template::kFixture);
  const Folder folder;
  folder.Write("0001_a.sql", "CREATE TABLE metrics.a ();");
  folder.Write("0002_b.sql", "CREATE TABLE metrics.b ();\nSELECT 1 / 0;");
  const auto ended = With(db.Url(), {"migrate", "--dir", folder.path()});
  EXPECT_EQ(ended.status, 2);
  EXPECT_EQ(ended.out, "applied 0001_a.sql\n");
  EXPECT_EQ(ended.err, "meshhook-exporter: 0002_b.sql: division by zero\n");
  EXPECT_EQ(db.Exec("SELECT to_regclass('metrics.a') IS NOT NULL "
                    "AND to_regclass('metrics.b') IS NULL"),
            "t");
}

TEST(Cli, PrintsAPageAndSaysWhetherTheDatabaseIsUp) {
  Database db;
  const auto up = With(db.Url(test::kExporter), {"scrape"});
  EXPECT_EQ(up.status, 0);
  EXPECT_EQ(SampleSum(up.out, "pg_up"), 1);
  EXPECT_EQ(up.out.rfind("# HELP ", 0), 0u);
  const auto down = With("postgresql://u:hunter2@127.0.0.1:1/d", {"scrape"});
  EXPECT_EQ(down.status, 2);
  EXPECT_EQ(SampleSum(down.out, "pg_up"), 0);
  EXPECT_EQ(Lines(down.err), 1u) << down.err;
  EXPECT_NE(down.err.find("check host and port"), std::string::npos);
}

TEST(Cli, PrintsTheReferenceItsVersionAndHelpWithoutADatabase) {
  const auto metrics = Program({"metrics"});
  EXPECT_EQ(metrics.status, 0);
  EXPECT_EQ(metrics.out.rfind("# Metrics\n", 0), 0u);
  EXPECT_NE(metrics.out.find("| `pg_up` |"), std::string::npos);
  const auto version = Program({"--version"});
  EXPECT_EQ(version.status, 0);
  EXPECT_EQ(version.out.rfind("meshhook-exporter ", 0), 0u);
  EXPECT_EQ(Lines(version.out), 1u);
  const auto help = Program({"--help"});
  EXPECT_EQ(help.status, 0);
  for (const char* part :
       {"DATABASE_URL", "DATA_SOURCE_NAME", "DATA_SOURCE_URI", "PGHOST",
        "_FILE", "PG_EXPORTER_WEB_LISTEN_ADDRESS", "migrate", "check"}) {
    EXPECT_NE(help.out.find(part), std::string::npos) << part;
  }
}

TEST(Cli, ServesOnThoughThePasswordIsWrongAndLogsItOnce) {
  Database db;
  const PasswordRole role(db);
  const Exporter exporter(role.Url("hunter2-mistyped"), {"--no-worker"});
  for (int i = 0; i < 4; ++i) {
    const auto response = test::Get(exporter.port(), "/metrics");
    EXPECT_EQ(response.status, 200);
    EXPECT_EQ(SampleSum(response.body, "pg_up"), 0);
    EXPECT_EQ(SampleSum(response.body, "pg_scrape_collector_success"), 0);
    std::this_thread::sleep_for(std::chrono::milliseconds(300));
  }
  EXPECT_EQ(LinesOf(exporter.err(), "time=").size(), 2u) << exporter.err();
  EXPECT_NE(exporter.err().find("password authentication failed"),
            std::string::npos);
  EXPECT_NE(exporter.err().find("ALTER ROLE"), std::string::npos);
  EXPECT_EQ(
      (exporter.err() + test::Get(exporter.port(), "/").body).find("hunter2"),
      std::string::npos);
}

}  // namespace
