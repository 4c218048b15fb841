// SPDX-License-Identifier: MIT
// The exporter's server in this very process, with collectors of a test's own.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "exporter/http.h"
#include "exporter/scraper.h"
#include "tests/support/database.h"
#include "tests/support/http_client.h"

namespace test {

class Site {
 public:
  Site(const std::string& url, std::vector<meshhook::Collector> collectors)
      : scraper_(ConninfoOf(url), std::move(collectors), nullptr),
        server_({.listen_addresses = {"127.0.0.1:0"}}, scraper_) {}

  int port() const { return server_.Ports().at(0); }
  meshhook::Scraper& scraper() { return scraper_; }

  HttpResponse Get(const std::string& path,
                   const std::vector<std::string>& headers = {}) const {
    return test::Get(port(), path, headers);
  }
  // The metrics, as Prometheus asks for them with that timeout.
  std::string Page(const std::string& timeout_seconds = "10") const {
    return Get("/metrics",
               {"X-Prometheus-Scrape-Timeout-Seconds: " + timeout_seconds})
        .body;
  }

 private:
  meshhook::Scraper scraper_;
  meshhook::HttpServer server_;
};

// A collector of one gauge, test_NAME, from the column v.
inline meshhook::Collector CollectorOf(const std::string& name,
                                       const std::string& query) {
  return {.name = name,
          .summary = "of a test",
          .query = query,
          .labels = {},
          .metrics = {{.name = "test_" + name,
                       .type = prometheus::MetricType::Gauge,
                       .help = "Of a test.",
                       .column = "v"}}};
}

// Whether that collector succeeded, as the page says.
inline double Success(const std::string& page, const std::string& collector) {
  return SampleSum(
      page, "pg_scrape_collector_success{collector=\"" + collector + "\"}");
}

}  // namespace test
