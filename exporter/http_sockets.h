// SPDX-License-Identifier: MIT
// CivetWeb's sockets, which it does not tell.
#pragma once

struct mg_connection;

namespace meshhook {

// The descriptor that the connection's client is at the other end of; -1 where
// it is not found. To be looked at while the request is being answered, and
// never to be read, written or closed.
int ClientSocket(const mg_connection* connection);

// Connections are given to this program's listening sockets only once their
// client has sent something, so that those who say nothing hold no thread. The
// kernel gives up waiting for it after half a minute.
void DeferAccept();

}  // namespace meshhook
