// SPDX-License-Identifier: MIT
// Connection limits of roles.
#include "collectors/all.h"
#include "collectors/metric.h"

namespace meshhook::collectors {

Collector Roles() {
  return {
      .name = "roles",
      .summary = "connection limits of roles",
      .query = R"(
        SELECT rolname, rolconnlimit FROM pg_roles)",
      .labels = {"rolname"},
      .metrics = {Gauge("pg_roles_connection_limit",
                        "Connections that the role may have; -1 is no limit.",
                        "rolconnlimit")},
      .interval = std::chrono::minutes(1),
  };
}

}  // namespace meshhook::collectors
