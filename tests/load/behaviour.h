// SPDX-License-Identifier: MIT
// How each workflow behaves: a snapshot of demo.workflow_behaviour.
// Immutable, so workers share one without locks.
#pragma once

#include <memory>
#include <string>
#include <vector>

namespace load {

struct Workflow {
  std::string id;
  std::string project_id;
  std::string slug;
  double weight = 0;
  double median_seconds = 0;
  double sigma = 0;
  double failure_ratio = 0;
};

class Behaviour {
 public:
  explicit Behaviour(std::vector<Workflow> workflows);

  // Picks by weight; `dice` is at least 0 and below 1. Null where nothing has
  // any weight.
  const Workflow* Pick(double dice) const;

 private:
  std::vector<Workflow> workflows_;
  std::vector<double> cumulative_;
};

using BehaviourPtr = std::shared_ptr<const Behaviour>;

}  // namespace load
