// SPDX-License-Identifier: MIT
#include "tests/support/database.h"

#include <unistd.h>

#include <atomic>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <limits>
#include <sstream>
#include <stdexcept>

#include "tests/support/process.h"

namespace test {
namespace {

using namespace std::chrono_literals;
using meshhook::Conninfo;
using meshhook::pg::Connection;
using meshhook::pg::Error;

std::string ClusterDirectory() {
  const char* directory = std::getenv("MESHHOOK_TEST_CLUSTER");
  if (directory == nullptr) {
    throw std::runtime_error("run by ctest, which starts the cluster");
  }
  return directory;
}

std::string Setting(const std::string& directory, const std::string& name) {
  std::ifstream settings(directory + "/postgres.env");
  for (std::string line; std::getline(settings, line);) {
    if (line.rfind(name + "=", 0) == 0) return line.substr(name.size() + 1);
  }
  throw std::runtime_error("no cluster in " + directory);
}

std::string UrlOf(const std::string& role, const std::string& database) {
  return "postgresql://" + role + "@" + ClusterAddress() + "/" + database;
}

Connection Admin() {
  return Connection::Open(ConninfoOf(UrlOf(kSuperuser, "postgres")),
                          meshhook::pg::Clock::now() + 20s);
}

}  // namespace

std::string PortOf(const std::string& directory) {
  return Setting(directory, "PGPORT");
}

std::string SchemaDump(const std::string& url) {
  // Beside the server's programs, as an older pg_dump refuses a newer server.
  auto program = Setting(ClusterDirectory(), "PG_BINDIR") + "/pg_dump";
  if (!std::filesystem::exists(program)) program = "pg_dump";
  const auto ended = Run({program, "--schema-only", "--dbname", url});
  if (ended.status != 0) throw std::runtime_error(ended.err);
  std::string dump;
  std::istringstream lines(ended.out);
  for (std::string line; std::getline(lines, line);) {
    if (line.rfind("\\restrict", 0) == 0 ||
        line.rfind("\\unrestrict", 0) == 0) {
      continue;
    }
    dump += line + "\n";
  }
  return dump;
}

std::string ClusterAddress() {
  return "127.0.0.1:" + PortOf(ClusterDirectory());
}

int ClusterPort() { return std::stoi(PortOf(ClusterDirectory())); }

Conninfo ConninfoOf(const std::string& url) {
  return Conninfo::FromEnvironment(
      [&url](const std::string& name) -> std::optional<std::string> {
        if (name == "DATABASE_URL") return url;
        return std::nullopt;
      });
}

Database::Database(Template from) {
  static std::atomic<int> count{0};
  name_ = "test_" + std::to_string(getpid()) + "_" + std::to_string(++count);
  auto admin = Admin();
  test::Exec(admin, "CREATE DATABASE " + name_ + " OWNER postgres TEMPLATE " +
                        (from == Template::kFixture ? "fixture" : "migrated"));
}

Database::~Database() {
  sessions_.clear();
  auto admin = Admin();
  test::Exec(admin, "DROP DATABASE IF EXISTS " + name_ + " WITH (FORCE)");
}

std::string Database::Url(const std::string& role) const {
  return UrlOf(role, name_);
}

Conninfo Database::Conninfo(const std::string& role) const {
  return ConninfoOf(Url(role));
}

Connection Database::Connect(const std::string& role) const {
  return Connection::Open(Conninfo(role), meshhook::pg::Clock::now() + 20s);
}

Connection Database::As(const std::string& role) const {
  auto session = Connect(kSuperuser);
  test::Exec(session, "SET ROLE " + role);
  return session;
}

std::string Database::Exec(const std::string& sql, const std::string& role) {
  for (auto& [known, session] : sessions_) {
    if (known == role) return test::Exec(session, sql);
  }
  sessions_.emplace_back(role, Connect(role));
  return test::Exec(sessions_.back().second, sql);
}

std::string Exec(Connection& session, const std::string& sql) {
  const auto result = session.Script(sql, meshhook::pg::Clock::now() + 120s);
  return result.get() != nullptr && result.rows() > 0 && result.columns() > 0
             ? result.Text(0, 0)
             : "";
}

std::string Refusal(Connection& session, const std::string& sql) {
  try {
    Exec(session, sql);
    return "";
  } catch (const Error& error) {
    return error.sqlstate();
  }
}

double SampleSum(const std::string& page, std::string_view prefix) {
  double sum = 0;
  bool found = false;
  std::istringstream lines(page);
  for (std::string line; std::getline(lines, line);) {
    if (line.rfind(prefix, 0) != 0) continue;
    sum += std::stod(line.substr(line.rfind(' ') + 1));
    found = true;
  }
  return found ? sum : std::numeric_limits<double>::quiet_NaN();
}

}  // namespace test
