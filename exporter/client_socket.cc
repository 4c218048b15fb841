// SPDX-License-Identifier: MIT
#include "exporter/client_socket.h"

#include <arpa/inet.h>
#include <civetweb.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <array>
#include <charconv>
#include <cstring>
#include <filesystem>
#include <string>

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

}  // namespace

int ClientSocket(const mg_connection* connection) {
  const auto* request = mg_get_request_info(connection);
  std::error_code error;
  std::filesystem::directory_iterator file("/proc/self/fd", error);
  for (; !error && file != std::filesystem::directory_iterator();
       file.increment(error)) {
    const auto name = file->path().filename().string();
    int socket = -1;
    std::from_chars(name.data(), name.data() + name.size(), socket);
    if (IsAt(socket, request->remote_addr, request->remote_port)) return socket;
  }
  return -1;
}

}  // namespace meshhook
