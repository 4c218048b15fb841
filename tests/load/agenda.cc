// SPDX-License-Identifier: MIT
#include "tests/load/agenda.h"

#include <algorithm>
#include <utility>

namespace load {

void Agenda::Add(std::unique_ptr<Run> run, Clock::time_point due) {
  heap_.push_back({due, std::move(run)});
  std::push_heap(heap_.begin(), heap_.end(), Later);
}

std::optional<Action> Agenda::Take(Clock::time_point now) {
  if (heap_.empty() || FirstDue() > now) return std::nullopt;
  std::pop_heap(heap_.begin(), heap_.end(), Later);
  Action action{std::move(heap_.back().run), 0};
  heap_.pop_back();
  const std::vector<Stage>& plan = action.run->plan;
  const auto elapsed =
      std::chrono::duration<double>(now - action.run->begun).count();
  action.end = action.run->next + 1;
  while (!action.Starts() && action.change() == Change::kNone &&
         action.end < plan.size() && plan[action.end].at <= elapsed) {
    ++action.end;
  }
  return action;
}

}  // namespace load
