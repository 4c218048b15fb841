// SPDX-License-Identifier: MIT
// One database in one lane: the session, the collectors that are asked there
// and when, what the server is, which of them have nothing to read there or
// cannot, and which of their rows have series.
#pragma once

#include <chrono>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "exporter/backoff.h"
#include "exporter/collector.h"
#include "exporter/conninfo.h"
#include "exporter/costs.h"
#include "exporter/pg.h"
#include "exporter/selection.h"
#include "exporter/server.h"

namespace meshhook {

// What a collector read, and which of it has series.
struct Rows {
  pg::Result result;
  Choice choice;
};

// What one collector got.
struct Answer {
  std::variant<std::shared_ptr<const Rows>, pg::Error> value;
  bool silent = false;  // nothing to read there: the Error says what is absent
  std::chrono::nanoseconds took{0};
  size_t bytes = 0;
  pg::Clock::time_point at{};  // when it was asked
};

// By the collector's place in the list.
using Answers = std::map<size_t, Answer>;

struct SessionOptions {
  std::string excluded_schemas = {};  // a regular expression
  // No collector is asked more often than this.
  std::chrono::milliseconds interval{0};
  // Those of the list that are asked here; null: all.
  bool (*asks)(const Collector& collector) = nullptr;
};

// Opened when first asked, and again after it broke: soon at first, then ever
// more rarely. Not thread-safe.
class Session {
 public:
  // The list, the costs and the interrupt must outlive it.
  Session(Conninfo conninfo, const std::vector<Collector>& collectors,
          SessionOptions options, Costs& costs,
          const pg::Interrupt* interrupt = nullptr);

  // Runs the queries of those that are due, in one round trip. Now and then it
  // looks anew what the server has. Throws pg::Error when there is no session,
  // at once while it is not yet time to try again, unless `again`; or when it
  // gave no answer at all.
  Answers Ask(pg::Deadline deadline, bool again = false);

  // What each got where Ask() threw this.
  Answers Failed(const pg::Error& error);

  // Any other query, guarded as theirs are. Throws pg::Error, and where the
  // session was never asked.
  pg::Result Run(const pg::Query& query, pg::Deadline deadline);

  // When there is something to ask; the distant future where there never is.
  pg::Clock::time_point NextDue() const;

  bool open() const { return connection_ && connection_->open(); }
  void Close() { connection_.reset(); }
  // As it was found last.
  const Server& server() const { return server_; }
  // Round trips that the last Ask() made; connecting is not counted.
  int round_trips() const { return round_trips_; }

 private:
  // A collector, and what is known of it here.
  static constexpr std::chrono::milliseconds kFirstBar{5000};
  static constexpr std::chrono::milliseconds kMostBar{60000};
  struct Asked {
    size_t place;  // in the list
    const Collector* collector;
    // Or why there is none, until the server is looked at anew.
    std::variant<pg::Query, pg::Error> statement = pg::Query{};
    bool silent = false;  // nothing to read there: the Error says what
    // It took more time or memory than it may when it was last asked, and is
    // not asked again until then.
    bool dear = false;
    Backoff bar{kMostBar, kFirstBar};
    std::optional<pg::Error> barred_for = {};
    pg::Clock::time_point due{};
    Selection selection = {};
  };

  Answers AskOnce(pg::Deadline deadline);
  // Those to be asked now; the dear ones last, to keep nobody else waiting.
  std::vector<Asked*> Due();
  std::vector<pg::Outcome> Fly(const std::vector<pg::Query>& queries,
                               pg::Deadline deadline);
  Answer AnswerOf(Asked& asked, pg::Outcome& outcome);
  Answer Refusal(Asked& asked, const pg::Error& error);
  bool Interrupted() const {
    return interrupt_ != nullptr && interrupt_->fired();
  }
  // Until it is asked again, after that error or an answer.
  std::chrono::milliseconds IntervalOf(const Asked& asked,
                                       const pg::Error* error) const;
  // The queries that tell what the server is and has, and what to make of
  // their outcomes. Throws pg::Error when those hold none.
  std::vector<pg::Query> Questions() const;
  void Learn(const pg::Outcome* outcomes);
  void LearnServer(const pg::Result& version, const pg::Result& extensions);
  void Prepare(Asked& asked, const pg::Outcome* needs);

  const Conninfo conninfo_;
  const SessionOptions options_;
  Costs& costs_;
  const pg::Interrupt* const interrupt_;
  std::optional<pg::Connection> connection_;
  Backoff backoff_;
  std::optional<pg::Error> unreachable_;
  int round_trips_ = 0;
  Server server_;
  std::optional<pg::Clock::time_point> learned_at_;
  std::vector<Asked> asked_;
};

}  // namespace meshhook
