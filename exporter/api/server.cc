// SPDX-License-Identifier: MIT
#include "exporter/api/server.h"

#include <algorithm>
#include <array>
#include <exception>
#include <map>
#include <optional>
#include <set>
#include <string_view>
#include <utility>

#include "exporter/api/request.h"
#include "exporter/api/strict_json.h"
#include "exporter/http_sockets.h"
#include "exporter/log.h"

namespace meshhook::api {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using Clock = std::chrono::steady_clock;

constexpr auto kJson = "application/json";
// What CivetWeb takes of request line and headers, so that what is a little too
// long can be told so.
constexpr int kMostRequest = 2 * kMostHead;
constexpr size_t kMostPath = 1024;
constexpr int kSpareThreads = 12;  // for those who are refused or slow to ask
constexpr auto kLook = milliseconds(500);  // whether a listener has hung up

}  // namespace

struct Server::Asked {
  mg_connection* connection;
  Clock::time_point at = Clock::now();
  std::string method = {};
  std::string path = {};
  std::string origin = {};
  const Operation* operation = nullptr;
  std::optional<Caller> caller = {};  // set once it may ask
  Json::Value arguments = {};
  bool whole = false;  // its body has been read
};

Server::Server(ServerOptions options, Conninfo conninfo)
    : options_(std::move(options)),
      keys_(options_.auth),
      authenticator_(keys_, options_.rules),
      pool_(std::move(conninfo), options_.pool),
      audit_(pool_),
      stream_(pool_, static_cast<size_t>(options_.listeners)),
      limiter_(options_.requests_per_second),
      listener_(
          {.addresses = options_.listen_addresses,
           .flag = "--api.listen-address",
           .threads = options_.pool.connections + options_.pool.waiting +
                      options_.listeners + kSpareThreads,
           .max_request_bytes = kMostRequest},
          [] {
            mg_callbacks callbacks{};
            callbacks.begin_request = &Server::RefuseMalformed;
            callbacks.http_error = &Server::AnswerMalformed;
            return callbacks;
          }(),
          &Server::Handle, this) {}

Server::~Server() { stream_.End(); }

void Server::Drain(pg::Deadline deadline) {
  stream_.End();
  listener_.AwaitIdle(deadline);
}

ServerStatistics Server::Statistics() const {
  return {.operations = book_.operations(),
          .audit_lost = audit_.lost(),
          .listeners = stream_.listeners()};
}

Server& Server::Of(const mg_connection* connection) {
  return *static_cast<Server*>(mg_get_user_data(mg_get_context(connection)));
}

// CivetWeb would read a body that nobody else does, for as long as its client
// likes to take: the negative result makes it hang up.
int Server::RefuseMalformed(mg_connection* connection) {
  constexpr int kGoOn = 0;
  constexpr int kHangUp = -1;
  const auto problem = FaultOf(connection);
  if (!problem) return kGoOn;
  auto& server = Of(connection);
  Asked asked{.connection = connection};
  asked.origin = Header(connection, "Origin");
  auto answer = server.Refusal(asked, *problem);
  MakeLast(connection, answer);
  Send(connection, answer, true);
  server.Note(asked, answer.status);
  return kHangUp;
}

// What CivetWeb itself refuses.
int Server::AnswerMalformed(mg_connection* connection, int status,
                            const char* /*message*/) {
  const Problem problem =
      status == 500 ? Problem(500, "internal error")
                    : Problem(400,
                              "no request of HTTP/1.1, or it did not come in "
                              "time, or its headers are longer than 16 KiB");
  auto answer = ProblemAnswer(problem);
  MakeLast(connection, answer);
  Send(connection, answer, true);
  Of(connection).book_.Add("none", answer.status, {});
  return 0;
}

int Server::Handle(mg_connection* connection, void* self) {
  auto& server = *static_cast<Server*>(self);
  Asked asked{.connection = connection};
  Answer answer{500, "", ""};
  try {
    try {
      answer = server.AnswerTo(asked);
      if (asked.operation != nullptr && asked.operation->id == "stream") {
        const auto listener = server.Listen(asked);
        return server.Serve(asked, *listener);
      }
    } catch (const Problem& problem) {
      answer = server.Refusal(asked, problem);
    } catch (const std::exception& error) {
      log::Error("an API request failed",
                 {{"path", asked.operation != nullptr ? asked.operation->path
                                                      : std::string()},
                  {"reason", server.pool_.conninfo().Redact(error.what())}});
      answer = server.Refusal(
          asked, Problem(500, "internal error; the operator's log says more"));
    }
    if (!asked.whole && mg_get_request_info(connection)->content_length > 0) {
      MakeLast(connection, answer);
    }
    Send(connection, answer, asked.method != "HEAD");
    server.Note(asked, answer.status);
  } catch (const std::exception& error) {
    log::Error("an API request failed", {{"reason", error.what()}});
  }
  return answer.status;
}

Answer Server::AnswerTo(Asked& asked) {
  const auto* request = mg_get_request_info(asked.connection);
  asked.method = request->request_method;
  asked.path = request->local_uri_raw == nullptr ? "" : request->local_uri_raw;
  asked.origin = Header(asked.connection, "Origin");
  if (asked.path.size() > kMostPath) {
    throw Problem(414, "the path is longer than 1024 bytes");
  }
  const auto match =
      contract_.Find(asked.method == "HEAD" ? "GET" : asked.method, asked.path);
  if (match.methods.empty()) {
    throw Problem(404,
                  "there is nothing here; /api/openapi.json says what "
                  "there is");
  }
  if (asked.method == "OPTIONS") return Preflight(asked);
  if (match.operation == nullptr) {
    throw Problem(405, "there are here " + match.methods);
  }
  asked.operation = match.operation;
  if (!asked.operation->public_) {
    auto caller = WhoAsks(asked);
    if (const int wait = limiter_.SecondsToWait(caller.subject, Clock::now());
        wait > 0) {
      throw Problem::Passing(429, "this caller asks too often", wait);
    }
    asked.caller = std::move(caller);
  }
  const auto content_type = OnlyHeader(asked.connection, "Content-Type");
  const auto body = ReadBody(asked.connection);
  asked.whole = true;
  asked.arguments = Arguments(
      *asked.operation,
      {.path_values = match.path_values,
       .query = request->query_string == nullptr ? "" : request->query_string,
       .content_type = content_type,
       .body = body},
      contract_);
  return AnswerFrom(asked);
}

Answer Server::AnswerFrom(const Asked& asked) {
  Answer answer{200, kJson, ""};
  if (asked.operation->public_) {
    answer.body = contract_.text();
  } else if (asked.operation->id != "stream") {
    auto body = pool_.AsCaller(
        *asked.caller,
        {.query = {"SELECT " + asked.operation->function + "($1)",
                   {ToLine(asked.arguments, 15)}},
         .writes = asked.operation->method != "GET"});
    if (!body) throw Problem(404, "there is no such thing here");
    if (asked.operation->has_answer) {
      answer.body = *std::move(body);
    } else {
      answer = {204, "", ""};
    }
  }
  AddCors(asked, answer);
  return answer;
}

Caller Server::WhoAsks(const Asked& asked) {
  try {
    return authenticator_.Authenticate(
        OnlyHeader(asked.connection, "Authorization"));
  } catch (const TokenError& error) {
    log::Debug("a token was refused", {{"reason", error.what()}});
    if (error.why() == TokenError::Why::kUnavailable) {
      throw Problem::Passing(
          503, "the keys that tokens are signed with cannot be read now", 5);
    }
    throw Problem(401, error.why() == TokenError::Why::kMissing
                           ? "send Authorization: Bearer with a token"
                           : "the token is not valid, or no longer; get a new "
                             "one");
  }
}

Answer Server::Refusal(const Asked& asked, const Problem& problem) const {
  auto answer = ProblemAnswer(problem);
  if (problem.status() == 401) {
    answer.headers.emplace_back("WWW-Authenticate", "Bearer");
  }
  if (problem.status() == 405) {
    answer.headers.emplace_back("Allow",
                                contract_.Find("", asked.path).methods);
  }
  AddCors(asked, answer);
  return answer;
}

Answer Server::Preflight(const Asked& asked) const {
  const auto methods = contract_.Find("", asked.path).methods;
  Answer answer{204, "", "", {{"Allow", methods}}};
  AddCors(asked, answer);
  if (answer.headers.size() > 1) {  // one of those origins
    answer.headers.emplace_back("Access-Control-Allow-Methods", methods);
    answer.headers.emplace_back("Access-Control-Allow-Headers",
                                "Authorization, Content-Type");
    answer.headers.emplace_back("Access-Control-Max-Age", "600");
  }
  return answer;
}

void Server::AddCors(const Asked& asked, Answer& answer) const {
  const auto& origins = options_.cors_origins;
  if (std::find(origins.begin(), origins.end(), asked.origin) ==
      origins.end()) {
    return;
  }
  answer.headers.emplace_back("Access-Control-Allow-Origin", asked.origin);
  answer.headers.emplace_back("Access-Control-Expose-Headers", "Retry-After");
}

std::shared_ptr<Stream::Listener> Server::Listen(const Asked& asked) {
  const auto answer = pool_.AsCaller(
      *asked.caller, {.query = {"SELECT metrics.api_projects()", {}}});
  std::optional<std::set<std::string>> projects;
  if (const auto listed = answer ? ParseJson(*answer) : std::nullopt) {
    projects.emplace();
    for (const auto& project : *listed) projects->insert(project.asString());
  } else if (asked.caller->role != "service_role") {
    projects.emplace();  // none, rather than all
  }
  return stream_.Listen(asked.caller->subject, std::move(projects));
}

int Server::Serve(Asked& asked, Stream::Listener& listener) {
  Answer answer{200, "text/event-stream", ""};
  AddCors(asked, answer);
  MakeLast(asked.connection, answer);
  Note(asked, answer.status);
  const auto send = [&asked](const std::string& text) {
    return mg_write(asked.connection, text.data(), text.size()) > 0;
  };
  if (!send(Head(answer) + "\r\n\r\n") || asked.method == "HEAD" ||
      !send("event: ready\ndata: {}\n\n")) {
    return answer.status;
  }
  const int socket = ClientSocket(asked.connection);
  const auto valid = std::chrono::duration_cast<Clock::duration>(
      asked.caller->expires - std::chrono::system_clock::now());
  const auto end =
      Clock::now() + std::min<Clock::duration>(options_.stream_life, valid);
  auto heartbeat = Clock::now() + options_.heartbeat;
  while (Clock::now() < end && !HungUp(socket)) {
    const auto changes =
        listener.Next(std::min({end, heartbeat, Clock::now() + kLook}));
    if (!changes) break;
    std::string text;
    for (const auto& change : *changes) {
      text += "event: change\ndata: " + change + "\n\n";
    }
    if (text.empty() && Clock::now() >= heartbeat) text = ": alive\n\n";
    if (text.empty()) continue;
    if (!send(text)) return answer.status;
    heartbeat = Clock::now() + options_.heartbeat;
  }
  send("event: end\ndata: {}\n\n");
  return answer.status;
}

void Server::Note(const Asked& asked, int status) {
  const auto took = std::chrono::duration_cast<std::chrono::microseconds>(
      Clock::now() - asked.at);
  book_.Add(asked.operation == nullptr ? "none" : asked.operation->id, status,
            took);
  if (!asked.caller) return;
  std::string scope;
  for (const auto* name : {"project_id", "workflow_id", "threshold_id"}) {
    if (!asked.arguments.isMember(name)) continue;
    scope += (scope.empty() ? "" : " ") + std::string(name) + "=" +
             asked.arguments[name].asString();
  }
  audit_.Note({.at = std::chrono::system_clock::now() - took,
               .subject = asked.caller->subject,
               .role = asked.caller->role,
               .method = asked.method,
               .endpoint = asked.operation->path,
               .scope = std::move(scope),
               .status = status,
               .took = took});
}

}  // namespace meshhook::api
