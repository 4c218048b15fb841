// SPDX-License-Identifier: MIT
// Reading the migrations' files; applying them is an integration test.
#include "exporter/migrations.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "exporter/errors.h"

namespace {

namespace fs = std::filesystem;
using meshhook::ReadMigrations;

class Folder : public testing::Test {
 protected:
  Folder() { fs::create_directory(path_); }
  ~Folder() override { fs::remove_all(path_); }

  void Write(const std::string& name, const std::string& sql) const {
    std::ofstream(path_ / name) << sql;
  }
  std::string Complaint() const {
    try {
      ReadMigrations(path_);
      return "";
    } catch (const meshhook::UsageError& error) {
      return error.what() + std::string("; ") + error.remedy();
    }
  }

  const fs::path path_ =
      testing::TempDir() + "migrations_test_" + std::to_string(getpid());
};

TEST_F(Folder, IsReadInOrderWithoutWhatIsNotSql) {
  Write("0002_b.sql", "SELECT 2;");
  Write("0001_a.sql", "SELECT 1;");
  Write("README.md", "about");
  Write("0003_c.sql~", "backup");
  const auto migrations = ReadMigrations(path_);
  ASSERT_EQ(migrations.size(), 2u);
  EXPECT_EQ(migrations[0].name, "0001_a.sql");
  EXPECT_EQ(migrations[0].sql, "SELECT 1;");
  EXPECT_EQ(migrations[0].version(), 1);
  EXPECT_EQ(migrations[1].name, "0002_b.sql");
}

TEST_F(Folder, MustHaveMigrations) {
  const auto complaint = "there are no migrations in " + path_.string() +
                         "; name the folder that holds 0001_….sql";
  EXPECT_EQ(Complaint(), complaint);
  fs::remove_all(path_);
  EXPECT_EQ(Complaint(), complaint);
}

TEST_F(Folder, MustHaveNoGap) {
  Write("0001_a.sql", "SELECT 1;");
  Write("0003_c.sql", "SELECT 3;");
  EXPECT_EQ(Complaint(),
            "migration 0003_c.sql stands where one named 0002_….sql should; "
            "number the files 0001_, 0002_, … without a gap or a double");
}

TEST_F(Folder, MustHaveNoDouble) {
  Write("0001_a.sql", "SELECT 1;");
  Write("0001_b.sql", "SELECT 3;");
  EXPECT_EQ(Complaint().rfind("migration 0001_b.sql stands where", 0), 0u);
}

TEST_F(Folder, MustBeReadable) {
  Write("0001_a.sql", "SELECT 1;");
  for (const bool as_directory : {true, false}) {
    fs::remove_all(path_ / "0002_b.sql");
    if (as_directory) {
      fs::create_directory(path_ / "0002_b.sql");
    } else {
      Write("0002_b.sql", "");
    }
    EXPECT_EQ(Complaint().rfind("cannot read migration " +
                                    (path_ / "0002_b.sql").string() + "; check",
                                0),
              0u)
        << Complaint();
  }
}

TEST(EmbeddedMigrations, AreThoseOfTheFolder) {
  const auto files = ReadMigrations(MESHHOOK_MIGRATIONS);
  const auto& embedded = meshhook::EmbeddedMigrations();
  ASSERT_EQ(embedded.size(), files.size());
  for (size_t i = 0; i < files.size(); ++i) {
    EXPECT_EQ(embedded[i].name, files[i].name);
    EXPECT_TRUE(embedded[i].sql == files[i].sql) << files[i].name;
    EXPECT_EQ(embedded[i].version(), static_cast<int>(i) + 1);
  }
}

// Each runs in a transaction of the program's own.
TEST(EmbeddedMigrations, LeaveTransactionsToTheProgram) {
  for (const auto& [name, sql] : meshhook::EmbeddedMigrations()) {
    for (const char* word : {"\nBEGIN;", "\nCOMMIT;", "\nROLLBACK;"}) {
      EXPECT_EQ(sql.find(word), sql.npos) << name;
    }
  }
}

TEST(MigrationScript, HoldsEachFileAndRecordsItsQuotedText) {
  const auto script = meshhook::MigrationScript(
      {{"0001_a.sql", "SELECT 'it''s';"}, {"0002_b.sql", "SELECT 2;"}});
  EXPECT_NE(script.find("\nSELECT 'it''s';\n"), script.npos) << script;
  EXPECT_NE(script.find("VALUES (1, '0001_a.sql', encode(sha256(convert_to("
                        "'SELECT ''it''''s'';', 'UTF8')), 'hex'));"),
            script.npos)
      << script;
  EXPECT_LT(script.find("0001_a.sql"), script.find("SELECT 2;"));
}

}  // namespace
