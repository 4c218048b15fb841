// SPDX-License-Identifier: MIT
// A PostgreSQL server of a test's own, to stop, freeze and start again. Has
// the roles of a Supabase cluster and no database but `postgres`.
#pragma once

#include <memory>
#include <string>

namespace test {

class Server {
 public:
  // Made and started, which takes some two seconds.
  Server();
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  // A streaming copy, to be promoted.
  static std::unique_ptr<Server> StandbyOf(const Server& primary);
  void Promote();

  void Stop();  // as a crash would
  void Start();
  // Stops and continues the server's processes where they stand: the port
  // still takes connections, and nobody answers.
  void Freeze();
  void Thaw();

  std::string Url(const std::string& database = "postgres") const;
  const std::string& directory() const { return directory_; }

  // Runs commands with scripts/lib/postgres.sh and what `postgres.env` says at
  // hand; $1 is this server's directory, $2 the argument. Throws
  // std::runtime_error when one fails.
  void Shell(const std::string& commands,
             const std::string& argument = "") const;

 private:
  Server(const std::string& make, const std::string& argument);
  void Signal(int signal) const;

  const std::string directory_;
};

}  // namespace test
