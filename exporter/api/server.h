// SPDX-License-Identifier: MIT
// The API's HTTP server: who asks, what for, and an answer. On a port of its
// own, so that no tenant reaches the metrics or takes a scrape's thread.
#pragma once

#include <civetweb.h>

#include <chrono>
#include <cstddef>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "exporter/api/audit.h"
#include "exporter/api/authenticator.h"
#include "exporter/api/contract.h"
#include "exporter/api/exchange.h"
#include "exporter/api/limiter.h"
#include "exporter/api/pool.h"
#include "exporter/api/problem.h"
#include "exporter/api/statistics.h"
#include "exporter/api/stream.h"
#include "exporter/conninfo.h"
#include "exporter/listener.h"

namespace meshhook::api {

struct ServerOptions {
  std::vector<std::string> listen_addresses;  // none: there is no API
  AuthOptions auth;
  TokenRules rules{.audience = "authenticated", .issuer = ""};
  std::vector<std::string> cors_origins;
  double requests_per_second = 20;  // of one subject
  int listeners = 64;               // of the stream
  PoolOptions pool;
  // Of a stream; its caller's projects are looked up anew with the next one.
  std::chrono::milliseconds stream_life = std::chrono::minutes(5);
  // Of a stream on which nothing else is sent.
  std::chrono::milliseconds heartbeat = std::chrono::seconds(15);
};

// Serves from its own threads until it is destroyed. A request that throws is
// answered; nothing escapes into CivetWeb.
class Server {
 public:
  // Throws UsageError: an address or a file of keys is of no use.
  Server(ServerOptions options, Conninfo conninfo);
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  std::vector<int> Ports() const { return listener_.Ports(); }
  // For the metrics.
  ServerStatistics Statistics() const;

  // Ends all streams, and returns when no request is being answered, or at the
  // deadline.
  void Drain(pg::Deadline deadline);

 private:
  struct Asked;  // one request under way

  static int Handle(mg_connection* connection, void* self);
  static Server& Of(const mg_connection* connection);
  static int RefuseMalformed(mg_connection* connection);
  static int AnswerMalformed(mg_connection* connection, int status,
                             const char* message);

  // What is refused is thrown as a Problem.
  Answer AnswerTo(Asked& asked);
  Answer AnswerFrom(const Asked& asked);
  Answer Preflight(const Asked& asked) const;
  Answer Refusal(const Asked& asked, const Problem& problem) const;
  Caller WhoAsks(const Asked& asked);
  // Writes events until the client, the token or the server has had enough.
  int Serve(Asked& asked, Stream::Listener& listener);
  std::shared_ptr<Stream::Listener> Listen(const Asked& asked);
  void AddCors(const Asked& asked, Answer& answer) const;
  void Note(const Asked& asked, int status);

  const ServerOptions options_;
  const Contract& contract_ = Contract::Own();
  KeySource keys_;
  Authenticator authenticator_;
  Pool pool_;
  Audit audit_;
  Stream stream_;
  Limiter limiter_;
  StatisticsBook book_;
  Listener listener_;  // the last, as its threads use the rest
};

}  // namespace meshhook::api
