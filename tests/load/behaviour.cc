// SPDX-License-Identifier: MIT
#include "tests/load/behaviour.h"

#include <algorithm>
#include <utility>

namespace load {

Behaviour::Behaviour(std::vector<Workflow> workflows)
    : workflows_(std::move(workflows)) {
  double sum = 0;
  cumulative_.reserve(workflows_.size());
  for (const Workflow& workflow : workflows_) {
    cumulative_.push_back(sum += workflow.weight);
  }
}

const Workflow* Behaviour::Pick(double dice) const {
  if (cumulative_.empty() || cumulative_.back() <= 0) return nullptr;
  const auto found = std::upper_bound(cumulative_.begin(), cumulative_.end(),
                                      dice * cumulative_.back());
  // Rounding can carry the product onto the sum itself.
  const auto last = cumulative_.end() - 1;
  return &workflows_[static_cast<std::size_t>(std::min(found, last) -
                                              cumulative_.begin())];
}

}  // namespace load
