// SPDX-License-Identifier: MIT
#include "tests/support/pgbouncer.h"

#include <signal.h>
#include <unistd.h>

#include <filesystem>
#include <stdexcept>
#include <system_error>
#include <vector>

#include "tests/support/database.h"
#include "tests/support/http_client.h"

namespace test {
namespace {

bool Listens(int port) try {
  const HttpConnection connection(port);
  return true;
} catch (const std::system_error&) {
  return false;
}

// Below the range that outgoing connections take their ports from.
int FreePort() {
  int port = 20000 + static_cast<int>(getpid()) % 12000;
  while (Listens(port)) port = port < 31999 ? port + 1 : 20000;
  return port;
}

}  // namespace

PgBouncer::PgBouncer(int server_port) : port_(FreePort()) {
  std::string users;
  for (const char* role : {kExporter, "meshhook_api", kOwner, kSuperuser}) {
    users += '"' + std::string(role) + "\" \"" + kPassword + "\"\n";
  }
  const auto user_file = folder_.Write("users.txt", users);
  // After a failed login it would wait for 15 seconds.
  folder_.Write("pgbouncer.ini",
                "[databases]\n"
                "* = host=127.0.0.1 port=" +
                    std::to_string(server_port) +
                    "\n[pgbouncer]\n"
                    "listen_addr = 127.0.0.1\n"
                    "listen_port = " +
                    std::to_string(port_) +
                    "\nunix_socket_dir =\n"
                    "auth_type = scram-sha-256\n"
                    "auth_file = " +
                    user_file +
                    "\npool_mode = transaction\n"
                    "default_pool_size = " +
                    std::to_string(kPoolSize) + "\nserver_login_retry = 1\n");
  // It does not run as root.
  std::filesystem::permissions(
      folder_.path(),
      std::filesystem::perms::others_exec | std::filesystem::perms::others_read,
      std::filesystem::perm_options::add);
  Start();
}

PgBouncer::~PgBouncer() = default;

void PgBouncer::Stop() {
  process_->Signal(SIGKILL);
  process_->Wait();
  process_.reset();
}

void PgBouncer::Start() {
  std::vector<std::string> words{"/usr/sbin/pgbouncer", "--quiet",
                                 folder_.path() + "/pgbouncer.ini"};
  if (geteuid() == 0) {
    const std::vector<std::string> as_server{
        "setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"};
    words.insert(words.begin(), as_server.begin(), as_server.end());
  }
  process_ = std::make_unique<Process>(words);
  if (!Await([this] { return Listens(port_); })) {
    throw std::runtime_error("pgbouncer does not start: " + process_->err());
  }
}

std::string PgBouncer::Url(const std::string& role,
                           const std::string& database) const {
  return "postgresql://" + role + ":" + kPassword +
         "@127.0.0.1:" + std::to_string(port_) + "/" + database;
}

}  // namespace test
