// SPDX-License-Identifier: MIT
// A primary and its standby on which everything goes on that postgres_exporter
// has metrics for: slots, replication, archiving, an autovacuum under way.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "exporter/pg.h"
#include "exporter/scraper.h"
#include "tests/support/server.h"

namespace test {

class Rig {
 public:
  // Made in some ten seconds.
  Rig();

  // What every collector there is publishes, read with the exporter's rights.
  std::string PrimaryPage();
  std::string StandbyPage();
  meshhook::ScrapeStatus PrimaryStatus() const { return primary_status_; }
  meshhook::ScrapeStatus StandbyStatus() const { return standby_status_; }

  int version() const { return version_; }  // server_version_num
  std::string Psql(const std::string& sql);

 private:
  void Configure();
  void MakeApp();

  Server primary_;
  std::unique_ptr<Server> standby_;
  int version_ = 0;
  std::vector<meshhook::pg::Connection> sessions_;  // what they hold stays
  meshhook::ScrapeStatus primary_status_;
  meshhook::ScrapeStatus standby_status_;
};

}  // namespace test
