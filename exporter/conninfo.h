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
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace meshhook {

// Looks one variable up; nullopt when it is not set. A seam for tests.
using Environment =
    std::function<std::optional<std::string>(const std::string& name)>;
Environment ProcessEnvironment();

// Connection parameters, checked for form. Holds the password, so it is never
// printed; Redact() takes secrets out of any text that might repeat them.
// Thread-safe. Copies share what they know: one that reads the files again
// does so for all.
class Conninfo {
 public:
  // Keyword and value, as PQconnectdbParams takes them.
  using Parameters = std::vector<std::pair<std::string, std::string>>;

  // Throws UsageError, which names the variable at fault and never its value.
  static Conninfo FromEnvironment(const Environment& environment);

  // The same by that variable, or its _FILE, alone. Throws UsageError, also
  // where it is not set.
  static Conninfo FromVariable(const Environment& environment,
                               const std::string& variable);

  Parameters parameters() const;
  // The variable it came from, for messages: "DATABASE_URL".
  const std::string& source() const { return source_; }

  // Reads the files again that the variables name: the parameters, where they
  // are other than these by now. Throws UsageError, and keeps what it has,
  // where a file is gone or holds nothing of use.
  std::optional<Parameters> Renewed(const Parameters& used) const;

  // The same server, another database.
  Conninfo ForDatabase(const std::string& name) const;

  // Takes out the secrets of now and of before.
  std::string Redact(std::string text) const;

 private:
  struct Shared;

  static Conninfo From(const Environment& environment,
                       const std::vector<std::string>& urls);

  std::shared_ptr<Shared> shared_;
  std::string source_;
  std::string database_;  // "": as the parameters have it
};

}  // namespace meshhook
