// SPDX-License-Identifier: MIT
#include "tests/support/server.h"

#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <stdexcept>

#include "tests/support/database.h"
#include "tests/support/process.h"

namespace test {

namespace {

std::string NewDirectory() {
  static std::atomic<int> count{0};
  return "/tmp/meshhook-server-" + std::to_string(getpid()) + "-" +
         std::to_string(++count);
}

}  // namespace

Server::Server() : Server("pg_cluster_create \"$1\" fast", "") {}

Server::Server(const std::string& make, const std::string& argument)
    : directory_(NewDirectory()) {
  std::filesystem::remove_all(directory_);
  Shell(make, argument);
}

std::unique_ptr<Server> Server::StandbyOf(const Server& primary) {
  return std::unique_ptr<Server>(
      new Server("pg_standby_create \"$1\" \"$2\"", primary.directory_));
}

void Server::Promote() {
  Shell(R"(pg_psql "$1" postgres --output=/dev/null \
             --command='SELECT pg_promote()')");
}

Server::~Server() {
  Signal(SIGCONT);
  Run({"bash", "-c",
       "source \"$0/scripts/lib/postgres.sh\" && "
       "pg_cluster_stop \"$1\" immediate",
       MESHHOOK_SOURCE, directory_});
  std::error_code ignored;
  std::filesystem::remove_all(directory_, ignored);
}

void Server::Stop() { Shell("pg_cluster_stop \"$1\" immediate"); }

void Server::Start() { Shell("pg_cluster_start \"$1\""); }

void Server::Freeze() { Signal(SIGSTOP); }

void Server::Thaw() { Signal(SIGCONT); }

std::string Server::Url(const std::string& database) const {
  return "postgresql://" + std::string(kSuperuser) +
         "@127.0.0.1:" + PortOf(directory_) + "/" + database;
}

void Server::Shell(const std::string& commands,
                   const std::string& argument) const {
  const auto ended = Run(
      {"bash", "-c",
       "set -euo pipefail; source \"$0/scripts/lib/postgres.sh\"; "
       "if [[ -e $1/postgres.env ]]; then source \"$1/postgres.env\"; fi; " +
           commands,
       MESHHOOK_SOURCE, directory_, argument});
  if (ended.status != 0) throw std::runtime_error(commands + ": " + ended.err);
}

void Server::Signal(int signal) const {
  std::ifstream file(directory_ + "/data/postmaster.pid");
  pid_t postmaster = 0;
  if (!(file >> postmaster) || postmaster <= 1) return;
  // Itself first, or it would see its children stop.
  kill(postmaster, signal);
  const auto pid = std::to_string(postmaster);
  std::ifstream children("/proc/" + pid + "/task/" + pid + "/children");
  for (pid_t child = 0; children >> child;) kill(child, signal);
}

}  // namespace test
