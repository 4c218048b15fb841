// SPDX-License-Identifier: MIT
// A database of its own for each test: cloned from a template of the shared
// cluster, dropped at the end.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "exporter/conninfo.h"
#include "exporter/pg.h"

namespace test {

// Which template: MeshHook's schema alone, or with the data layer.
enum class Template { kFixture, kMigrated };

// The roles that tests connect as.
inline constexpr auto kOwner = "postgres";
inline constexpr auto kExporter = "meshhook_exporter";
inline constexpr auto kSuperuser = "supabase_admin";

class Database {
 public:
  explicit Database(Template from = Template::kMigrated);
  ~Database();
  Database(const Database&) = delete;
  Database& operator=(const Database&) = delete;

  std::string Url(const std::string& role = kOwner) const;
  meshhook::Conninfo Conninfo(const std::string& role = kOwner) const;
  // A session of its own.
  meshhook::pg::Connection Connect(const std::string& role = kOwner) const;
  // A session that has the rights of that role, which may not log in.
  meshhook::pg::Connection As(const std::string& role) const;

  // Runs statements in a session that lasts as long as this object; the first
  // cell of the last result, "" for NULL or none. Throws pg::Error.
  std::string Exec(const std::string& sql, const std::string& role = kOwner);

  const std::string& name() const { return name_; }

 private:
  std::string name_;
  std::vector<std::pair<std::string, meshhook::pg::Connection>> sessions_;
};

// Runs statements in the session; the first cell of the last result.
std::string Exec(meshhook::pg::Connection& session, const std::string& sql);

// The SQLSTATE that the statements are refused with, "" when they succeed.
std::string Refusal(meshhook::pg::Connection& session, const std::string& sql);

// Connection settings from a URL.
meshhook::Conninfo ConninfoOf(const std::string& url);

// The sum of the samples of `page` whose line begins with `prefix`; NaN when
// there is none.
double SampleSum(const std::string& page, std::string_view prefix);

// The database's schema as SQL, by pg_dump, without what is random in it.
std::string SchemaDump(const std::string& url);

// The host:port of the shared cluster.
std::string ClusterAddress();
int ClusterPort();

// The port of the cluster that scripts/lib/postgres.sh made there.
std::string PortOf(const std::string& directory);

}  // namespace test
