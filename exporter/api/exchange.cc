// SPDX-License-Identifier: MIT
#include "exporter/api/exchange.h"

#include <poll.h>

#include <chrono>
#include <cstring>
#include <string_view>

#include "exporter/api/request.h"
#include "exporter/listener.h"

namespace meshhook::api {
namespace {

using Clock = std::chrono::steady_clock;

constexpr auto kBodyTime = std::chrono::seconds(3);  // for all of it
constexpr auto kAnswerTime = std::chrono::seconds(3);
constexpr size_t kPiece = 4096;  // what a client that reads slowly holds up

bool IsLength(std::string_view text) {
  return !text.empty() && text.size() < 16 &&
         text.find_first_not_of("0123456789") == text.npos;
}

}  // namespace

Answer ProblemAnswer(const Problem& problem) {
  Answer answer{problem.status(), "application/problem+json", ToText(problem)};
  if (problem.retry_after() > 0) {
    answer.headers.emplace_back("Retry-After",
                                std::to_string(problem.retry_after()));
  }
  return answer;
}

// Written here because CivetWeb's own way to write a header makes its Date with
// gmtime(), which threads must not share.
std::string Head(const Answer& answer) {
  std::string head = "HTTP/1.1 " + std::to_string(answer.status) + " " +
                     StatusText(answer.status);
  const auto add = [&head](std::string_view name, std::string_view value) {
    head.append("\r\n").append(name).append(": ").append(value);
  };
  if (!answer.content_type.empty()) add("Content-Type", answer.content_type);
  add("Cache-Control", "no-store");
  add("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'");
  add("Cross-Origin-Resource-Policy", "same-origin");
  add("Referrer-Policy", "no-referrer");
  add("Vary", "Origin, Authorization");
  add("X-Content-Type-Options", "nosniff");
  for (const auto& [name, value] : answer.headers) add(name, value);
  return head;
}

void Send(mg_connection* connection, const Answer& answer, bool with_body) {
  std::string text = Head(answer);
  if (answer.status != 204) {
    text += "\r\nContent-Length: " + std::to_string(answer.body.size());
  }
  text += "\r\n\r\n";
  if (with_body) text += answer.body;
  // In pieces, as CivetWeb waits anew whenever a client takes a little.
  const auto deadline = Clock::now() + kAnswerTime;
  std::string_view rest = text;
  while (!rest.empty()) {
    const auto piece = rest.substr(0, kPiece);
    if (Clock::now() > deadline ||
        mg_write(connection, piece.data(), piece.size()) <= 0) {
      mg_disable_connection_keep_alive(connection);
      return;
    }
    rest.remove_prefix(piece.size());
  }
}

void MakeLast(mg_connection* connection, Answer& answer) {
  mg_disable_connection_keep_alive(connection);
  answer.headers.emplace_back("Connection", "close");
}

std::string OnlyHeader(const mg_connection* connection, const char* name) {
  const auto* request = mg_get_request_info(connection);
  std::string value;
  int count = 0;
  for (int i = 0; i < request->num_headers; ++i) {
    const auto& header = request->http_headers[i];
    if (mg_strcasecmp(header.name, name) != 0) continue;
    value = header.value;
    ++count;
  }
  if (count > 1) {
    throw Problem(400, "the header " + std::string(name) + " is there twice");
  }
  return value;
}

// Where a proxy in front and this server could differ on where a request ends,
// one tenant's body could be the next one's request.
std::optional<Problem> FaultOf(const mg_connection* connection) {
  const auto* request = mg_get_request_info(connection);
  if (mg_get_header(connection, "Transfer-Encoding") != nullptr) {
    return Problem(411, "send the body with its Content-Length");
  }
  size_t size = std::strlen(request->request_uri);
  int lengths = 0;
  for (int i = 0; i < request->num_headers; ++i) {
    const auto& header = request->http_headers[i];
    size += std::strlen(header.name) + std::strlen(header.value);
    if (mg_strcasecmp(header.name, "Content-Length") != 0) continue;
    if (++lengths > 1 || !IsLength(header.value)) {
      return Problem(400, "the Content-Length is not one number");
    }
  }
  if (size > kMostHead) {
    return Problem(431, "request line and headers are longer than 16 KiB");
  }
  if (request->content_length > static_cast<long long>(kMostBody)) {
    return Problem(413, "the body is longer than 16 KiB");
  }
  return std::nullopt;
}

std::string ReadBody(mg_connection* connection) {
  const auto announced = mg_get_request_info(connection)->content_length;
  std::string body(announced > 0 ? static_cast<size_t>(announced) : 0, '\0');
  if (!body.empty() && mg_strcasecmp(Header(connection, "Expect").c_str(),
                                     "100-continue") == 0) {
    constexpr std::string_view kGoOn = "HTTP/1.1 100 Continue\r\n\r\n";
    mg_write(connection, kGoOn.data(), kGoOn.size());
  }
  const auto deadline = Clock::now() + kBodyTime;
  // One at a time, as CivetWeb waits for all that it is asked for, however
  // slowly it comes.
  for (char& byte : body) {
    if (Clock::now() > deadline || mg_read(connection, &byte, 1) != 1) {
      throw Problem(408, "the body did not come in time");
    }
  }
  return body;
}

bool HungUp(int socket) {
  pollfd polled{socket, POLLRDHUP, 0};
  return socket >= 0 && poll(&polled, 1, 0) > 0;
}

}  // namespace meshhook::api
