// SPDX-License-Identifier: MIT
// Which database to watch, as the environment says it.
//
// The first of these that is set wins:
//   DATA_SOURCE_NAME                  URI or key=value, as postgres_exporter's
//   DATABASE_URL                      the same
//   DATA_SOURCE_URI, _USER and _PASS  host:port/database?…, and who
//   PGHOST, PGUSER, …                 libpq's own
// All but libpq's, and PGPASSWORD, may instead name a file that holds the
// value, by the suffix _FILE. PGPASSWORD counts where a URL holds no password.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace meshhook {

// Looks one variable up; nullopt when it is not set. A seam for tests.
using Environment =
    std::function<std::optional<std::string>(const std::string& name)>;
Environment ProcessEnvironment();

// Connection parameters, checked for form. Holds the password, so it is never
// printed; Redact() takes secrets out of any text that might repeat them.
class Conninfo {
 public:
  // Throws UsageError, which names the variable at fault and never its value.
  static Conninfo FromEnvironment(const Environment& environment);

  // Keyword and value, as PQconnectdbParams takes them.
  const std::vector<std::pair<std::string, std::string>>& parameters() const {
    return parameters_;
  }
  // The variable it came from, for messages: "DATABASE_URL".
  const std::string& source() const { return source_; }

  // The same server, another database.
  Conninfo ForDatabase(const std::string& name) const;

  std::string Redact(std::string text) const;

 private:
  // Of PGPASSWORD_FILE, where there is no other.
  void AddPassword(const Environment& environment);

  std::vector<std::pair<std::string, std::string>> parameters_;
  std::string source_;
};

}  // namespace meshhook
