// SPDX-License-Identifier: MIT
// What will happen in one run, drawn in full when the run starts.
#pragma once

#include <string>
#include <vector>

#include "tests/load/behaviour.h"
#include "tests/load/random.h"

namespace load {

struct Event {
  std::string type;
  std::string payload;  // JSON
};

// What a stage makes of the run's status.
enum class Change { kNone, kPause, kResume, kSucceed, kFail, kCancel };

inline bool Finishes(Change change) { return change >= Change::kSucceed; }

// Things that are committed together.
struct Stage {
  double at = 0;  // seconds after the start
  std::vector<Event> events;
  Change change = Change::kNone;
};

// Stages in the order of time. The first is the start itself, at 0; the last,
// and it alone, finishes the run. The time between them is log-normal with the
// workflow's median times `scale`; a few runs are paused besides.
std::vector<Stage> MakePlan(const Workflow& workflow, double scale,
                            Random& random);

}  // namespace load
