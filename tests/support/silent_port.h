// SPDX-License-Identifier: MIT
// A port that takes connections and never says a word, as one behind a network
// that drops packets.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <stdexcept>
#include <string>

namespace test {

class SilentPort {
 public:
  // Throws std::runtime_error when it is taken.
  explicit SilentPort(const std::string& address = "127.0.0.1",
                      const std::string& port = "0")
      : socket_(
            socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)) {
    sockaddr_in local{};
    local.sin_family = AF_INET;
    local.sin_port = htons(static_cast<in_port_t>(std::stoi(port)));
    inet_pton(AF_INET, address.c_str(), &local.sin_addr);
    auto* any = reinterpret_cast<sockaddr*>(&local);
    socklen_t size = sizeof local;
    if (bind(socket_, any, size) != 0 || listen(socket_, 16) != 0 ||
        getsockname(socket_, any, &size) != 0) {
      close(socket_);
      throw std::runtime_error("cannot listen on " + address + ":" + port);
    }
    port_ = std::to_string(ntohs(local.sin_port));
  }
  ~SilentPort() { close(socket_); }
  SilentPort(const SilentPort&) = delete;
  SilentPort& operator=(const SilentPort&) = delete;

  const std::string& port() const { return port_; }
  // Whether somebody came.
  bool visited() const {
    const int visitor = accept4(socket_, nullptr, nullptr, SOCK_CLOEXEC);
    if (visitor >= 0) close(visitor);
    return visitor >= 0;
  }

 private:
  const int socket_;
  std::string port_;
};

}  // namespace test
