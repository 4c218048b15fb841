// SPDX-License-Identifier: MIT
// The SQL of the data layer, and putting it into a database.
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "exporter/conninfo.h"
#include "exporter/turns.h"

namespace meshhook {

struct Migration {
  std::string name;  // 0001_roles.sql
  std::string sql;

  // The number its name begins with.
  int version() const { return std::stoi(name.substr(0, 4)); }
};

// Those built into this program, in order.
const std::vector<Migration>& EmbeddedMigrations();

// Those of a directory, in order. Throws UsageError when one cannot be read or
// the numbers do not run 1, 2, 3, …
std::vector<Migration> ReadMigrations(const std::string& directory);

// Throws UsageError where a newer program than one with that many migrations
// has been at work.
void RequireNotNewer(pg::Connection& connection, size_t migrations);

// Applies what is missing, each file in a transaction of its own, and records
// it with its checksum. Safe to repeat, to run twice at once and to run under
// load: a lock on one of MeshHook's tables is waited for in short tries, for
// `patience` in all. Throws UsageError for a file that was edited after it was
// applied, a database newer than this program, or one that is not MeshHook's;
// pg::Error for what the server refused.
void Migrate(const Conninfo& conninfo, const std::vector<Migration>& migrations,
             std::chrono::seconds patience, const Progress& progress);

// Brings in the runs that finished before the data layer was there. Can be
// interrupted and repeated. Throws pg::Error.
void Backfill(const Conninfo& conninfo, const Progress& progress);

// The same as Migrate() on an empty database, as a script for psql.
std::string MigrationScript(const std::vector<Migration>& migrations);

}  // namespace meshhook
