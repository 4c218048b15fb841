// SPDX-License-Identifier: MIT
#include "exporter/listener.h"

#include <array>
#include <atomic>
#include <charconv>
#include <chrono>
#include <string_view>
#include <thread>
#include <utility>

#include "exporter/errors.h"
#include "exporter/http_sockets.h"
#include "exporter/log.h"

namespace meshhook {
namespace {

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
UsageError CannotListen(const ListenerOptions& options,
                        const std::string& complaint) {
  std::string address = options.addresses.front();
  for (const auto& candidate : options.addresses) {
    if (complaint.find(CivetWebPort(candidate, options.flag) + ": ") !=
        complaint.npos) {
      address = candidate;
    }
  }
  std::string why = complaint;
  if (const size_t at = complaint.rfind('('); at != complaint.npos) {
    why = complaint.substr(at + 1, complaint.rfind(')') - at - 1);
  }
  std::string remedy = "choose another address with " + options.flag;
  if (complaint.find("invalid port spec") != complaint.npos) {
    why = "the host's name has no IPv4 address";
    remedy = "check the name, or write an address of this machine";
  } else if (complaint.find("in use") != complaint.npos) {
    remedy =
        "stop what uses the port (ss -ltnp shows it), or choose another with " +
        options.flag;
  } else if (complaint.find("assign requested") != complaint.npos) {
    remedy =
        "write an address of this machine (ip address shows them), or :PORT "
        "for all of them, in " +
        options.flag;
  } else if (complaint.find("Permission denied") != complaint.npos) {
    remedy = "choose a port above 1023 with " + options.flag;
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

std::string CivetWebPort(const std::string& listen_address,
                         const std::string& flag) {
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
        "write HOST:PORT or :PORT, as in " + flag + "=127.0.0.1:9187");
  }
  if (host.rfind('[', 0) == 0 && mg_check_feature(MG_FEATURES_IPV6) == 0) {
    throw UsageError(
        "cannot listen on " + listen_address +
            ": this CivetWeb was built without IPv6, as Debian's is",
        "listen on an IPv4 address, as in " + flag + "=127.0.0.1:9187");
  }
  return host.empty() ? "+" + std::string(digits) : listen_address;
}

std::string Header(const mg_connection* connection, const char* name) {
  const char* value = mg_get_header(connection, name);
  return value == nullptr ? "" : value;
}

Listener::Listener(ListenerOptions options, mg_callbacks callbacks,
                   Handler handler, void* user)
    : options_(std::move(options)), handler_(handler), user_(user) {
  std::string ports;
  for (const auto& address : options_.addresses) {
    ports += (ports.empty() ? "" : ",") + CivetWebPort(address, options_.flag);
  }
  const std::string threads = std::to_string(options_.threads);
  const std::string size = std::to_string(options_.max_request_bytes);
  // A client that is slow to ask holds a thread until the request's time is
  // over, and others must not find them all held. A path is what it says: were
  // it decoded, a gateway could be told one path and this server another.
  // Browsers are told by us who may ask: CivetWeb would say that any page may.
  const std::array<const char*, 19> settings{"listening_ports",
                                             ports.c_str(),
                                             "num_threads",
                                             threads.c_str(),
                                             "request_timeout_ms",
                                             "1500",
                                             "max_request_size",
                                             size.c_str(),
                                             "enable_directory_listing",
                                             "no",
                                             "decode_url",
                                             "no",
                                             "enable_keep_alive",
                                             "yes",
                                             "tcp_nodelay",
                                             "1",
                                             "access_control_allow_methods",
                                             "",
                                             nullptr};
  callbacks.log_message = LogMessage;
  StartupError().clear();
  mg_init_library(0);
  context_ =
      mg_start(&callbacks, user, const_cast<const char**>(settings.data()));
  if (context_ == nullptr) {
    mg_exit_library();
    throw CannotListen(options_, StartupError());
  }
  DeferAccept();
  mg_set_request_handler(context_, "/", &Listener::Handle, this);
}

Listener::~Listener() {
  // CivetWeb looks whether it is to stop when a client comes, and else only
  // every two seconds.
  const auto host = HostToReach(options_.addresses.front());
  const int port = Ports().front();
  std::atomic<bool> stopped{false};
  std::thread client([&] {
    while (!stopped) {
      Knock(host, port);
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
  });
  mg_stop(context_);
  stopped = true;
  client.join();
  mg_exit_library();
}

int Listener::Handle(mg_connection* connection, void* self) {
  auto& listener = *static_cast<Listener*>(self);
  {
    const std::lock_guard lock(listener.mutex_);
    ++listener.answering_;
  }
  const int status = listener.handler_(connection, listener.user_);
  const std::lock_guard lock(listener.mutex_);
  --listener.answering_;
  listener.idle_.notify_all();
  return status;
}

void Listener::AwaitIdle(std::chrono::steady_clock::time_point deadline) {
  std::unique_lock lock(mutex_);
  idle_.wait_until(lock, deadline, [this] { return answering_ == 0; });
}

std::vector<int> Listener::Ports() const {
  std::array<mg_server_port, 16> ports{};
  const int count = mg_get_server_ports(
      context_, static_cast<int>(ports.size()), ports.data());
  std::vector<int> numbers;
  for (int i = 0; i < count; ++i) {
    numbers.push_back(ports[static_cast<size_t>(i)].port);
  }
  return numbers;
}

}  // namespace meshhook
