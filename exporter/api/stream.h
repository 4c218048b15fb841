// SPDX-License-Identifier: MIT
// Live counters: one question a second to the database for all who listen.
#pragma once

#include <chrono>
#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "exporter/api/pool.h"

namespace meshhook::api {

// Thread-safe. While anybody listens a thread of its own asks what changed, and
// gives each listener the changes of the projects it may see. A listener that
// is slow has the latest of each workflow waiting, and no more.
class Stream {
 public:
  using Clock = std::chrono::steady_clock;

  Stream(Pool& pool, size_t most_listeners);
  // Ends all listening.
  ~Stream();
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;

  class Listener {
   public:
    // What changed, as JSON; empty where nothing did by then. nullopt: the
    // stream has ended.
    std::optional<std::vector<std::string>> Next(Clock::time_point until);

   private:
    friend Stream;
    std::string subject_;
    std::optional<std::set<std::string>> projects_;  // nullopt: all
    std::mutex mutex_;
    std::condition_variable changed_;
    std::map<std::string, std::string> waiting_;  // workflow → its change
    bool ended_ = false;
  };

  // Listens for as long as the caller keeps it: no change is missed that is
  // made after this returns. Throws Problem where there are too many listeners,
  // or too many of this subject, or the database does not answer.
  std::shared_ptr<Listener> Listen(
      const std::string& subject,
      std::optional<std::set<std::string>> projects);

  size_t listeners() const;
  void End();

 private:
  void Loop();
  void Ask();
  void EndListeners();  // under the mutex

  Pool& pool_;
  const size_t most_;
  mutable std::mutex mutex_;
  std::condition_variable woken_;
  std::vector<std::weak_ptr<Listener>> listeners_;
  bool ended_ = false;
  bool begun_ = false;  // seen_ is something

  // What the database had when it was last asked; "": that begins now. Touched
  // by the thread alone.
  std::string seen_;
  std::thread thread_;  // the last, as it uses the rest from its start
};

}  // namespace meshhook::api
