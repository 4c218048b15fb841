// SPDX-License-Identifier: MIT
// The database that the exporter was given, and the others of its server where
// it was told to discover them.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "exporter/backoff.h"
#include "exporter/session.h"

namespace meshhook {

struct DatabaseOptions {
  bool discover = false;
  // Names, or patterns with * and ?; of the others only.
  std::vector<std::string> include = {};  // none: all
  std::vector<std::string> exclude = {};
  int connections = 2;  // most sessions with the others at a time
  std::vector<std::string> excluded_schemas = {};  // names or patterns
};

// The regular expression for names that one of the patterns fits.
std::string RegexOf(const std::vector<std::string>& patterns);

// What one database answered.
struct Part {
  Session* session;
  std::string database;
  // For each collector that was asked there, by its place in the list.
  std::map<size_t, Answer> answers;
};

// Not thread-safe.
class Databases {
 public:
  Databases(const Conninfo& conninfo, DatabaseOptions options,
            const pg::Interrupt* interrupt);

  // Asks the given database for every collector, and then one after another
  // the others for those that every database has. The first part is the given
  // one's; a database that was dropped in the meantime has none. Throws
  // pg::Error when the given one does not answer; then it is left alone for a
  // while, unless `again`.
  std::vector<Part> Ask(const std::vector<Collector>& collectors,
                        pg::Deadline deadline, bool again);

  // Looks anew what the databases have when next asked.
  void Forget();

 private:
  std::vector<Part> AskAll(const std::vector<Collector>& collectors,
                           pg::Deadline deadline);
  void AskOthers(const std::vector<std::string>& names,
                 const std::vector<Collector>& collectors,
                 pg::Deadline deadline, std::vector<Part>& parts);

  const Conninfo conninfo_;
  const DatabaseOptions options_;
  const std::string excluded_schemas_;
  const Collector discovery_;
  const pg::Interrupt* const interrupt_;
  Session given_;
  std::map<std::string, Session> others_;
  Backoff backoff_;
  std::optional<pg::Error> unreachable_;
};

}  // namespace meshhook
