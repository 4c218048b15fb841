// SPDX-License-Identifier: MIT
#include "exporter/http.h"

#include <civetweb.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <string_view>
#include <utility>

#include "exporter/errors.h"
#include "exporter/gzip.h"
#include "exporter/http_sockets.h"
#include "exporter/log.h"
#include "exporter/negotiation.h"
#include "exporter/status_page.h"

namespace meshhook {
namespace {

using std::chrono::milliseconds;

constexpr auto kPlain = "text/plain; charset=utf-8";
constexpr auto kHtml = "text/html; charset=utf-8";
// Left of Prometheus' own timeout for the way there and back.
constexpr milliseconds kScrapeTimeoutOffset{250};
constexpr milliseconds kShortestScrape{500};
constexpr milliseconds kReadyTimeout{2000};
// Older news of the database is no news.
constexpr milliseconds kReadyFor{2000};

// Written here because CivetWeb's own way to write a header makes its Date with
// gmtime(), which threads must not share.
void Send(mg_connection* connection, int status, std::string_view type,
          std::string_view body, bool gzip, bool with_body) {
  std::string answer = "HTTP/1.1 " + std::to_string(status) + " " +
                       mg_get_response_code_text(connection, status) +
                       "\r\nContent-Type: " + std::string(type) +
                       "\r\nContent-Length: " + std::to_string(body.size()) +
                       "\r\nCache-Control: no-store"
                       "\r\nX-Content-Type-Options: nosniff"
                       "\r\nVary: Accept, Accept-Encoding";
  if (status == 405) answer += "\r\nAllow: GET, HEAD";
  if (status == 413) answer += "\r\nConnection: close";
  if (gzip) answer += "\r\nContent-Encoding: gzip";
  answer += "\r\n\r\n";
  mg_write(connection, answer.data(), answer.size());
  if (with_body) mg_write(connection, body.data(), body.size());
}

// CivetWeb reads what a handler leaves of a body, for as long as its client
// likes to take. No path here takes a body, so a request that announces one is
// refused before that: the negative result makes CivetWeb hang up.
int RefuseBody(mg_connection* connection) {
  constexpr int kGoOn = 0;
  constexpr int kHangUp = -1;
  if (mg_get_request_info(connection)->content_length <= 0 &&
      mg_get_header(connection, "Transfer-Encoding") == nullptr) {
    return kGoOn;
  }
  try {
    Send(connection, 413, kPlain, "no request here takes a body\n", false,
         true);
  } catch (const std::exception& error) {
    log::Error("request failed", {{"reason", error.what()}});
  }
  return kHangUp;
}

mg_callbacks RefusingBodies() {
  mg_callbacks callbacks{};
  callbacks.begin_request = RefuseBody;
  return callbacks;
}

}  // namespace

HttpServer::HttpServer(HttpOptions options, Scraper& scraper)
    : options_(std::move(options)),
      scraper_(scraper),
      listener_({.addresses = options_.listen_addresses,
                 .flag = "--web.listen-address",
                 .threads = 24},
                RefusingBodies(), &HttpServer::Handle, this) {}

int HttpServer::Handle(mg_connection* connection, void* self) {
  const std::string method = mg_get_request_info(connection)->request_method;
  Response response{500, kPlain, "internal error\n"};
  try {
    response = static_cast<HttpServer*>(self)->Answer(connection);
    std::string_view body =
        response.page ? response.page->text() : response.body;
    std::string packed;
    const bool gzip = body.size() > 1024 &&
                      AcceptsGzip(Header(connection, "Accept-Encoding"));
    if (gzip && response.page) {
      body = response.page->Gzipped();
    } else if (gzip) {
      body = packed = Gzip(body);
    }
    Send(connection, response.status, response.content_type, body, gzip,
         method != "HEAD");
  } catch (const std::exception& error) {
    log::Error("request failed", {{"reason", error.what()}});
    Send(connection, 500, kPlain, "internal error\n", false, true);
  }
  return response.status;
}

HttpServer::Response HttpServer::Answer(mg_connection* connection) {
  const auto* request = mg_get_request_info(connection);
  const std::string_view method = request->request_method;
  const std::string_view path = request->local_uri;
  if (method != "GET" && method != "HEAD") {
    return {405, kPlain, "only GET and HEAD are served here\n"};
  }
  if (path == options_.telemetry_path) return Metrics(connection);
  if (path == "/healthz") return {200, kPlain, "ok\n"};
  if (path == "/readyz") return Ready();
  if (path == "/") {
    return {200, kHtml, StatusPage(scraper_.Status(), options_.telemetry_path)};
  }
  return {404, kPlain,
          "not found; there are /, " + options_.telemetry_path +
              ", /healthz and /readyz\n"};
}

// What Prometheus allows less the way back, but never more than our own limit.
pg::Deadline HttpServer::ScrapeDeadline(mg_connection* connection) const {
  auto allowed = options_.scrape_timeout;
  const std::string header =
      Header(connection, "X-Prometheus-Scrape-Timeout-Seconds");
  const double seconds = std::strtod(header.c_str(), nullptr);
  if (seconds > 0 && seconds < 3600) {
    const milliseconds theirs(static_cast<long>(seconds * 1000));
    allowed = std::min(allowed, theirs - kScrapeTimeoutOffset);
  }
  return pg::Clock::now() + std::max(allowed, kShortestScrape);
}

HttpServer::Response HttpServer::Metrics(mg_connection* connection) {
  const auto offer = ChooseOffer(Header(connection, "Accept"));
  auto page = scraper_.Scrape(ScrapeDeadline(connection),
                              ClientSocket(connection), offer.format);
  if (page == nullptr) return {503, kPlain, "the client has hung up\n"};
  return {200, offer.content_type, "", std::move(page)};
}

HttpServer::Response HttpServer::Ready() {
  const auto now = pg::Clock::now();
  const auto last = scraper_.Status();
  if (!last.up || now - last.at > kReadyFor) {
    scraper_.Scrape(now + kReadyTimeout);
  }
  if (scraper_.Status().up) return {200, kPlain, "ready\n"};
  return {503, kPlain, "the database cannot be reached\n"};
}

}  // namespace meshhook
