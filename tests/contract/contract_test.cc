// SPDX-License-Identifier: MIT
// A live scrape has every metric of postgres_exporter that this server can
// have, with its type and its labels; and every collector works here, with no
// more rights than the exporter's role has.
#include "tests/contract/contract.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <regex>

#include "tests/contract/rig.h"
#include "tests/support/process.h"

namespace {

using meshhook::ScrapeStatus;
using test::Rig;

class Contract : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    rig_ = new Rig();
    primary_ = rig_->PrimaryPage();
    standby_ = rig_->StandbyPage();
  }
  static void TearDownTestSuite() { delete rig_; }

  static Rig* rig_;
  static std::string primary_;
  static std::string standby_;
};

Rig* Contract::rig_ = nullptr;
std::string Contract::primary_;
std::string Contract::standby_;

struct Family {
  std::string type;
  std::set<std::string> labels;  // of its samples
  bool sampled = false;
};

// Both pages as one.
std::map<std::string, Family> Families(const std::string& page) {
  std::map<std::string, Family> families;
  std::istringstream lines(page);
  const std::regex label("[{,]([a-z_]+)=\"");
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with("# TYPE ")) {
      std::istringstream words(line.substr(7));
      std::string name;
      words >> name >> families[name].type;
    } else if (!line.starts_with("#")) {
      std::string name = line.substr(0, line.find_first_of("{ "));
      if (const auto bucket = name.find("_bucket");
          bucket != name.npos && !families.contains(name)) {
        name.resize(bucket);
      }
      auto& family = families[name];
      family.sampled = true;
      const auto labels = line.substr(0, line.rfind('}') + 1);
      for (std::sregex_iterator at(labels.begin(), labels.end(), label), end;
           at != end; ++at) {
        if ((*at)[1] != "le") family.labels.insert((*at)[1]);
      }
    }
  }
  return families;
}

TEST_F(Contract, IsKeptByALiveScrape) {
  const auto families = Families(primary_ + standby_);
  int kept = 0;
  for (const auto& promise : test::Promises()) {
    if (!promise.HoldsFor(rig_->version())) continue;
    const auto found = families.find(promise.name);
    if (found == families.end() || !found->second.sampled) {
      ADD_FAILURE() << promise.name << " has no sample";
      continue;
    }
    EXPECT_EQ(found->second.type, promise.type) << promise.name;
    EXPECT_EQ(found->second.labels, promise.labels) << promise.name;
    ++kept;
  }
  EXPECT_GT(kept, 100);
}

TEST_F(Contract, HasSettingsUnderTheirOwnNames) {
  const auto families = Families(primary_);
  for (const char* name :
       {"pg_settings_max_connections", "pg_settings_shared_buffers_bytes",
        "pg_settings_autovacuum_naptime_seconds", "pg_settings_fsync",
        "pg_settings_pg_stat_statements_max"}) {
    EXPECT_TRUE(families.contains(name)) << name;
  }
}

// What promtool has to say of a page, each line behind the metric's name.
std::vector<std::string> Faults(const std::string& page) {
  const auto path =
      testing::TempDir() + "meshhook-page-" + std::to_string(getpid());
  std::ofstream(path) << page;
  const auto checked =
      test::Run({"bash", "-c", "promtool check metrics <\"$0\"", path});
  std::filesystem::remove(path);
  constexpr int kFaultsFound = 3;
  EXPECT_TRUE(checked.status == 0 || checked.status == kFaultsFound)
      << checked.err;
  std::vector<std::string> faults;
  std::istringstream lines(checked.out + checked.err);
  for (std::string line; std::getline(lines, line);) faults.push_back(line);
  return faults;
}

// What postgres_exporter named otherwise than is the custom keeps its name.
TEST_F(Contract, IsAllThatPromtoolFindsFaultWith) {
  std::set<std::string> promised;
  for (const auto& promise : test::Promises()) promised.insert(promise.name);
  for (const auto& page : {primary_, standby_}) {
    const auto faults = Faults(page);
    EXPECT_FALSE(faults.empty());
    for (const auto& fault : faults) {
      const auto name = fault.substr(0, fault.find(' '));
      EXPECT_TRUE(promised.contains(name) || name.starts_with("pg_settings_"))
          << fault;
    }
  }
}

// Silence is not failure: a server that has none of what a collector reads.
void ExpectNoFailure(const ScrapeStatus& status) {
  EXPECT_TRUE(status.up);
  EXPECT_FALSE(status.collectors.empty());
  for (const auto& collector : status.collectors) {
    EXPECT_TRUE(collector.success || collector.silent)
        << collector.name << ": " << collector.reason;
  }
}

TEST_F(Contract, EveryCollectorWorksOnAPrimary) {
  ExpectNoFailure(rig_->PrimaryStatus());
}

TEST_F(Contract, EveryCollectorWorksOnAStandby) {
  ExpectNoFailure(rig_->StandbyStatus());
}

}  // namespace
