// SPDX-License-Identifier: MIT
// One scrape of a test's database by the exporter's role.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "exporter/scraper.h"
#include "tests/support/database.h"

namespace test {

struct Scrape {
  std::string page;
  meshhook::ScrapeStatus status;

  // The sum of the samples that begin so; NaN when there is none.
  double Value(const std::string& sample) const {
    return SampleSum(page, sample);
  }
  bool Has(const std::string& text) const {
    return page.find(text) != page.npos;
  }
  // Why that collector has no samples; "" when it succeeded.
  std::string Reason(const std::string& collector) const {
    for (const auto& one : status.collectors) {
      if (one.name != collector) continue;
      return (one.silent ? "silent: " : "") + one.reason;
    }
    return "not asked";
  }
};

inline Scrape ScrapeOf(const Database& db,
                       std::vector<meshhook::Collector> collectors) {
  meshhook::Scraper scraper(db.Conninfo(kExporter), std::move(collectors),
                            nullptr);
  const auto page =
      scraper.Scrape(meshhook::pg::Clock::now() + std::chrono::seconds(10));
  return {page->text(), scraper.Status()};
}

}  // namespace test
