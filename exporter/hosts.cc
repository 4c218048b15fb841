// SPDX-License-Identifier: MIT
#include "exporter/hosts.h"

#include <netdb.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <map>
#include <memory>
#include <mutex>
#include <thread>

namespace meshhook::pg {
namespace {

struct FreeOptions {
  void operator()(PQconninfoOption* options) const { PQconninfoFree(options); }
};
struct FreeAddresses {
  void operator()(addrinfo* addresses) const { freeaddrinfo(addresses); }
};

std::vector<std::string> Split(const std::string& list) {
  std::vector<std::string> parts;
  size_t begin = 0;
  for (size_t comma; (comma = list.find(',', begin)) != list.npos;
       begin = comma + 1) {
    parts.push_back(list.substr(begin, comma - begin));
  }
  parts.push_back(list.substr(begin));
  return parts;
}

bool IsSocket(const std::string& host) {
  return !host.empty() && (host[0] == '/' || host[0] == '@');
}

// The entries of libpq's three lists; none where they do not fit together, or
// where what is left empty would be filled from the environment if it stood
// alone.
std::vector<Host> Pair(const std::string& names, const std::string& addresses,
                       const std::string& ports,
                       const std::string& default_port) {
  auto name = Split(names);
  auto address = Split(addresses);
  auto port = Split(ports);
  const size_t count = addresses.empty() ? name.size() : address.size();
  if (names.empty()) name.resize(count);
  if (addresses.empty()) address.resize(count);
  if (port.size() == 1) port.resize(count, port[0]);
  if (name.size() != count || address.size() != count || port.size() != count) {
    return {};
  }
  std::vector<Host> hosts;
  for (size_t i = 0; i < count; ++i) {
    if (count > 1 && !names.empty() && name[i].empty()) return {};
    if (!addresses.empty() && address[i].empty()) return {};
    hosts.push_back(
        {name[i], address[i], port[i].empty() ? default_port : port[i]});
  }
  return hosts;
}

// One name being looked up. getaddrinfo() cannot be called off, so it has a
// thread that may be left behind.
class Resolving {
 public:
  Resolving() : done_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
    if (done_ < 0) throw Error(std::strerror(errno), "", "");
  }
  ~Resolving() { close(done_); }
  Resolving(const Resolving&) = delete;
  Resolving& operator=(const Resolving&) = delete;

  // Once it is done, and readable for ever.
  int fd() const { return done_; }
  bool done() const { return is_done_; }

  void Run(const std::string& name) {
    addrinfo hints{};
    hints.ai_socktype = SOCK_STREAM;
    addrinfo* found = nullptr;
    const int status = getaddrinfo(name.c_str(), nullptr, &hints, &found);
    const std::unique_ptr<addrinfo, FreeAddresses> owner(found);
    if (status != 0) reason_ = gai_strerror(status);
    for (; found != nullptr; found = found->ai_next) {
      std::array<char, NI_MAXHOST> numeric{};
      if (getnameinfo(found->ai_addr, found->ai_addrlen, numeric.data(),
                      numeric.size(), nullptr, 0, NI_NUMERICHOST) == 0) {
        addresses_.emplace_back(numeric.data());
      }
    }
    is_done_ = true;
    eventfd_write(done_, 1);
  }

  // Only once it is done.
  const std::vector<std::string>& addresses() const { return addresses_; }
  const std::string& reason() const { return reason_; }

 private:
  const int done_;
  std::atomic<bool> is_done_{false};
  std::vector<std::string> addresses_;
  std::string reason_ = "it has no address";
};

// A resolver that does not answer holds no more than one thread a name.
std::shared_ptr<Resolving> Resolve(const std::string& name) {
  static std::mutex mutex;
  static std::map<std::string, std::weak_ptr<Resolving>> under_way;
  const std::lock_guard lock(mutex);
  auto& known = under_way[name];
  if (auto resolving = known.lock(); resolving && !resolving->done()) {
    return resolving;
  }
  auto resolving = std::make_shared<Resolving>();
  known = resolving;
  try {
    std::thread([resolving, name] { resolving->Run(name); }).detach();
  } catch (const std::system_error& error) {
    throw Error(error.what(), "", "");
  }
  return resolving;
}

}  // namespace

Hosts HostsOf(const Conninfo::Parameters& parameters) {
  // libpq tells what it would use, and goes nowhere, if one setting is wrong.
  // With a password it does not look for a file of them.
  std::vector<const char*> keywords;
  std::vector<const char*> values;
  for (const auto& [keyword, value] : parameters) {
    keywords.push_back(keyword.c_str());
    values.push_back(value.c_str());
  }
  keywords.insert(keywords.end(), {"password", "sslmode", nullptr});
  values.insert(values.end(), {"?", "?", nullptr});
  const std::unique_ptr<PGconn, FinishSession> refused(
      PQconnectStartParams(keywords.data(), values.data(), 0));
  const std::unique_ptr<PQconninfoOption, FreeOptions> options(
      PQconninfo(refused.get()));
  if (!options) throw Error("out of memory", "", "");

  Hosts hosts;
  std::map<std::string, std::string> given;
  std::string default_port;
  for (const auto* option = options.get(); option->keyword; ++option) {
    if (option->val != nullptr) given[option->keyword] = option->val;
    if (std::strcmp(option->keyword, "port") == 0) {
      default_port = option->compiled;
    }
  }
  hosts.session_attrs = given["target_session_attrs"];
  hosts.connect_timeout =
      std::chrono::seconds(std::atoi(given["connect_timeout"].c_str()));
  // A setting that libpq refuses before these leaves none of them.
  if (!given["port"].empty()) {
    hosts.list =
        Pair(given["host"], given["hostaddr"], given["port"], default_port);
  }
  return hosts;
}

bool NeedsLookup(const Host& host) {
  if (!host.address.empty() || host.name.empty() || IsSocket(host.name)) {
    return false;
  }
  addrinfo hints{};
  hints.ai_flags = AI_NUMERICHOST;
  addrinfo* found = nullptr;
  const int status = getaddrinfo(host.name.c_str(), nullptr, &hints, &found);
  const std::unique_ptr<addrinfo, FreeAddresses> owner(found);
  return status != 0;
}

std::vector<std::string> Lookup(const std::string& name, Deadline deadline,
                                const Interrupt* interrupt) {
  const auto resolving = Resolve(name);
  const auto failure = [&name](const std::string& reason) {
    return Error(
        "could not translate host name \"" + name + "\" to address: " + reason,
        "", "");
  };
  try {
    Await(resolving->fd(), POLLIN, deadline, interrupt);
  } catch (const Error& error) {
    throw failure(error.what());
  }
  if (!resolving->done() || resolving->addresses().empty()) {
    throw failure(resolving->reason());
  }
  return resolving->addresses();
}

void Await(int fd, short events, Deadline deadline,
           const Interrupt* interrupt) {
  std::array<pollfd, 2> polled{
      {{fd, events, 0},
       {interrupt == nullptr ? -1 : interrupt->fd(), POLLIN, 0}}};
  while (true) {
    const auto left =
        std::chrono::ceil<std::chrono::milliseconds>(deadline - Clock::now());
    if (left.count() <= 0) {
      throw Error("no answer within the time allowed", "", "");
    }
    const int ready =
        poll(polled.data(), polled.size(), static_cast<int>(left.count()));
    if (ready < 0 && errno != EINTR) throw Error(std::strerror(errno), "", "");
    if (ready <= 0) continue;
    if (polled[1].revents != 0 && interrupt->fired()) {
      throw Error("interrupted", "", "");
    }
    if (polled[0].revents != 0) return;
  }
}

}  // namespace meshhook::pg
