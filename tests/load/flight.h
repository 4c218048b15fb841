// SPDX-License-Identifier: MIT
// The transactions of MeshHook's workers, sent in one pipeline.
//
// Starts and steps of several runs share a transaction, as a busy worker would
// batch them; what changes a run's status is a transaction of its own.
#pragma once

#include <functional>
#include <vector>

#include "tests/load/database.h"
#include "tests/load/run.h"

namespace load {

class Flight {
 public:
  // `queue`: pass a message for each start through pgmq as well.
  explicit Flight(bool queue) : queue_(queue) {}

  // Makes the connection ready to Fly on.
  void Prepare(Connection& connection) const;

  void Add(Action action);
  bool Full() const { return size_ >= kMost; }

  // Sends everything and waits for all answers; `settle` takes the actions of
  // each transaction (none: the queue's own) and how it ended. Throws
  // ConnectionLost; what is not settled then stays for TakeUnsettled.
  using Settle = std::function<void(std::vector<Action>, const Outcome&)>;
  void Fly(Connection& connection, const Settle& settle);
  std::vector<Action> TakeUnsettled();

 private:
  // Answers are short, but all of a flight's have to fit into the socket.
  static constexpr std::size_t kMost = 256;

  using Transaction = std::vector<Action>;
  void Send(Connection& connection, const Transaction& transaction) const;

  bool queue_;
  std::size_t size_ = 0;
  Transaction starts_;
  Transaction steps_;
  std::vector<Transaction> singles_;
};

}  // namespace load
