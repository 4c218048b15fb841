// SPDX-License-Identifier: MIT
// The HTTP server: /metrics, /healthz, /readyz and the status page.
#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "exporter/listener.h"
#include "exporter/page.h"
#include "exporter/scraper.h"

namespace meshhook {

struct HttpOptions {
  // host:port, :port or [address]:port
  std::vector<std::string> listen_addresses;
  std::string telemetry_path = "/metrics";
  std::chrono::milliseconds scrape_timeout{10000};
};

// Serves from CivetWeb's own threads until it is destroyed. A request that
// throws is answered with 500 and logged; nothing escapes into CivetWeb.
class HttpServer {
 public:
  // Throws UsageError when an address is malformed or taken.
  HttpServer(HttpOptions options, Scraper& scraper);
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;

  // As Listener's.
  void AwaitIdle(pg::Deadline deadline) { listener_.AwaitIdle(deadline); }

  // The ports it listens on, as chosen by the system where 0 was asked for.
  std::vector<int> Ports() const { return listener_.Ports(); }

 private:
  struct Response {
    int status;
    std::string_view content_type;
    std::string body;
    std::shared_ptr<const Page> page = {};  // in place of the body
  };

  static int Handle(mg_connection* connection, void* self);
  Response Answer(mg_connection* connection);
  Response Metrics(mg_connection* connection);
  Response Ready();
  pg::Deadline ScrapeDeadline(mg_connection* connection) const;

  const HttpOptions options_;
  Scraper& scraper_;
  Listener listener_;  // the last, as its threads use the rest
};

}  // namespace meshhook
