// SPDX-License-Identifier: MIT
// Where a connection may go: the hosts that libpq would try, and the addresses
// of a name, looked up so that a deadline holds.
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "exporter/conninfo.h"
#include "exporter/pg.h"

namespace meshhook::pg {

struct FinishSession {
  void operator()(PGconn* session) const { PQfinish(session); }
};

// As libpq takes them; "" where it has a default of its own.
struct Host {
  std::string name;     // or an address, or the path of a socket
  std::string address;  // given beside the name, which is then not looked up
  std::string port;
};

struct Hosts {
  // In the order to try them. None: libpq must make sense of the settings, or
  // say that there is none in them.
  std::vector<Host> list;
  std::string session_attrs;                // target_session_attrs
  std::chrono::seconds connect_timeout{0};  // for each address; 0: none given
};

// With all that libpq adds from its variables and service files.
Hosts HostsOf(const Conninfo::Parameters& parameters);

// Whether libpq would look the name up, which may take long.
bool NeedsLookup(const Host& host);

// The numeric addresses of a name, in the resolver's order. Throws Error when
// there is none by the deadline.
std::vector<std::string> Lookup(const std::string& name, Deadline deadline,
                                const Interrupt* interrupt);

// Waits until the descriptor is ready, the deadline passes or the interrupt
// fires; throws Error with the reason in the two latter cases.
void Await(int fd, short events, Deadline deadline, const Interrupt* interrupt);

}  // namespace meshhook::pg
