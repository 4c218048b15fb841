// SPDX-License-Identifier: MIT
// What tests of the collectors of tables and indexes share.
#pragma once

#include <string>

#include "tests/support/database.h"

namespace test {

// The beginning of a sample's line.
inline std::string Of(const Database& db, const std::string& metric,
                      const std::string& more = "") {
  return metric + "{datname=\"" + db.name() + "\"" + more;
}

inline std::string Relation(const std::string& name,
                            const std::string& schema = "public") {
  return ",schemaname=\"" + schema + "\",relname=\"" + name + "\"";
}

// In a session that ends, so that what was counted is there for others soon.
inline void Use(Database& db, const std::string& sql) {
  auto session = db.Connect();
  Exec(session, sql);
}

// Puts it into the database where the server has it.
inline bool Install(Database& db, const std::string& extension) {
  if (db.Exec("SELECT 1 FROM pg_available_extensions WHERE name = '" +
              extension + "'") != "1") {
    return false;
  }
  db.Exec("CREATE EXTENSION " + extension + " SCHEMA extensions", kSuperuser);
  db.Exec("GRANT USAGE ON SCHEMA extensions TO meshhook_exporter", kSuperuser);
  return true;
}

}  // namespace test
