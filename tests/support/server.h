// SPDX-License-Identifier: MIT
// A PostgreSQL server of a test's own, to stop, freeze and start again. Has
// the roles of a Supabase cluster and no database but `postgres`.
#pragma once

#include <string>
#include <vector>

namespace test {

class Server {
 public:
  // Made and started, which takes some two seconds.
  Server();
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  void Stop();  // as a crash would
  void Start();
  // Stops and continues the server's processes where they stand: the port
  // still takes connections, and nobody answers.
  void Freeze();
  void Thaw();

  std::string Url() const;

 private:
  void Shell(const std::string& commands) const;
  void Signal(int signal) const;

  const std::string directory_;
};

}  // namespace test
