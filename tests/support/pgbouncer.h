// SPDX-License-Identifier: MIT
// A transaction pooler in front of a server of this machine.
#pragma once

#include <memory>
#include <string>

#include "tests/support/folder.h"
#include "tests/support/process.h"

namespace test {

// Debian's pgbouncer in transaction mode, for every database there, with two
// connections to the server for each of its databases and users. Roles log in
// to it with the password kPassword; to the server it needs none.
class PgBouncer {
 public:
  static constexpr auto kPoolSize = 2;
  static constexpr auto kPassword = "secret";

  explicit PgBouncer(int server_port);
  ~PgBouncer();
  PgBouncer(const PgBouncer&) = delete;
  PgBouncer& operator=(const PgBouncer&) = delete;

  void Stop();   // as a crash would
  void Start();  // on the same port

  std::string Url(const std::string& role, const std::string& database) const;

 private:
  const Folder folder_;
  int port_;
  std::unique_ptr<Process> process_;
};

}  // namespace test
