// SPDX-License-Identifier: MIT
// How a session is opened.
#include <cstring>
#include <vector>

#include "exporter/pg.h"

namespace meshhook::pg {

Connection Connection::Open(const Conninfo& conninfo, Deadline deadline,
                            const Interrupt* interrupt) {
  // Defaults come first, so that the operator's own values override them.
  std::vector<const char*> keywords = {
      "fallback_application_name", "client_encoding",  "keepalives_idle",
      "keepalives_interval",       "keepalives_count", "tcp_user_timeout"};
  std::vector<const char*> values = {
      "meshhook-exporter", "UTF8", "10", "5", "3", "15000"};
  for (const auto& [keyword, value] : conninfo.parameters()) {
    keywords.push_back(keyword.c_str());
    values.push_back(value.c_str());
  }
  const auto open = [&] {
    keywords.push_back(nullptr);
    values.push_back(nullptr);
    Connection connection(
        PQconnectStartParams(keywords.data(), values.data(), 0), interrupt);
    connection.Connect(deadline);
    return connection;
  };
  auto connection = open();
  // Such a database holds bytes of any kind, and the server would refuse to
  // send as UTF-8 what is none.
  const char* encoding =
      PQparameterStatus(connection.connection_.get(), "server_encoding");
  if (encoding == nullptr || std::strcmp(encoding, "SQL_ASCII") != 0) {
    return connection;
  }
  keywords.back() = "client_encoding";
  values.back() = "SQL_ASCII";
  return open();
}

void Connection::Connect(Deadline deadline) {
  if (!connection_ || PQstatus(connection_.get()) == CONNECTION_BAD) Broken();
  PQsetNoticeReceiver(connection_.get(), LogNotice, nullptr);
  for (auto step = PGRES_POLLING_WRITING; step != PGRES_POLLING_OK;
       step = PQconnectPoll(connection_.get())) {
    if (step == PGRES_POLLING_FAILED) Broken();
    Wait(step == PGRES_POLLING_WRITING, deadline);
  }
  if (PQsetnonblocking(connection_.get(), 1) != 0) Broken();
}

}  // namespace meshhook::pg
