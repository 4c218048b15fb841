// SPDX-License-Identifier: MIT
// A password that changes while the exporter runs, in the server and in the
// file that holds it.
#include <gtest/gtest.h>

#include <filesystem>
#include <map>
#include <regex>
#include <thread>

#include "exporter/remedy.h"
#include "tests/support/database.h"
#include "tests/support/exporter.h"
#include "tests/support/folder.h"

namespace {

using namespace std::chrono_literals;
using meshhook::Conninfo;
using meshhook::pg::Clock;
using meshhook::pg::Connection;
using meshhook::pg::Error;
using test::Await;
using test::Database;
using test::Folder;
using test::SampleSum;

// A role of this test's own, which must give its password.
class Credentials : public testing::Test {
 protected:
  Credentials() {
    db_.Exec(
        "CREATE ROLE " + role_ + " LOGIN IN ROLE password_user, pg_monitor",
        test::kSuperuser);
    SetPassword("first");
  }
  ~Credentials() override {
    try {
      db_.Exec("DROP ROLE " + role_, test::kSuperuser);
    } catch (const Error& error) {
      ADD_FAILURE() << error.what();
    }
  }

  void SetPassword(const std::string& password) {
    db_.Exec("ALTER ROLE " + role_ + " PASSWORD '" + password + "'",
             test::kSuperuser);
  }
  std::string Url(const std::string& password = "") const {
    return "postgresql://" + role_ + ":" + password + "@" +
           test::ClusterAddress() + "/" + db_.name();
  }

  static Conninfo From(std::map<std::string, std::string> variables) {
    return Conninfo::FromEnvironment(
        [&variables](const std::string& name) -> std::optional<std::string> {
          const auto found = variables.find(name);
          if (found == variables.end()) return std::nullopt;
          return found->second;
        });
  }

  static Connection Open(const Conninfo& conninfo) {
    return Connection::Open(conninfo, Clock::now() + 10s);
  }
  static Error Refusal(const Conninfo& conninfo) {
    try {
      Open(conninfo);
    } catch (const Error& error) {
      return error;
    }
    ADD_FAILURE() << "a session";
    return {"", "", ""};
  }

  Database db_;
  const Folder folder_;
  const std::string role_ = db_.name() + "_login";
};

TEST_F(Credentials, AreReadAgainFromEachKindOfFileWhereALoginFails) {
  const auto password = folder_.Write("password", "first\n");
  const auto url = folder_.Write("url", Url("first"));
  const std::vector<Conninfo> conninfos{
      From({{"DATABASE_URL", Url()}, {"PGPASSWORD_FILE", password}}),
      From({{"DATABASE_URL_FILE", url}}),
      From({{"DATA_SOURCE_NAME_FILE", url}}),
      From({{"DATA_SOURCE_URI", test::ClusterAddress() + "/" + db_.name()},
            {"DATA_SOURCE_USER", role_},
            {"DATA_SOURCE_PASS_FILE", password}})};
  for (const auto& conninfo : conninfos) EXPECT_TRUE(Open(conninfo).open());
  SetPassword("second");
  folder_.Write("password", "second\n");
  folder_.Write("url", Url("second"));
  for (const auto& conninfo : conninfos) {
    EXPECT_TRUE(Open(conninfo).open()) << conninfo.source();
    // Text may still repeat what was sent before.
    EXPECT_EQ(conninfo.Redact("first, second"), "***, ***");
  }
}

TEST_F(Credentials, AreReadAgainWhereNoPasswordWasGiven) {
  const auto url = folder_.Write("url", Url());
  const auto conninfo = From({{"DATABASE_URL_FILE", url}});
  EXPECT_NE(std::string(Refusal(conninfo).what()).find("no password supplied"),
            std::string::npos);
  folder_.Write("url", Url("first"));
  EXPECT_TRUE(Open(conninfo).open());
}

// libpq reads that one itself, by the host's name.
TEST_F(Credentials, AreReadFromAFileOfPasswordsEachTime) {
  const auto address = test::ClusterAddress();
  const auto port = address.substr(address.rfind(':') + 1);
  const auto write = [&](const std::string& password) {
    const auto file = folder_.Write(
        "pgpass", "localhost:" + port + ":*:" + role_ + ":" + password + "\n");
    std::filesystem::permissions(file, std::filesystem::perms::owner_read |
                                           std::filesystem::perms::owner_write);
    return file;
  };
  const auto conninfo =
      From({{"DATABASE_URL", "host=localhost port=" + port + " user=" + role_ +
                                 " dbname=" + db_.name() +
                                 " passfile=" + write("first")}});
  EXPECT_TRUE(Open(conninfo).open());
  SetPassword("second");
  EXPECT_EQ(Refusal(conninfo).sqlstate(), "28P01");
  write("second");
  EXPECT_TRUE(Open(conninfo).open());
}

TEST_F(Credentials, ServeEveryCopyOnceTheyWereReadAgain) {
  const auto password = folder_.Write("password", "first");
  const auto conninfo =
      From({{"DATABASE_URL", Url()}, {"PGPASSWORD_FILE", password}});
  const auto other = conninfo.ForDatabase("postgres");
  SetPassword("second");
  folder_.Write("password", "second");
  EXPECT_EQ(Open(other).database(), "postgres");
  folder_.Write("password", "third");  // nobody needs to look
  EXPECT_EQ(Open(conninfo).database(), db_.name());
}

TEST_F(Credentials, AreTriedOnceWhereTheFileSaysWhatItSaid) {
  const auto password = folder_.Write("password", "wrong");
  const auto conninfo =
      From({{"DATABASE_URL", Url()}, {"PGPASSWORD_FILE", password}});
  const auto error = Refusal(conninfo);
  EXPECT_EQ(error.sqlstate(), "28P01");
  EXPECT_NE(meshhook::RemedyFor(error).find("ALTER ROLE"), std::string::npos);
}

TEST_F(Credentials, AreKeptWhereTheirFileIsGoneOrEmpty) {
  const auto password = folder_.Write("password", "first");
  const auto conninfo =
      From({{"DATABASE_URL", Url()}, {"PGPASSWORD_FILE", password}});
  SetPassword("second");
  const auto expect_named = [&] {
    const auto error = Refusal(conninfo);
    const std::string what = error.what();
    EXPECT_EQ(error.sqlstate(), "28P01");
    EXPECT_NE(what.find("password authentication failed"), what.npos);
    EXPECT_NE(what.find("; cannot read the file that PGPASSWORD_FILE names: " +
                        password),
              what.npos)
        << what;
    EXPECT_NE(meshhook::RemedyFor(error).find("check that the file exists"),
              std::string::npos);
  };
  folder_.Write("password", "\n");
  expect_named();
  std::filesystem::remove(password);
  expect_named();
  SetPassword("first");
  EXPECT_TRUE(Open(conninfo).open());
}

TEST_F(Credentials, AreNotRepeatedWhereTheUrlInTheFileIsWrong) {
  const auto url = folder_.Write("url", Url("first"));
  const auto conninfo = From({{"DATABASE_URL_FILE", url}});
  SetPassword("second");
  folder_.Write("url", "postgresql://u:hunter2%zz@h/d");
  const auto error = Refusal(conninfo);
  const std::string what = error.what();
  EXPECT_NE(what.find("; DATABASE_URL is not a valid connection string"),
            what.npos);
  EXPECT_EQ((what + error.hint()).find("hunter2"), what.npos);
}

TEST_F(Credentials, MayBeReadByManyAtOnce) {
  const auto password = folder_.Write("password", "first");
  const auto conninfo =
      From({{"DATABASE_URL", Url()}, {"PGPASSWORD_FILE", password}});
  SetPassword("second");
  folder_.Write("password", "second");
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&conninfo] {
      for (int round = 0; round < 3; ++round) {
        EXPECT_TRUE(Open(conninfo).open());
        EXPECT_EQ(conninfo.Redact("first"), "***");
      }
    });
  }
  for (auto& thread : threads) thread.join();
}

// Every session of the program, of the scrape and of the worker.
TEST_F(Credentials, ChangeUnderARunningExporter) {
  const auto password = folder_.Write("password", "first");
  db_.Exec("GRANT meshhook_exporter TO " + role_, test::kSuperuser);
  test::Process exporter(
      {MESHHOOK_EXPORTER, "--web.listen-address=127.0.0.1:0",
       "--log.level=debug"},
      {{"DATABASE_URL", Url()}, {"PGPASSWORD_FILE", password}});
  std::smatch port;
  std::string log;
  ASSERT_TRUE(Await([&] {
    log = exporter.err();
    return std::regex_search(log, port, std::regex("port\\W+([0-9]+)"));
  }));
  const auto up = [&] {
    return SampleSum(test::Get(std::stoi(port[1]), "/metrics").body, "pg_up");
  };
  const auto sessions = [&](const std::string& end = "pid") {
    return db_.Exec("SELECT count(" + end +
                        ") FROM pg_stat_activity WHERE usename = '" + role_ +
                        "'",
                    test::kSuperuser);
  };
  EXPECT_EQ(up(), 1);
  EXPECT_TRUE(Await([&] { return sessions() == "4"; }));

  SetPassword("second");
  sessions("pg_terminate_backend(pid)");
  EXPECT_TRUE(Await([&] { return up() == 0; }));
  EXPECT_NE(exporter.err().find("password authentication failed"),
            std::string::npos);
  folder_.Write("password", "second");
  EXPECT_TRUE(Await([&] { return up() == 1; }));
  // The session for what is slow is opened when something is due.
  EXPECT_TRUE(Await([&] { return std::stoi(sessions()) >= 3; }));
  for (const char* secret : {"first", "second"}) {
    EXPECT_EQ(exporter.err().find(secret), std::string::npos);
  }
  exporter.Signal(SIGTERM);
  EXPECT_EQ(exporter.Wait(), 0);
  EXPECT_TRUE(Await([&] { return sessions() == "0"; }));
}

}  // namespace
