// SPDX-License-Identifier: MIT
// The runs of one worker, by the time their next stage is due: a heap, so that
// thousands of runs in flight cost no timer each. Not thread-safe.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "tests/load/run.h"

namespace load {

class Agenda {
 public:
  void Add(std::unique_ptr<Run> run) {
    const auto due = run->Due();
    Add(std::move(run), due);
  }
  void Add(std::unique_ptr<Run> run, Clock::time_point due);

  // The run that is due first, with all of its stages that are due: the start
  // by itself, others up to a change of status. Empty where nothing is due.
  std::optional<Action> Take(Clock::time_point now);

  bool empty() const { return heap_.empty(); }
  Clock::time_point FirstDue() const { return heap_.front().due; }

 private:
  struct Entry {
    Clock::time_point due;
    std::unique_ptr<Run> run;
  };
  static bool Later(const Entry& a, const Entry& b) { return a.due > b.due; }

  std::vector<Entry> heap_;
};

}  // namespace load
