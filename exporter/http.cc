// SPDX-License-Identifier: MIT
#include "exporter/http.h"

#include <civetweb.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <charconv>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <string_view>
#include <thread>
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

// CivetWeb says why it cannot start only to its log, and first says it best. It
// logs from all its threads, but starts in the one that started it.
std::string& StartupError() {
  thread_local std::string message;
  return message;
}

int LogMessage(const mg_connection* /*unused*/, const char* message) {
  if (StartupError().empty()) StartupError() = message;
  log::Debug("http server", {{"reason", message}});
  return 1;
}

std::string Header(mg_connection* connection, const char* name) {
  const char* value = mg_get_header(connection, name);
  return value == nullptr ? "" : value;
}

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

// Where a server that listens on this address can be reached from here.
std::string HostToReach(const std::string& listen_address) {
  std::string host = listen_address.substr(0, listen_address.rfind(':'));
  if (host.size() > 1 && host.front() == '[') {
    host = host.substr(1, host.size() - 2);
  }
  const bool any = host.empty() || host == "0.0.0.0" || host == "::";
  return any ? "localhost" : host;
}

// CivetWeb names the address in its own words, and the reason by number and in
// brackets, or says that it cannot read a host that has no address.
UsageError CannotListen(const std::vector<std::string>& listen_addresses,
                        const std::string& complaint) {
  std::string address = listen_addresses.front();
  for (const auto& candidate : listen_addresses) {
    if (complaint.find(CivetWebPort(candidate) + ": ") != complaint.npos) {
      address = candidate;
    }
  }
  std::string why = complaint;
  if (const size_t at = complaint.rfind('('); at != complaint.npos) {
    why = complaint.substr(at + 1, complaint.rfind(')') - at - 1);
  }
  std::string remedy = "choose another address with --web.listen-address";
  if (complaint.find("invalid port spec") != complaint.npos) {
    why = "the host's name has no IPv4 address";
    remedy = "check the name, or write an address of this machine";
  } else if (complaint.find("in use") != complaint.npos) {
    remedy =
        "stop what uses the port (ss -ltnp shows it), or choose another with "
        "--web.listen-address";
  } else if (complaint.find("assign requested") != complaint.npos) {
    remedy =
        "write an address of this machine (ip address shows them), or :PORT "
        "for all of them, in --web.listen-address";
  } else if (complaint.find("Permission denied") != complaint.npos) {
    remedy = "choose a port above 1023 with --web.listen-address";
  }
  return {"cannot listen on " + address + ": " + why, remedy};
}

void Knock(const std::string& host, int port) {
  std::array<char, 128> why{};
  auto* connection =
      mg_connect_client(host.c_str(), port, 0, why.data(), why.size());
  if (connection != nullptr) mg_close_connection(connection);
}

}  // namespace

std::string CivetWebPort(const std::string& listen_address) {
  const size_t colon = listen_address.rfind(':');
  const std::string host =
      listen_address.substr(0, colon == std::string::npos ? 0 : colon);
  const std::string_view digits =
      colon == std::string::npos
          ? std::string_view()
          : std::string_view(listen_address).substr(colon + 1);
  int port = -1;
  const auto [end, error] =
      std::from_chars(digits.data(), digits.data() + digits.size(), port);
  if (error != std::errc() || end != digits.data() + digits.size() ||
      port < 0 || port > 65535) {
    throw UsageError(
        "\"" + listen_address + "\" is not an address to listen on",
        "write HOST:PORT or :PORT, as in --web.listen-address=127.0.0.1:9187");
  }
  if (host.rfind('[', 0) == 0 && mg_check_feature(MG_FEATURES_IPV6) == 0) {
    throw UsageError(
        "cannot listen on " + listen_address +
            ": this CivetWeb was built without IPv6, as Debian's is",
        "listen on an IPv4 address, as in --web.listen-address=127.0.0.1:9187");
  }
  return host.empty() ? "+" + std::string(digits) : listen_address;
}

class HttpServer::Answering {
 public:
  explicit Answering(HttpServer& server) : server_(server) {
    const std::lock_guard lock(server_.mutex_);
    ++server_.answering_;
  }
  ~Answering() {
    const std::lock_guard lock(server_.mutex_);
    --server_.answering_;
    server_.idle_.notify_all();
  }
  Answering(const Answering&) = delete;
  Answering& operator=(const Answering&) = delete;

 private:
  HttpServer& server_;
};

HttpServer::HttpServer(HttpOptions options, Scraper& scraper)
    : options_(std::move(options)), scraper_(scraper) {
  std::string ports;
  for (const auto& address : options_.listen_addresses) {
    ports += (ports.empty() ? "" : ",") + CivetWebPort(address);
  }
  // A client that is slow to ask holds a thread until the request's time is
  // over, and a scrape must not find them all held.
  const std::array<const char*, 15> settings{"listening_ports",
                                             ports.c_str(),
                                             "num_threads",
                                             "24",
                                             "request_timeout_ms",
                                             "1500",
                                             "max_request_size",
                                             "8192",
                                             "enable_directory_listing",
                                             "no",
                                             "enable_keep_alive",
                                             "yes",
                                             "tcp_nodelay",
                                             "1",
                                             nullptr};
  mg_callbacks callbacks{};
  callbacks.log_message = LogMessage;
  callbacks.begin_request = RefuseBody;
  StartupError().clear();
  mg_init_library(0);
  context_ =
      mg_start(&callbacks, this, const_cast<const char**>(settings.data()));
  if (context_ == nullptr) {
    mg_exit_library();
    throw CannotListen(options_.listen_addresses, StartupError());
  }
  DeferAccept();
  mg_set_request_handler(context_, "/", &HttpServer::Handle, this);
}

HttpServer::~HttpServer() {
  // CivetWeb looks whether it is to stop when a client comes, and else only
  // every two seconds.
  const auto host = HostToReach(options_.listen_addresses.front());
  const int port = Ports().front();
  std::atomic<bool> stopped{false};
  std::thread client([&] {
    while (!stopped) {
      Knock(host, port);
      std::this_thread::sleep_for(milliseconds(10));
    }
  });
  mg_stop(context_);
  stopped = true;
  client.join();
  mg_exit_library();
}

void HttpServer::AwaitIdle(pg::Deadline deadline) {
  std::unique_lock lock(mutex_);
  idle_.wait_until(lock, deadline, [this] { return answering_ == 0; });
}

std::vector<int> HttpServer::Ports() const {
  std::array<mg_server_port, 16> ports{};
  const int count = mg_get_server_ports(
      context_, static_cast<int>(ports.size()), ports.data());
  std::vector<int> numbers;
  for (int i = 0; i < count; ++i) {
    numbers.push_back(ports[static_cast<size_t>(i)].port);
  }
  return numbers;
}

int HttpServer::Handle(mg_connection* connection, void* self) {
  const Answering counted(*static_cast<HttpServer*>(self));
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
