// SPDX-License-Identifier: MIT
// The slow lane: collectors with an interval, and every collector of the
// server's other databases where the exporter was told to discover them. Their
// last answers stand on a shelf, so that nothing slow delays a scrape.
#pragma once

#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "exporter/session.h"

namespace meshhook {

struct DatabaseOptions {
  bool discover = false;
  // Names, or patterns with * and ?; of the others only.
  std::vector<std::string> include = {};  // none: all
  std::vector<std::string> exclude = {};
  int connections = 2;  // most sessions with the others at a time
  // They are asked no more often than this.
  std::chrono::milliseconds interval{0};
  std::vector<std::string> excluded_schemas = {};  // names or patterns
};

// The regular expression for names that one of the patterns fits.
std::string RegexOf(const std::vector<std::string>& patterns);

// What one database answered.
struct Part {
  std::string database;  // "": the given one
  Answers answers;
};

// Start(), started() and Shelf() are thread-safe; AskDue() is for one thread,
// and for none where it was started.
class Background {
 public:
  // The list and the costs must outlive it.
  Background(const Conninfo& conninfo, const std::vector<Collector>& collectors,
             const DatabaseOptions& options, Costs& costs);
  // Ends what it is at.
  ~Background();
  Background(const Background&) = delete;
  Background& operator=(const Background&) = delete;

  // Asks from now on in a thread of its own, each database for so long at most.
  void Start(std::chrono::milliseconds timeout);
  bool started() const { return thread_.joinable(); }

  // Asks what is due: the given database, and one after another the others,
  // each for so long at most and all until then.
  void AskDue(std::chrono::milliseconds timeout, pg::Deadline last);

  // The last answer of each collector in each database.
  std::vector<Part> Shelf() const;

 private:
  void Loop(std::chrono::milliseconds timeout);
  void AskGiven(pg::Deadline deadline);
  void AskOther(const std::string& name, Session& session,
                pg::Deadline deadline);
  // Finds what databases there are.
  void Discover(pg::Deadline deadline);
  void Put(const std::string& database, Answers answers);
  pg::Clock::time_point NextDue() const;

  const Conninfo conninfo_;
  const std::vector<Collector>& collectors_;
  const DatabaseOptions options_;
  const std::string excluded_schemas_;
  Costs& costs_;
  pg::Stop stop_;

  // Touched only by the one thread that asks.
  Session given_;
  std::map<std::string, Session> others_;
  pg::Clock::time_point discover_at_{};

  mutable std::mutex mutex_;
  std::map<std::string, Answers> shelf_;  // by database; "": the given one
  std::thread thread_;
};

}  // namespace meshhook
