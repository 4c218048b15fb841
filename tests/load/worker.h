// SPDX-License-Identifier: MIT
// One connection's worth of MeshHook: accepts webhooks at random moments and
// carries each run through its plan. One thread uses it.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <optional>
#include <stop_token>
#include <vector>

#include "tests/load/agenda.h"
#include "tests/load/database.h"
#include "tests/load/flight.h"
#include "tests/load/options.h"
#include "tests/load/random.h"
#include "tests/load/shared.h"

namespace load {

class Worker {
 public:
  // `queue`: the database has pgmq. Both references outlive the worker.
  Worker(const Options& options, std::uint32_t number, bool queue,
         Shared& shared);

  // Until stopped, or until no run is left once none are accepted. Whatever
  // was sent is waited for. Survives the loss of its connection.
  void Work(const std::stop_token& stop);

 private:
  void Reconnect(const std::stop_token& stop);
  void Connect();
  void SettleDoubts(Connection& connection);
  void AcceptRuns(Clock::time_point now);
  void FlyWhatIsDue(Clock::time_point now);
  void Settle(std::vector<Action> actions, const Outcome& outcome);
  void Committed(Action action, long affected);
  void GiveUp(const Action& action);
  void SleepUntil(Clock::time_point when, const std::stop_token& stop);

  const Options& options_;
  const bool queue_;
  Shared& shared_;
  Random random_;
  Clock::time_point next_arrival_ = Clock::now();
  Agenda agenda_;
  std::optional<Connection> connection_;
  bool connected_before_ = false;
  std::vector<Action> doubts_;  // unanswered when the connection broke
  Clock::duration backoff_{};
  std::mutex mutex_;
  std::condition_variable_any wake_;
};

}  // namespace load
