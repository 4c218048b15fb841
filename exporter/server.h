// SPDX-License-Identifier: MIT
// What a session is connected to: the server, its database, and what both have.
#pragma once

#include <map>
#include <string>

namespace meshhook {

struct Server {
  std::string address;  // host:port
  std::string database;
  std::string user;
  int version = 0;            // as server_version_num: 170000
  std::string full_version;   // as version() says it
  std::string short_version;  // 17.2
  std::map<std::string, std::string> extension_schemas;  // quoted
};

}  // namespace meshhook
