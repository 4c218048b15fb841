// SPDX-License-Identifier: MIT
// The load's view of the demo's own tables, on a connection of its own. One
// thread uses it.
#pragma once

#include <optional>

#include "tests/load/behaviour.h"
#include "tests/load/database.h"
#include "tests/load/options.h"

namespace load {

class Control {
 public:
  // Connects, creates workflows where there are none, and cancels the runs
  // that an earlier load left, unless another is at work on this database.
  // Throws ConnectionLost and SqlError.
  explicit Control(const Options& options);

  // The table as it is now; null, and no exception, while it cannot be read.
  BehaviourPtr Read();

  bool HasQueue() const { return has_queue_; }

 private:
  const Options& options_;
  std::optional<Connection> connection_;
  bool has_queue_ = false;
};

}  // namespace load
