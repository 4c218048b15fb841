// SPDX-License-Identifier: MIT
// Calls functions of the database as whoever asks, over a few sessions that
// serve all.
#pragma once

#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "exporter/api/sharing.h"
#include "exporter/api/token.h"
#include "exporter/backoff.h"
#include "exporter/conninfo.h"
#include "exporter/pg.h"

namespace meshhook::api {

struct PoolOptions {
  int connections = 4;  // for callers
  int waiting = 64;     // callers that may wait for one of them
};

// Thread-safe. Every call is a transaction of its own, in which alone the role
// and the claims are set, so the next call on the session finds nothing of it.
// No subject has more than half of the sessions at a time, and the same
// question of the same token is asked once for all who ask it at the same time.
class Pool {
 public:
  // Opens sessions as they are needed.
  Pool(Conninfo conninfo, PoolOptions options);

  struct Call {
    pg::Query query;  // that gives one value
    bool writes = false;
  };
  // The value as text; nullopt for NULL. Throws Problem: what the function says
  // to its caller, or 503 where the database is away, too slow or has too many
  // calls already. Anything else is a pg::Error.
  std::optional<std::string> AsCaller(const Caller& caller, const Call& call);
  // The same with the rights of the login itself. This and the next are for the
  // API's own threads: they have sessions beside those for callers, so that
  // neither waits for the other.
  std::optional<std::string> AsLogin(const Call& call);
  // The same as an operator.
  std::optional<std::string> AsOperator(const Call& call);

  // Taken out of messages for the log.
  const Conninfo& conninfo() const { return conninfo_; }

 private:
  using Settings = std::vector<std::pair<std::string, std::string>>;
  using Session = std::unique_ptr<pg::Connection>;
  class Borrowed;

  // `subject` is who it is for; "" is the API itself.
  std::optional<std::string> Run(const Call& call, const std::string& subject,
                                 Settings settings);
  Session Open();
  void NoteAway(const pg::Error& error);

  const Conninfo conninfo_;
  const PoolOptions options_;

  std::mutex mutex_;
  std::condition_variable returned_;
  std::vector<Session> idle_;  // the last used at the end
  int busy_ = 0;               // with callers
  int waiting_ = 0;            // callers
  // Of those, by subject; one that has none of them is not here.
  struct Share {
    int busy = 0;
    int waiting = 0;
  };
  std::map<std::string, Share> shares_;
  Backoff backoff_;  // of connecting
  bool away_ = false;
  Sharing sharing_;
};

}  // namespace meshhook::api
