// SPDX-License-Identifier: MIT
#include "tests/support/http_client.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>
#include <zlib.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <sstream>
#include <stdexcept>
#include <system_error>

namespace test {
namespace {

[[noreturn]] void Fail(const char* what) {
  throw std::system_error(errno, std::generic_category(), what);
}

}  // namespace

HttpConnection::HttpConnection(int port, int receive_buffer)
    : socket_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
  if (receive_buffer > 0) {
    setsockopt(socket_, SOL_SOCKET, SO_RCVBUF, &receive_buffer,
               sizeof receive_buffer);
  }
  const timeval patience{30, 0};
  setsockopt(socket_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (connect(socket_, reinterpret_cast<const sockaddr*>(&address),
              sizeof address) != 0) {
    const int error = errno;
    close(socket_);
    errno = error;
    Fail("connect");
  }
}

HttpConnection::~HttpConnection() { close(socket_); }

void HttpConnection::Send(const std::string& bytes) const {
  if (send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL) !=
      static_cast<ssize_t>(bytes.size())) {
    Fail("send");
  }
}

void HttpConnection::SendEnd() const { shutdown(socket_, SHUT_WR); }

std::string HttpConnection::ReadSome() const {
  std::array<char, 4096> chunk;
  const ssize_t count = recv(socket_, chunk.data(), chunk.size(), 0);
  if (count < 0 && errno != ECONNRESET) Fail("recv");
  return {chunk.data(), static_cast<size_t>(std::max<ssize_t>(count, 0))};
}

std::string HttpConnection::ReadToEnd() const {
  std::string bytes;
  std::array<char, 65536> chunk;
  while (true) {
    const ssize_t count = recv(socket_, chunk.data(), chunk.size(), 0);
    if (count == 0 || (count < 0 && errno == ECONNRESET)) return bytes;
    if (count < 0) Fail("recv");
    bytes.append(chunk.data(), static_cast<size_t>(count));
  }
}

bool HttpConnection::Readable(int milliseconds) const {
  pollfd polled{socket_, POLLIN, 0};
  return poll(&polled, 1, milliseconds) > 0;
}

HttpResponse Request(int port, const std::string& method,
                     const std::string& path,
                     const std::vector<std::string>& headers,
                     const std::string& body) {
  const HttpConnection connection(port);
  std::string request = method + " " + path +
                        " HTTP/1.1\r\nHost: localhost\r\n"
                        "Connection: close\r\n";
  for (const auto& header : headers) request += header + "\r\n";
  if (!body.empty()) {
    request += "Content-Length: " + std::to_string(body.size()) + "\r\n";
  }
  connection.Send(request + "\r\n" + body);
  const std::string bytes = connection.ReadToEnd();

  HttpResponse response;
  const size_t end = bytes.find("\r\n\r\n");
  if (end == bytes.npos || bytes.rfind("HTTP/1.1 ", 0) != 0) {
    throw std::runtime_error("not an HTTP response: " + bytes);
  }
  response.status = std::stoi(bytes.substr(9));
  response.body = bytes.substr(end + 4);
  std::istringstream lines(bytes.substr(0, end));
  for (std::string line; std::getline(lines, line);) {
    if (!line.empty() && line.back() == '\r') line.pop_back();
    const size_t colon = line.find(": ");
    if (colon == line.npos) continue;
    std::string name = line.substr(0, colon);
    std::transform(name.begin(), name.end(), name.begin(), [](char c) {
      return static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    });
    response.headers[name] = line.substr(colon + 2);
  }
  return response;
}

HttpResponse Get(int port, const std::string& path,
                 const std::vector<std::string>& headers) {
  return Request(port, "GET", path, headers);
}

std::string Gunzip(const std::string& packed) {
  z_stream stream{};
  if (inflateInit2(&stream, 15 + 16) != Z_OK) {
    throw std::runtime_error("zlib does not begin");
  }
  std::string input = packed;
  std::string text;
  std::array<char, 65536> chunk;
  stream.next_in = reinterpret_cast<Bytef*>(input.data());
  stream.avail_in = static_cast<uInt>(input.size());
  int state = Z_OK;
  while (state == Z_OK) {
    stream.next_out = reinterpret_cast<Bytef*>(chunk.data());
    stream.avail_out = static_cast<uInt>(chunk.size());
    state = inflate(&stream, Z_NO_FLUSH);
    text.append(chunk.data(), chunk.size() - stream.avail_out);
  }
  inflateEnd(&stream);
  if (state != Z_STREAM_END) throw std::runtime_error("not gzip");
  return text;
}

}  // namespace test
