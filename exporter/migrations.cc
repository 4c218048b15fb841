// SPDX-License-Identifier: MIT
#include "exporter/migrations.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "exporter/errors.h"
#include "exporter/pg.h"
#include "exporter/turns.h"

namespace meshhook {
namespace {

using namespace std::chrono_literals;
namespace fs = std::filesystem;

constexpr auto kBootstrap =
    "CREATE SCHEMA IF NOT EXISTS metrics;\n"
    "CREATE TABLE IF NOT EXISTS metrics.schema_migrations (\n"
    "    version    int         PRIMARY KEY,\n"
    "    name       text        NOT NULL,\n"
    "    checksum   text        NOT NULL,\n"
    "    applied_at timestamptz NOT NULL DEFAULT now());\n";

std::string Literal(const std::string& text) {
  std::string quoted = "'";
  for (const char c : text) quoted += c == '\'' ? "''" : std::string(1, c);
  return quoted + "'";
}

void RequireMeshHook(pg::Connection& connection) {
  const auto found = connection.Execute(
      {"SELECT to_regclass('public.workflow_runs') IS NOT NULL, "
       "to_regnamespace('metrics') IS NOT NULL, "
       "to_regclass('metrics.schema_migrations') IS NOT NULL, "
       "pg_is_in_recovery(), current_user, "
       "(SELECT pg_get_userbyid(relowner) FROM pg_class "
       "WHERE oid = to_regclass('public.workflow_runs') "
       "AND NOT pg_has_role(relowner, 'USAGE'))",
       {}},
      Soon());
  if (found.Text(0, 3) == "t") {
    throw UsageError("this server is a standby, which cannot be changed",
                     "connect to the primary");
  }
  if (found.Text(0, 0) != "t") {
    throw UsageError(
        "there is no table public.workflow_runs in database \"" +
            connection.database() + "\"",
        "check the database name in the URL: it must be MeshHook's own");
  }
  if (const auto owner = found.Text(0, 5); !owner.empty()) {
    throw UsageError(
        "role \"" + found.Text(0, 4) + "\" does not own public.workflow_runs",
        "connect as its owner, " + owner);
  }
  if (found.Text(0, 1) == "t" && found.Text(0, 2) != "t") {
    throw UsageError("schema metrics exists and was not made by this program",
                     "rename or drop it: ALTER SCHEMA metrics RENAME TO …");
  }
}

enum class State { kMissing, kApplied };

State StateOf(pg::Connection& connection, const Migration& migration) {
  const auto known = connection.Execute(
      {"SELECT checksum = encode(sha256(convert_to($2, 'UTF8')), 'hex') "
       "FROM metrics.schema_migrations WHERE version = $1",
       {std::to_string(migration.version()), migration.sql}},
      Soon());
  if (known.rows() == 0) return State::kMissing;
  if (known.Text(0, 0) != "t") {
    throw UsageError(
        "migration " + migration.name + " was edited after it was applied",
        "restore the file as it was, and put the change into a new migration");
  }
  return State::kApplied;
}

// True when it was applied, false when it had been already.
bool TryApply(pg::Connection& connection, const Migration& migration) {
  connection.Script(kBeginTurn, Soon());
  if (StateOf(connection, migration) == State::kApplied) {
    connection.Script("ROLLBACK", Soon());
    return false;
  }
  connection.Script(migration.sql, Soon());
  connection.Execute(
      {"INSERT INTO metrics.schema_migrations (version, name, checksum) "
       "VALUES ($1, $2, encode(sha256(convert_to($3, 'UTF8')), 'hex'))",
       {std::to_string(migration.version()), migration.name, migration.sql}},
      Soon());
  connection.Script("COMMIT", Soon());
  return true;
}

bool Apply(pg::Connection& connection, const Migration& migration,
           std::chrono::seconds patience, const Progress& progress) {
  bool applied = false;
  InShortTries(connection, migration.name, "migrate", patience, progress,
               [&] { applied = TryApply(connection, migration); });
  return applied;
}

pg::Connection Connect(const Conninfo& conninfo) {
  return pg::Connection::Open(conninfo, pg::Clock::now() + 15s);
}

}  // namespace

std::vector<Migration> ReadMigrations(const std::string& directory) {
  std::error_code error;
  std::vector<fs::path> paths;
  for (const auto& entry : fs::directory_iterator(directory, error)) {
    if (entry.path().extension() == ".sql") paths.push_back(entry.path());
  }
  if (error || paths.empty()) {
    throw UsageError("there are no migrations in " + directory,
                     "name the folder that holds 0001_….sql");
  }
  std::sort(paths.begin(), paths.end());

  std::vector<Migration> migrations;
  for (const auto& path : paths) {
    const std::string name = path.filename();
    const auto expected = fmt::format("{:04}_", migrations.size() + 1);
    if (name.rfind(expected, 0) != 0) {
      throw UsageError(
          "migration " + name + " stands where one named " + expected +
              "….sql should",
          "number the files 0001_, 0002_, … without a gap or a double");
    }
    std::ifstream file(path);
    std::stringstream text;
    if (!fs::is_regular_file(path, error) || !(file && text << file.rdbuf())) {
      throw UsageError("cannot read migration " + path.string(),
                       "check that it is a file this user may read, and that "
                       "it is not empty");
    }
    migrations.push_back({name, text.str()});
  }
  return migrations;
}

void RequireNotNewer(pg::Connection& connection, size_t migrations) {
  const auto newer = connection.Execute(
      {"SELECT name FROM metrics.schema_migrations WHERE version > $1 "
       "ORDER BY version DESC LIMIT 1",
       {std::to_string(migrations)}},
      Soon());
  if (newer.rows() > 0) {
    throw UsageError(
        "the database is newer than this program: it has " + newer.Text(0, 0),
        "use the version of meshhook-exporter that applied it");
  }
}

void Migrate(const Conninfo& conninfo, const std::vector<Migration>& migrations,
             std::chrono::seconds patience, const Progress& progress) {
  auto connection = Connect(conninfo);
  RequireMeshHook(connection);
  connection.Script(std::string(kBeginTurn) + kBootstrap + "COMMIT", Soon());
  RequireNotNewer(connection, migrations.size());
  int applied = 0;
  for (const auto& migration : migrations) {
    if (Apply(connection, migration, patience, progress)) {
      progress("applied " + migration.name);
      ++applied;
    }
  }
  progress(applied == 0 ? "the data layer is up to date"
                        : fmt::format("applied {} of {} migrations", applied,
                                      migrations.size()));
}

void Backfill(const Conninfo& conninfo, const Progress& progress) {
  auto connection = Connect(conninfo);
  const auto estimate =
      connection.Execute({"SELECT greatest(reltuples, 0)::bigint FROM pg_class "
                          "WHERE oid = 'public.workflow_runs'::regclass",
                          {}},
                         Soon());
  long long seen = 0;
  auto next_report = pg::Clock::now() + 2s;
  while (true) {
    const auto batch =
        connection.Execute({"SELECT metrics.backfill()", {}}, Soon());
    const long long looked_at = std::stoll(batch.Text(0, 0));
    if (looked_at == 0) break;
    seen += looked_at;
    if (pg::Clock::now() >= next_report) {
      progress(fmt::format("backfill: {} of about {} runs looked at", seen,
                           estimate.Text(0, 0)));
      next_report = pg::Clock::now() + 2s;
    }
  }
  const auto added = connection.Execute(
      {"SELECT runs_added FROM metrics.backfill_state", {}}, Soon());
  progress("backfill is complete: " + added.Text(0, 0) +
           " runs from before the installation");
}

std::string MigrationScript(const std::vector<Migration>& migrations) {
  std::string script =
      "-- The data layer of MeshHook Observability, for an empty database:\n"
      "--   psql --set ON_ERROR_STOP=1 --file THIS DATABASE_URL\n"
      "-- then: SELECT metrics.backfill();  until it returns 0\n\n" +
      std::string("BEGIN;\n") + kBootstrap + "COMMIT;\n";
  for (const auto& migration : migrations) {
    script += fmt::format(
        "\nBEGIN;\nSET LOCAL lock_timeout = '200ms';\n"
        "SET LOCAL datestyle = 'ISO';\n{}\n"
        "INSERT INTO metrics.schema_migrations (version, name, checksum)\n"
        "VALUES ({}, {}, encode(sha256(convert_to({}, 'UTF8')), 'hex'));\n"
        "COMMIT;\n",
        migration.sql, migration.version(), Literal(migration.name),
        Literal(migration.sql));
  }
  return script;
}

}  // namespace meshhook
