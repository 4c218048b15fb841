// SPDX-License-Identifier: MIT
// What one collector publishes.
#pragma once

#include <string>

#include "exporter/collector.h"
#include "exporter/scraper.h"
#include "tests/support/database.h"

namespace test {

inline std::string Collect(const meshhook::Conninfo& conninfo,
                           const meshhook::Collector& collector) {
  using namespace std::chrono_literals;
  meshhook::Scraper scraper(conninfo, {collector}, nullptr);
  return *scraper.Scrape(meshhook::pg::Clock::now() + 10s);
}

// As the exporter's own role.
inline std::string Collect(const Database& db,
                           const meshhook::Collector& collector) {
  return Collect(db.Conninfo(kExporter), collector);
}

}  // namespace test
