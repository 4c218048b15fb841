// SPDX-License-Identifier: MIT
#include "tests/support/proxy.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <deque>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

namespace test {
namespace {

using Clock = std::chrono::steady_clock;

constexpr size_t kMostWaiting = size_t{4} << 20;  // bytes, before it backs up

[[noreturn]] void Fail(const char* what) {
  throw std::system_error(errno, std::generic_category(), what);
}

int NewSocket() {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) Fail("socket");
  const int on = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  return fd;
}

sockaddr_in Loopback(int port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

// What one side sent and the other has not got yet.
class Pipe {
 public:
  Pipe(int from, int to) : from_(from), to_(to) {}

  bool Reads() const { return !ended_ && waiting_ < kMostWaiting; }
  bool Writes(Clock::time_point now) const {
    return !pieces_.empty() && pieces_.front().due <= now;
  }
  bool Done() const { return ended_ && pieces_.empty(); }
  Clock::time_point Due() const {
    return pieces_.empty() ? Clock::time_point::max() : pieces_.front().due;
  }

  // Takes in what there is; how much that was, or -1 for a broken connection.
  ssize_t Read(std::chrono::milliseconds delay) {
    std::string bytes(65536, '\0');
    const ssize_t count = recv(from_, bytes.data(), bytes.size(), MSG_DONTWAIT);
    if (count < 0) return errno == EAGAIN ? 0 : -1;
    if (count == 0) {
      ended_ = true;
      return 0;
    }
    bytes.resize(static_cast<size_t>(count));
    waiting_ += bytes.size();
    pieces_.push_back({Clock::now() + delay, std::move(bytes)});
    return count;
  }

  // Gives away `most` bytes of what is due; how much, or -1.
  ssize_t Write(size_t most) {
    auto& bytes = pieces_.front().bytes;
    const ssize_t count = send(to_, bytes.data(), std::min(bytes.size(), most),
                               MSG_DONTWAIT | MSG_NOSIGNAL);
    if (count < 0) return errno == EAGAIN ? 0 : -1;
    waiting_ -= static_cast<size_t>(count);
    bytes.erase(0, static_cast<size_t>(count));
    if (bytes.empty()) pieces_.pop_front();
    return count;
  }

  // Tells the other side that no more comes, once.
  void End() {
    if (!std::exchange(told_, true)) shutdown(to_, SHUT_WR);
  }

 private:
  struct Piece {
    Clock::time_point due;
    std::string bytes;
  };

  int from_;
  int to_;
  std::deque<Piece> pieces_;
  size_t waiting_ = 0;
  bool ended_ = false;
  bool told_ = false;
};

}  // namespace

struct Proxy::Link {
  Link(int client_socket, int server_socket, const Faults& faults)
      : client(client_socket),
        server(server_socket),
        up(client_socket, server_socket),
        down(server_socket, client_socket),
        left(faults.reset_after),
        epoch(faults.epoch) {}
  // With a reset, unless both sides have ended it in order.
  ~Link() {
    const linger at_once{1, 0};
    for (const int fd : {client, server}) {
      if (!orderly) {
        setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
      }
      close(fd);
    }
  }
  Link(const Link&) = delete;
  Link& operator=(const Link&) = delete;

  int client;
  int server;
  Pipe up;
  Pipe down;
  int64_t left;  // bytes of the server's until the reset; -1: any number
  long epoch;
  bool answered = true;  // the server has spoken since the client did
  bool orderly = false;
  short client_ready = 0;
  short server_ready = 0;
};

Proxy::Proxy(int server_port)
    : server_port_(server_port), wake_(eventfd(0, EFD_CLOEXEC)) {
  if (wake_ < 0) Fail("eventfd");
  Listen();
  thread_ = std::thread(&Proxy::Loop, this);
}

Proxy::~Proxy() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  eventfd_write(wake_, 1);
  thread_.join();
  links_.clear();
  if (listener_ >= 0) close(listener_);
  close(wake_);
}

void Proxy::Delay(std::chrono::milliseconds each_way) {
  const std::lock_guard lock(mutex_);
  faults_.delay = each_way;
}

void Proxy::Drop() {
  const std::lock_guard lock(mutex_);
  faults_.drop = true;
  eventfd_write(wake_, 1);
}

void Proxy::Refuse() {
  const std::lock_guard lock(mutex_);
  faults_.refuse = true;
  ++faults_.epoch;
  eventfd_write(wake_, 1);
}

void Proxy::ResetAfter(int64_t bytes) {
  const std::lock_guard lock(mutex_);
  faults_.reset_after = bytes;
  eventfd_write(wake_, 1);
}

void Proxy::Heal() {
  const std::lock_guard lock(mutex_);
  const long epoch = faults_.epoch + (faults_.drop ? 1 : 0);
  faults_ = {};
  faults_.epoch = epoch;
  eventfd_write(wake_, 1);
}

void Proxy::Listen() {
  listener_ = NewSocket();
  const int on = 1;
  setsockopt(listener_, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  auto address = Loopback(port_);
  auto* plain = reinterpret_cast<sockaddr*>(&address);
  socklen_t size = sizeof address;
  if (bind(listener_, plain, size) != 0 || listen(listener_, 64) != 0 ||
      getsockname(listener_, plain, &size) != 0) {
    Fail("listen");
  }
  if (port_ == 0) port_ = ntohs(address.sin_port);
}

void Proxy::Accept(const Faults& faults) {
  const int client = accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
  if (client < 0) return;
  ++connections_;
  const int on = 1;
  setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  const int server = NewSocket();
  const auto address = Loopback(server_port_);
  links_.emplace_back(client, server, faults);
  if (connect(server, reinterpret_cast<const sockaddr*>(&address),
              sizeof address) != 0) {
    links_.pop_back();
  }
}

bool Proxy::Carry(Link& link, const Faults& faults) {
  if (link.epoch != faults.epoch) return false;
  if (link.left < 0 || faults.reset_after < 0) link.left = faults.reset_after;
  if (faults.drop) return true;
  if ((link.client_ready & (POLLIN | POLLHUP | POLLERR)) != 0 &&
      link.up.Reads()) {
    const ssize_t count = link.up.Read(faults.delay);
    if (count < 0) return false;
    if (count > 0 && std::exchange(link.answered, false)) ++round_trips_;
    bytes_ += count;
  }
  if ((link.server_ready & (POLLIN | POLLHUP | POLLERR)) != 0 &&
      link.down.Reads()) {
    const ssize_t count = link.down.Read(faults.delay);
    if (count < 0) return false;
    bytes_ += count;
  }
  const auto now = Clock::now();
  while (link.up.Writes(now)) {
    const ssize_t count = link.up.Write(kMostWaiting);
    if (count < 0) return false;
    if (count == 0) break;
  }
  while (link.down.Writes(now)) {
    if (link.left == 0) return false;
    const ssize_t count = link.down.Write(
        link.left < 0 ? kMostWaiting : static_cast<size_t>(link.left));
    if (count < 0) return false;
    if (count == 0) break;
    link.answered = true;
    if (link.left > 0) link.left -= count;
  }
  if (link.up.Done()) link.up.End();
  if (link.down.Done()) link.down.End();
  link.orderly = link.up.Done() && link.down.Done();
  return !link.orderly;
}

void Proxy::Loop() {
  while (true) {
    Faults faults;
    {
      const std::lock_guard lock(mutex_);
      if (stop_) return;
      faults = faults_;
    }
    if (faults.refuse && listener_ >= 0) close(std::exchange(listener_, -1));
    if (!faults.refuse && listener_ < 0) Listen();
    std::erase_if(links_,
                  [&](Link& link) { return link.epoch != faults.epoch; });

    const auto now = Clock::now();
    auto due = Clock::time_point::max();
    std::vector<pollfd> polled{{wake_, POLLIN, 0}, {listener_, POLLIN, 0}};
    for (const auto& link : links_) {
      const auto events = [&](const Pipe& in, const Pipe& out) {
        return static_cast<short>((in.Reads() ? POLLIN : 0) |
                                  (out.Writes(now) ? POLLOUT : 0));
      };
      // A negative descriptor is passed over: hung up it would wake us at once,
      // again and again.
      const auto client = events(link.up, link.down);
      const auto server = events(link.down, link.up);
      polled.push_back(
          {faults.drop || client == 0 ? -1 : link.client, client, 0});
      polled.push_back(
          {faults.drop || server == 0 ? -1 : link.server, server, 0});
      for (const auto* pipe : {&link.up, &link.down}) {
        if (!faults.drop && !pipe->Writes(now))
          due = std::min(due, pipe->Due());
      }
    }
    timespec wait{};
    const auto left = std::max(due - now, Clock::duration(0));
    wait.tv_sec = std::chrono::floor<std::chrono::seconds>(left).count();
    wait.tv_nsec = (left % std::chrono::seconds(1)).count();
    const bool forever = due == Clock::time_point::max();
    if (ppoll(polled.data(), polled.size(), forever ? nullptr : &wait,
              nullptr) < 0) {
      continue;
    }
    eventfd_t ignored = 0;
    if (polled[0].revents != 0) eventfd_read(wake_, &ignored);
    size_t at = 2;
    for (auto& link : links_) {
      link.client_ready = polled[at++].revents;
      link.server_ready = polled[at++].revents;
    }
    std::erase_if(links_, [&](Link& link) { return !Carry(link, faults); });
    if (polled[1].revents != 0) Accept(faults);
  }
}

}  // namespace test
