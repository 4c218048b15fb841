// SPDX-License-Identifier: MIT
#include "exporter/turns.h"

#include <random>
#include <thread>

namespace meshhook {
namespace {

using namespace std::chrono_literals;

constexpr auto kStatementLimit = 300s;
constexpr auto kLockNotAvailable = "55P03";
constexpr auto kDeadlock = "40P01";

}  // namespace

pg::Deadline Soon() { return pg::Clock::now() + kStatementLimit; }

void InShortTries(pg::Connection& connection, const std::string& subject,
                  const std::string& command, std::chrono::seconds patience,
                  const Progress& progress,
                  const std::function<void()>& attempt) {
  std::minstd_rand random{std::random_device{}()};
  std::uniform_int_distribution<> pause(200, 1000);
  const auto give_up = pg::Clock::now() + patience;
  for (bool told = false;; told = true) {
    try {
      return attempt();
    } catch (const pg::Error& error) {
      if (!connection.open()) throw;
      connection.Script("ROLLBACK", Soon());
      const bool locked = error.sqlstate() == kLockNotAvailable ||
                          error.sqlstate() == kDeadlock;
      if (locked && pg::Clock::now() < give_up) {
        if (!told) {
          progress(subject +
                   " waits for a lock that a transaction holds; trying again");
        }
        std::this_thread::sleep_for(std::chrono::milliseconds(pause(random)));
        continue;
      }
      const std::string hint =
          locked ? "end the long transaction that holds it (SELECT pid, query "
                   "FROM pg_stat_activity ORDER BY xact_start LIMIT 5), then "
                   "run " +
                       command + " again"
                 : error.hint();
      throw pg::Error(subject + ": " + error.what(), error.sqlstate(), hint);
    }
  }
}

}  // namespace meshhook
