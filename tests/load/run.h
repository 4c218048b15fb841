// SPDX-License-Identifier: MIT
// One run in flight, and the piece of its plan that is due.
#pragma once

#include <chrono>
#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "tests/load/plan.h"

namespace load {

using Clock = std::chrono::steady_clock;

struct Run {
  std::string id;
  std::string workflow_id;
  std::string project_id;
  std::vector<Stage> plan;
  Clock::time_point begun;  // the plan's zero
  std::size_t next = 0;     // the first stage that is not committed
  std::size_t events = 0;   // how many events are
  bool alone = false;       // commit apart from others: it may be at fault

  Clock::time_point Due() const {
    return begun + std::chrono::duration_cast<Clock::duration>(
                       std::chrono::duration<double>(plan[next].at));
  }
};

// Stages [run->next, end) of a run. Only the last of them changes the status.
struct Action {
  std::unique_ptr<Run> run;
  std::size_t end = 0;

  bool Starts() const { return run->next == 0; }
  Change change() const { return run->plan[end - 1].change; }
  std::size_t Events() const {
    std::size_t count = 0;
    for (std::size_t i = run->next; i < end; ++i) {
      count += run->plan[i].events.size();
    }
    return count;
  }
};

}  // namespace load
