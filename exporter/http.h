// SPDX-License-Identifier: MIT
// The HTTP server: /metrics, /healthz, /readyz and the status page.
#pragma once

#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "exporter/page.h"
#include "exporter/scraper.h"

struct mg_context;
struct mg_connection;

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
  ~HttpServer();
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;

  // Returns when no request is being answered, or at the deadline: what is not
  // sent when the server is destroyed is lost.
  void AwaitIdle(pg::Deadline deadline);

  // The ports it listens on, as chosen by the system where 0 was asked for.
  std::vector<int> Ports() const;

 private:
  struct Response {
    int status;
    std::string_view content_type;
    std::string body;
    std::shared_ptr<const Page> page = {};  // in place of the body
  };

  // Counts a request for as long as it lives.
  class Answering;

  static int Handle(mg_connection* connection, void* self);
  Response Answer(mg_connection* connection);
  Response Metrics(mg_connection* connection);
  Response Ready();
  pg::Deadline ScrapeDeadline(mg_connection* connection) const;

  const HttpOptions options_;
  Scraper& scraper_;
  mg_context* context_ = nullptr;

  std::mutex mutex_;
  std::condition_variable idle_;
  int answering_ = 0;  // requests; guarded by mutex_
};

// CivetWeb's word for a listen address: ":9187" is every address, those of IPv6
// too where CivetWeb was built with it. Throws UsageError.
std::string CivetWebPort(const std::string& listen_address);

}  // namespace meshhook
