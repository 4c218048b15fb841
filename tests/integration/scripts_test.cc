// SPDX-License-Identifier: MIT
// That the scripts run nothing another user of the machine has planted, and
// read the secrets they are given.
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "exporter/pg.h"
#include "tests/support/database.h"
#include "tests/support/process.h"
#include "tests/support/server.h"

namespace {

namespace fs = std::filesystem;

constexpr uid_t kSomeoneElse = 65534;

// A directory with files that leave a mark when a shell reads them.
class PlantedStack : public testing::TestWithParam<std::string> {
 protected:
  PlantedStack()
      : directory_("/tmp/meshhook-planted-" + std::to_string(getpid())),
        mark_(directory_ / "mark") {
    fs::create_directories(directory_ / "postgres");
    std::ofstream(directory_ / ".meshhook-stack");
    for (const char* file : {"stack.env", "postgres/postgres.env"}) {
      std::ofstream(directory_ / file) << "touch " << mark_.string() << "\n";
    }
  }
  ~PlantedStack() override { fs::remove_all(directory_); }

  // As its owner that file has someone who is not the caller.
  void Plant(const std::string& file) const {
    ASSERT_EQ(chown((directory_ / file).c_str(), kSomeoneElse, kSomeoneElse),
              0);
  }
  void ExpectRefusal(std::vector<std::string> words) const {
    words.front() = MESHHOOK_SOURCE "/scripts/" + words.front();
    const auto ended = test::Run(words);
    EXPECT_EQ(ended.status, 1) << ended.out << ended.err;
    EXPECT_FALSE(fs::exists(mark_)) << words.front();
  }
  std::string directory() const { return directory_; }

 private:
  const fs::path directory_;
  const fs::path mark_;
};

TEST_P(PlantedStack, IsNotRun) {
  if (geteuid() != 0) GTEST_SKIP() << "only root can give a file away";
  Plant(GetParam());
  ExpectRefusal({"stack.sh", "down", directory()});
  ExpectRefusal({"stack.sh", "health", directory()});
  ExpectRefusal({"stack.sh", "up", directory()});
}

INSTANTIATE_TEST_SUITE_P(Of, PlantedStack,
                         testing::Values("", "stack.env", "postgres",
                                         "postgres/postgres.env"));

TEST_F(PlantedStack, IsNoPlaceForADemo) {
  if (geteuid() != 0) GTEST_SKIP() << "only root can give a file away";
  Plant("");
  ExpectRefusal({"demo.sh", "--dir", directory()});
}

TEST(DemoPasswords, AreThoseOfTheUrlsDecoded) {
  test::Server server;
  const fs::path secrets = "/tmp/meshhook-secrets-" + std::to_string(getpid());
  fs::create_directories(secrets);
  // p@/:%\'41 and x
  const std::string password = "p%40%2f:%25\\'41";
  std::ofstream(secrets / "database_url")
      << "postgresql://meshhook_exporter:" << password << "@postgres:5432/m\n";
  std::ofstream(secrets / "owner_database_url")
      << "postgresql://postgres:x@postgres:5432/meshhook\n";
  std::ofstream(secrets / "api_database_url")
      << "postgresql://meshhook_api:" << password << "@postgres:5432/m\n";
  const auto url = server.Url();
  const auto at = url.rfind('@') + 1;
  const auto port = url.substr(url.rfind(':') + 1, 5);
  const auto ended =
      test::Run({"bash", MESHHOOK_SOURCE "/deploy/postgres/50-passwords.sh"},
                {{"SECRETS", secrets},
                 {"POSTGRES_USER", test::kSuperuser},
                 {"POSTGRES_DB", "postgres"},
                 {"PGHOST", "127.0.0.1"},
                 {"PGPORT", port}});
  fs::remove_all(secrets);
  ASSERT_EQ(ended.status, 0) << ended.err;

  const auto deadline = [] {
    return meshhook::pg::Clock::now() + std::chrono::seconds(5);
  };
  auto superuser =
      meshhook::pg::Connection::Open(test::ConninfoOf(url), deadline());
  for (const std::string role : {"meshhook_exporter", "meshhook_api"}) {
    test::Exec(superuser, "GRANT password_user TO " + role);
    std::string its_url = "postgresql://" + role;
    its_url += ":" + password + "@" + url.substr(at);
    EXPECT_NO_THROW(
        meshhook::pg::Connection::Open(test::ConninfoOf(its_url), deadline()));
  }
}

}  // namespace
