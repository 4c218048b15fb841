// SPDX-License-Identifier: MIT
// What the exporter's role does in a database, as the server sees it.
#pragma once

#include <string>

#include "tests/support/database.h"

namespace test {

inline std::string CountSessions(const std::string& condition) {
  return "SELECT count(*) FROM pg_stat_activity "
         "WHERE usename = 'meshhook_exporter' "
         "AND datname = current_database() AND " +
         condition;
}

inline long Sessions(Database& db) {
  return std::stol(db.Exec(CountSessions("true"), kSuperuser));
}

// Those that sleep in a query.
inline long Sleeping(Database& db) {
  return std::stol(
      db.Exec(CountSessions("state = 'active' AND wait_event = 'PgSleep'"),
              kSuperuser));
}

// Those that do anything at all.
inline long Busy(Database& db) {
  return std::stol(
      db.Exec(CountSessions("state IS DISTINCT FROM 'idle'"), kSuperuser));
}

}  // namespace test
