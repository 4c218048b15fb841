// SPDX-License-Identifier: MIT
// How clients are connected, and with which version of TLS: who still comes
// without encryption is to be seen before it is refused.
#include "collectors/all.h"
#include "collectors/metric.h"

namespace meshhook::collectors {

Collector ClientEncryption() {
  return {
      .name = "client_encryption",
      .summary = "sessions by encryption",
      .query = R"(
        SELECT k.transport, coalesce(c.version, '') AS tls_version,
               coalesce(c.sessions, 0) AS sessions
        FROM (VALUES ('tls'), ('gss'), ('plain'), ('socket')) AS k (transport)
        LEFT JOIN (
            SELECT CASE WHEN s.ssl THEN 'tls' WHEN g.encrypted THEN 'gss'
                        WHEN a.client_addr IS NULL THEN 'socket'
                        ELSE 'plain' END AS transport, s.version, count(*) AS sessions
            FROM pg_stat_activity AS a
            LEFT JOIN pg_stat_ssl AS s USING (pid)
            LEFT JOIN pg_stat_gssapi AS g USING (pid)
            WHERE a.backend_type IN ('client backend', 'walsender')
            GROUP BY 1, 2) AS c USING (transport))",
      .labels = {"transport", "tls_version"},
      .metrics = {Gauge("meshhook_client_sessions",
                        "Sessions by how they are connected: encrypted by TLS "
                        "or GSSAPI, plain, or by a local socket.",
                        "sessions")},
      .interval = std::chrono::minutes(1),
  };
}

}  // namespace meshhook::collectors
