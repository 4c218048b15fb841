// SPDX-License-Identifier: MIT
// meshhook-load: MeshHook's workers, imitated, for the demo and the tests.
//
// Progress goes to standard error, a line each five seconds; the totals, one
// JSON object, are the only line on standard output. Ends with status 0 after
// --seconds or a SIGINT or SIGTERM (a second one ends it at once), and with 2
// where it cannot begin.
#include <csignal>
#include <ctime>
#include <deque>
#include <iostream>
#include <thread>

#include "tests/load/control.h"
#include "tests/load/options.h"
#include "tests/load/shared.h"
#include "tests/load/worker.h"

namespace load {
namespace {

constexpr std::chrono::seconds kBetweenReads{1};
constexpr int kReadsALine = 5;

double Seconds(Clock::duration duration) {
  return std::chrono::duration<double>(duration).count();
}

sigset_t EndingSignals() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGTERM);
  return signals;
}

// True where one of the signals came before `when`.
bool SignaledBefore(Clock::time_point when, const sigset_t& signals) {
  const auto left = std::max(when - Clock::now(), Clock::duration::zero());
  const auto whole = std::chrono::floor<std::chrono::seconds>(left);
  const timespec timeout{whole.count(), (left - whole).count()};
  return sigtimedwait(&signals, nullptr, &timeout) > 0;
}

// Returns when it is time to stop the workers.
void Supervise(const Options& options, Control& control, Shared& shared,
               const sigset_t& signals) {
  const auto begun = Clock::now();
  const auto end =
      options.seconds
          ? begun + std::chrono::duration_cast<Clock::duration>(
                        std::chrono::duration<double>(*options.seconds))
          : Clock::time_point::max();
  for (int reads = 1;; ++reads) {
    const auto next = begun + reads * kBetweenReads;
    if (SignaledBefore(shared.accepting ? std::min(next, end) : next, signals))
      return;
    if (Clock::now() >= end) {
      if (!options.drain) return;
      shared.accepting = false;
    }
    if (shared.working == 0) return;
    if (BehaviourPtr behaviour = control.Read()) shared.behaviour = behaviour;
    if (!options.quiet && reads % kReadsALine == 0) {
      shared.Say(shared.totals.Line(Seconds(Clock::now() - begun)));
    }
  }
}

int Main(int argc, char** argv) try {
  const Options options = ParseOptions(argc, argv);
  // Before any thread starts, so that all of them leave signals to this one.
  const sigset_t signals = EndingSignals();
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);

  Control control(options);
  Shared shared;
  shared.behaviour = control.Read();
  if (!shared.behaviour.load()) {
    std::cerr << "meshhook-load: demo.workflow_behaviour cannot be read\n";
    return 2;
  }
  shared.working = static_cast<int>(options.connections);
  std::deque<Worker> workers;
  std::vector<std::jthread> threads;
  const auto begun = Clock::now();
  for (std::uint32_t i = 0; i < options.connections; ++i) {
    Worker& worker =
        workers.emplace_back(options, i, control.HasQueue(), shared);
    threads.emplace_back(
        [&worker](std::stop_token stop) { worker.Work(stop); });
  }
  Supervise(options, control, shared, signals);
  // A worker may wait for an answer for long; a second signal does not.
  pthread_sigmask(SIG_UNBLOCK, &signals, nullptr);
  for (std::jthread& thread : threads) thread.request_stop();
  for (std::jthread& thread : threads) thread.join();
  std::cout << shared.totals.Json(Seconds(Clock::now() - begun)) << std::endl;
  return 0;
} catch (const std::exception& error) {
  std::cerr << "meshhook-load: " << error.what() << '\n';
  return 2;
}

}  // namespace
}  // namespace load

int main(int argc, char** argv) { return load::Main(argc, argv); }
