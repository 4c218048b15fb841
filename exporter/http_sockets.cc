// SPDX-License-Identifier: MIT
#include "exporter/http_sockets.h"

#include <arpa/inet.h>
#include <civetweb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <array>
#include <charconv>
#include <cstring>
#include <filesystem>
#include <string>
#include <vector>

namespace meshhook {
namespace {

bool IsAt(int socket, const std::string& address, int port) {
  sockaddr_storage peer{};
  socklen_t length = sizeof peer;
  if (getpeername(socket, reinterpret_cast<sockaddr*>(&peer), &length) != 0) {
    return false;
  }
  const void* host = nullptr;
  int peer_port = 0;
  if (peer.ss_family == AF_INET) {
    const auto* ipv4 = reinterpret_cast<const sockaddr_in*>(&peer);
    host = &ipv4->sin_addr;
    peer_port = ntohs(ipv4->sin_port);
  } else if (peer.ss_family == AF_INET6) {
    const auto* ipv6 = reinterpret_cast<const sockaddr_in6*>(&peer);
    host = &ipv6->sin6_addr;
    peer_port = ntohs(ipv6->sin6_port);
  }
  std::array<char, INET6_ADDRSTRLEN> text{};
  return host != nullptr && peer_port == port &&
         inet_ntop(peer.ss_family, host, text.data(), text.size()) != nullptr &&
         address == text.data();
}

// This program's descriptors.
std::vector<int> Descriptors() {
  std::vector<int> descriptors;
  std::error_code error;
  std::filesystem::directory_iterator file("/proc/self/fd", error);
  for (; !error && file != std::filesystem::directory_iterator();
       file.increment(error)) {
    const auto name = file->path().filename().string();
    std::from_chars(name.data(), name.data() + name.size(),
                    descriptors.emplace_back(-1));
  }
  return descriptors;
}

}  // namespace

int ClientSocket(const mg_connection* connection) {
  const auto* request = mg_get_request_info(connection);
  for (const int socket : Descriptors()) {
    if (IsAt(socket, request->remote_addr, request->remote_port)) return socket;
  }
  return -1;
}

void DeferAccept() {
  constexpr int kSeconds = 30;
  for (const int socket : Descriptors()) {
    int listening = 0;
    socklen_t size = sizeof listening;
    if (getsockopt(socket, SOL_SOCKET, SO_ACCEPTCONN, &listening, &size) == 0 &&
        listening != 0) {
      setsockopt(socket, IPPROTO_TCP, TCP_DEFER_ACCEPT, &kSeconds,
                 sizeof kSeconds);
    }
  }
}

}  // namespace meshhook
