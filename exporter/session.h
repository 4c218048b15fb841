// SPDX-License-Identifier: MIT
// One database as the exporter sees it: the session, what the server is, which
// collectors have nothing to read there or cannot, and which of their rows
// have series.
#pragma once

#include <chrono>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "exporter/collector.h"
#include "exporter/conninfo.h"
#include "exporter/pg.h"
#include "exporter/selection.h"
#include "exporter/server.h"

namespace meshhook {

// What one collector got.
struct Answer {
  std::variant<std::shared_ptr<const pg::Result>, pg::Error> value;
  bool silent = false;  // nothing to read there: the Error says what is absent
  std::chrono::nanoseconds took{0};
  pg::Clock::time_point at{};  // when it was asked
};

// Opened when first asked, and again after it broke. Not thread-safe.
class Session {
 public:
  Session(Conninfo conninfo, std::string excluded_schemas,
          const pg::Interrupt* interrupt);

  // Runs the collectors' queries in one round trip; an answer for each, in
  // order. Now and then looks anew what the server has. Throws pg::Error, and
  // is closed, when there is no session or it gave no answer at all.
  std::vector<Answer> Ask(const std::vector<const Collector*>& collectors,
                          pg::Deadline deadline);

  // Any other query, guarded as theirs are. Throws pg::Error, and where the
  // session was never asked.
  pg::Result Run(const pg::Query& query, pg::Deadline deadline);

  // The rows of an answer that have series.
  Choice Choose(const Collector& collector, const pg::Result& rows);

  bool open() const { return connection_ && connection_->open(); }
  void Close() { connection_.reset(); }
  // Looks anew what the server has when next asked, and asks for everything.
  void Forget();
  // As it was found last.
  const Server& server() const { return server_; }

 private:
  std::vector<Answer> AskOnce(const std::vector<const Collector*>& collectors,
                              pg::Deadline deadline);
  void Learn(const std::vector<const Collector*>& collectors,
             pg::Deadline deadline);
  void LearnServer(const pg::Result& version, const pg::Result& extensions);
  void LearnNeeds(const Collector& collector, const pg::Outcome& outcome);
  // Its last answer, if it is not yet time to ask again.
  const Answer* Kept(const Collector& collector) const;

  const Conninfo conninfo_;
  const std::string excluded_schemas_;
  const pg::Interrupt* const interrupt_;
  std::optional<pg::Connection> connection_;
  Server server_;
  std::optional<pg::Clock::time_point> learned_at_;
  // By collector, until the server is looked at anew.
  std::map<std::string, std::string> absent_;    // what it needs
  std::map<std::string, pg::Error> impossible_;  // until the database changes
  std::map<std::string, Selection> selections_;
  std::map<std::string, Answer> kept_;  // of those with an interval
};

}  // namespace meshhook
