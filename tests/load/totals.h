// SPDX-License-Identifier: MIT
// What all workers have done so far. Thread-safe; each run counts once, when
// the server has said that its commit took place.
#pragma once

#include <atomic>
#include <string>

namespace load {

struct Totals {
  std::atomic<long> started = 0;
  std::atomic<long> succeeded = 0;
  std::atomic<long> failed = 0;
  std::atomic<long> canceled = 0;
  std::atomic<long> superseded = 0;  // somebody else had finished the run
  std::atomic<long> rejected = 0;    // the server refused; the run is given up
  std::atomic<long> in_flight = 0;
  std::atomic<long> in_doubt = 0;  // sent, but no answer could be had
  std::atomic<long> reconnects = 0;

  long Finished() const { return succeeded + failed + canceled; }

  // For a human, `seconds` after the start.
  std::string Line(double seconds) const;
  // For a program, on one line.
  std::string Json(double seconds) const;
};

}  // namespace load
