// SPDX-License-Identifier: MIT
#include "tests/load/worker.h"

#include <algorithm>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "tests/load/uuid.h"

namespace load {
namespace {

using std::chrono::milliseconds;

// Due stages gather for this long, so that a busy load sends few packets.
constexpr milliseconds kTick{5};
// Who cannot keep up lets webhooks go rather than fall ever further behind.
constexpr std::chrono::seconds kMostBehind{1};
constexpr milliseconds kRetryAfter{200};
constexpr Clock::duration kFirstBackoff = milliseconds{100};
constexpr Clock::duration kMostBackoff = milliseconds{3000};

// Shut down, out of resources, deadlocked, locked or canceled.
bool WorthRetrying(const SqlError& error) {
  static const std::set<std::string_view> kClasses{"25", "40", "53", "55",
                                                   "57"};
  return kClasses.contains(std::string_view(error.sqlstate).substr(0, 2));
}

}  // namespace

Worker::Worker(const Options& options, std::uint32_t number, bool queue,
               Shared& shared)
    : options_(options),
      queue_(queue),
      shared_(shared),
      random_(options.seed, number) {}

void Worker::Work(const std::stop_token& stop) {
  while (!stop.stop_requested() &&
         (shared_.accepting || !agenda_.empty() || !doubts_.empty())) {
    if (!connection_) {
      Reconnect(stop);
      continue;
    }
    const auto now = Clock::now();
    if (shared_.accepting) AcceptRuns(now);
    try {
      FlyWhatIsDue(now);
    } catch (const ConnectionLost& lost) {
      shared_.Say(lost.what());
      connection_.reset();
      continue;
    }
    auto due = shared_.accepting ? next_arrival_ : now + kMostBehind;
    if (!agenda_.empty()) due = std::min(due, agenda_.FirstDue());
    SleepUntil(std::max(due, now + kTick), stop);
  }
  if (!doubts_.empty()) Reconnect(stop);
  shared_.totals.in_doubt += static_cast<long>(doubts_.size());
  --shared_.working;
}

void Worker::Reconnect(const std::stop_token& stop) {
  try {
    Connect();
    if (std::exchange(connected_before_, true)) ++shared_.totals.reconnects;
    backoff_ = Clock::duration::zero();
  } catch (const std::runtime_error& error) {  // either of the database's
    if (backoff_ == Clock::duration::zero()) shared_.Say(error.what());
    backoff_ = std::clamp(backoff_ * 2, kFirstBackoff, kMostBackoff);
    SleepUntil(Clock::now() + backoff_, stop);
  }
}

void Worker::Connect() {
  Connection connection(options_.database_url);
  Flight(queue_).Prepare(connection);
  SettleDoubts(connection);
  connection.EnterPipeline();
  connection_ = std::move(connection);
}

// A transaction took place if the run has more events than it had before.
void Worker::SettleDoubts(Connection& connection) {
  if (doubts_.empty()) return;
  std::vector<std::string> ids;
  for (const Action& action : doubts_) ids.push_back(action.run->id);
  std::unordered_map<std::string, std::size_t> events;
  for (const auto& row :
       connection.Query("SELECT run_id, count(*) FROM public.workflow_events "
                        "WHERE run_id = ANY ($1::uuid[]) GROUP BY run_id",
                        {ArrayLiteral(ids)})) {
    events[row[0]] = std::stoul(row[1]);
  }
  for (Action& action : std::exchange(doubts_, {})) {
    if (events[action.run->id] > action.run->events) {
      Committed(std::move(action), 1);
    } else {
      agenda_.Add(std::move(action.run));
    }
  }
}

void Worker::AcceptRuns(Clock::time_point now) {
  const auto behaviour = shared_.behaviour.load();
  next_arrival_ = std::max(next_arrival_, now - kMostBehind);
  while (next_arrival_ <= now) {
    next_arrival_ += std::chrono::duration_cast<Clock::duration>(
        std::chrono::duration<double>(
            random_.Exponential(options_.rate / options_.connections)));
    const Workflow* workflow = behaviour->Pick(random_.Uniform());
    if (!workflow) continue;
    agenda_.Add(std::make_unique<Run>(
        Run{.id = NewUuid(),
            .workflow_id = workflow->id,
            .project_id = workflow->project_id,
            .plan = MakePlan(*workflow, options_.duration_scale, random_),
            .begun = now}));
  }
}

void Worker::FlyWhatIsDue(Clock::time_point now) {
  Flight flight(queue_);
  while (!flight.Full()) {
    auto action = agenda_.Take(now);
    if (!action) break;
    flight.Add(std::move(*action));
  }
  try {
    flight.Fly(*connection_,
               [this](std::vector<Action> actions, const Outcome& outcome) {
                 Settle(std::move(actions), outcome);
               });
  } catch (const ConnectionLost&) {
    doubts_ = flight.TakeUnsettled();
    throw;
  }
}

void Worker::Settle(std::vector<Action> actions, const Outcome& outcome) {
  if (outcome.error) shared_.Say(outcome.error->what());
  const auto later = Clock::now() + kRetryAfter;
  for (Action& action : actions) {
    if (!outcome.error) {
      Committed(std::move(action), outcome.affected);
    } else if (WorthRetrying(*outcome.error)) {
      agenda_.Add(std::move(action.run), later);
    } else if (actions.size() > 1) {
      action.run->alone = true;
      agenda_.Add(std::move(action.run));
    } else {
      GiveUp(action);
    }
  }
}

void Worker::Committed(Action action, long affected) {
  Totals& totals = shared_.totals;
  if (action.Starts()) {
    ++totals.started;
    ++totals.in_flight;
  }
  const Change change = action.change();
  action.run->events += action.Events();
  action.run->next = action.end;
  action.run->alone = false;
  if (!Finishes(change)) {
    agenda_.Add(std::move(action.run));
    return;
  }
  --totals.in_flight;
  ++(affected == 0                ? totals.superseded
     : change == Change::kSucceed ? totals.succeeded
     : change == Change::kFail    ? totals.failed
                                  : totals.canceled);
}

void Worker::GiveUp(const Action& action) {
  ++shared_.totals.rejected;
  if (!action.Starts()) --shared_.totals.in_flight;
}

void Worker::SleepUntil(Clock::time_point when, const std::stop_token& stop) {
  std::unique_lock lock(mutex_);
  wake_.wait_until(lock, stop, when, [] { return false; });
}

}  // namespace load
