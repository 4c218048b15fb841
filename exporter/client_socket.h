// SPDX-License-Identifier: MIT
// The socket of a client, which CivetWeb does not tell.
#pragma once

struct mg_connection;

namespace meshhook {

// The descriptor that the connection's client is at the other end of; -1 where
// it is not found. To be looked at while the request is being answered, and
// never to be read, written or closed.
int ClientSocket(const mg_connection* connection);

}  // namespace meshhook
