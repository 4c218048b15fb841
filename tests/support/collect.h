// SPDX-License-Identifier: MIT
// What one collector publishes.
#pragma once

#include <string>

#include "exporter/collector.h"
#include "exporter/scraper.h"
#include "tests/support/database.h"
#include "tests/support/process.h"

namespace test {

// Due with each page.
inline meshhook::Collector AtOnce(meshhook::Collector collector) {
  collector.interval = std::chrono::seconds(0);
  return collector;
}

// Keeps its session from page to page, and asks for each, whatever the
// collector's interval.
class Collecting {
 public:
  Collecting(const meshhook::Conninfo& conninfo,
             const meshhook::Collector& collector)
      : scraper_(conninfo, {AtOnce(collector)}, nullptr) {}
  // As the exporter's own role.
  Collecting(const Database& db, const meshhook::Collector& collector)
      : Collecting(db.Conninfo(kExporter), collector) {}

  std::string Page() {
    return scraper_
        .Scrape(meshhook::pg::Clock::now() + std::chrono::seconds(10))
        ->text();
  }
  double Sum(const std::string& prefix) { return SampleSum(Page(), prefix); }
  // Whether that comes to be in time.
  bool Becomes(const std::string& prefix,
               const std::function<bool(double)>& condition) {
    return Await([&] { return condition(Sum(prefix)); });
  }

 private:
  meshhook::Scraper scraper_;
};

// The collector with that setting.
inline meshhook::Collector With(meshhook::Collector collector,
                                const std::string& setting,
                                const std::string& value) {
  for (auto& known : collector.settings) {
    if (known.name == setting) known.value = value;
  }
  return collector;
}

inline std::string Collect(const Database& db,
                           const meshhook::Collector& collector) {
  return Collecting(db, collector).Page();
}

}  // namespace test
