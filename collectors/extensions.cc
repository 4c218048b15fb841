// SPDX-License-Identifier: MIT
// Extensions, and whether the server's files hold another version than the one
// that is installed: ALTER EXTENSION ... UPDATE is easily forgotten.
#include "collectors/all.h"
#include "collectors/metric.h"

namespace meshhook::collectors {

Collector Extensions() {
  return {
      .name = "extensions",
      .summary = "extensions, and which are outdated",
      .query = R"(
        WITH installed AS (
            SELECT e.extname, e.extversion, a.default_version
            FROM pg_extension AS e
            LEFT JOIN pg_available_extensions AS a ON a.name = e.extname)
        SELECT current_database() AS datname, NULL AS extension, NULL AS version,
               NULL AS available, NULL::int AS one,
               count(*) FILTER (WHERE extversion <> default_version) AS outdated
        FROM installed
        UNION ALL
        SELECT current_database(), extname, extversion,
               coalesce(default_version, ''), 1, NULL
        FROM installed)",
      .labels = {"datname"},
      .metrics =
          {Gauge("meshhook_outdated_extensions",
                 "Extensions of another version than the server's files have.",
                 "outdated"),
           By({"datname", "extension", "version", "available"},
              Gauge("meshhook_extension_info",
                    "An extension, its version and the version that could be "
                    "installed; always 1.",
                    "one"))},
      .scope = Scope::kDatabase,
      .interval = std::chrono::minutes(5),
  };
}

}  // namespace meshhook::collectors
