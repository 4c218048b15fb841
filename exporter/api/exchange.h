// SPDX-License-Identifier: MIT
// What passes over a connection of the API: those parts of a request that must
// be read with care, and the answer.
#pragma once

#include <civetweb.h>

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "exporter/api/problem.h"

namespace meshhook::api {

inline constexpr size_t kMostHead = 16u << 10;  // bytes of line and headers

// What is sent to a client.
struct Answer {
  int status;
  std::string content_type;  // "": no body
  std::string body;
  std::vector<std::pair<std::string, std::string>> headers = {};
};

Answer ProblemAnswer(const Problem& problem);

// The status line and the headers, without their end.
std::string Head(const Answer& answer);

void Send(mg_connection* connection, const Answer& answer, bool with_body);

// Nothing is read from the connection after this answer.
void MakeLast(mg_connection* connection, Answer& answer);

// "" where it is not there; throws Problem where it is there twice, as nobody
// can know which one counts.
std::string OnlyHeader(const mg_connection* connection, const char* name);

// What is wrong with a request before anything else of it is looked at: it is
// not clear where it ends, or it is too long.
std::optional<Problem> FaultOf(const mg_connection* connection);

// The body of a request without such a fault. Throws Problem where it does not
// come in time.
std::string ReadBody(mg_connection* connection);

// Whether the client at the other end has closed its side.
bool HungUp(int socket);

}  // namespace meshhook::api
