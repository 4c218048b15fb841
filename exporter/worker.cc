// SPDX-License-Identifier: MIT
#include "exporter/worker.h"

#include <poll.h>

#include <algorithm>
#include <utility>

#include "exporter/log.h"
#include "exporter/remedy.h"

namespace meshhook {
namespace {

using std::chrono::milliseconds;
using namespace std::chrono_literals;

constexpr milliseconds kMostBackoff{15000};
constexpr milliseconds kConnectTimeout{10000};
// The client's own deadline comes after the server's, so that a slow statement
// ends with a reason and a session that can go on.
constexpr milliseconds kGrace{2000};
constexpr milliseconds kLockTimeout{1000};

// A standby cannot fold; it reads what the primary folded.
std::string OnPrimary(const std::string& expression) {
  return "SELECT CASE WHEN NOT pg_is_in_recovery() THEN " + expression + " END";
}

}  // namespace

std::vector<Task> FoldTasks() {
  return {{.name = "fold",
           .query = OnPrimary("metrics.fold(200000) >= 200000"),
           .interval = 1s,
           .timeout = 120s},
          {.name = "steps",
           .query = OnPrimary("metrics.fold_steps(2000) >= 2000"),
           .interval = 1s,
           .timeout = 120s}};
}

std::vector<Task> UpkeepTasks() {
  return {{.name = "trends",
           .query = OnPrimary("metrics.fold_trends(200000) >= 200000"),
           .interval = 10s,
           .timeout = 120s},
          {.name = "maintenance",
           .query = OnPrimary("metrics.maintain() > 0"),
           .interval = 1h,
           .timeout = 120s},
          {.name = "",
           .query = OnPrimary("metrics.refresh_if_due() IS NOT NULL"),
           .interval = 1s,
           .timeout = 600s}};
}

Worker::Worker(Conninfo conninfo, std::vector<Task> tasks,
               const pg::Interrupt* interrupt)
    : conninfo_(std::move(conninfo)),
      interrupt_(interrupt),
      backoff_(kMostBackoff) {
  for (auto& task : tasks) {
    tasks_.push_back(
        {std::move(task), pg::Clock::now(), Backoff(kMostBackoff), ""});
  }
  thread_ = std::thread(&Worker::Loop, this);
}

Worker::~Worker() { thread_.join(); }

void Worker::Loop() {
  while (!interrupt_->fired()) {
    try {
      if (!backoff_.Waiting(pg::Clock::now())) RunDue();
    } catch (const std::exception& error) {  // out of memory, or of threads
      connection_.reset();
      backoff_.Failed(pg::Clock::now());
      log::Error("the worker failed", {{"reason", error.what()}});
    }
    auto next = pg::Clock::now() + 1s;
    for (const auto& scheduled : tasks_) next = std::min(next, scheduled.due);
    Sleep(std::max(next, pg::Clock::now() + 50ms));
  }
}

// A task that fails is tried again later and later while the others go on; but
// without a connection there is nothing to try.
void Worker::RunDue() {
  for (auto& scheduled : tasks_) {
    if (interrupt_->fired()) return;
    const auto now = pg::Clock::now();
    if (now < scheduled.due || scheduled.backoff.Waiting(now)) continue;
    try {
      RunTask(scheduled);
      backoff_.Succeeded();
      scheduled.backoff.Succeeded();
      scheduled.logged.clear();
    } catch (const pg::Error& error) {
      if (interrupt_->fired()) return;
      NoteFailure(scheduled, error);
      if (!connection_ || !connection_->open()) {
        backoff_.Failed(pg::Clock::now());
        return;
      }
      scheduled.backoff.Failed(pg::Clock::now());
    }
  }
}

void Worker::RunTask(Scheduled& scheduled) {
  const auto& task = scheduled.task;
  if (!connection_ || !connection_->open()) {
    connection_ = pg::Connection::Open(
        conninfo_, pg::Clock::now() + kConnectTimeout, interrupt_);
    told_missing_ = false;
  }
  const pg::Guard guard{.statement_timeout = task.timeout,
                        .lock_timeout = kLockTimeout,
                        .read_only = false};
  const auto started = pg::Clock::now();
  const auto result = connection_->Run({task.query, {}}, guard,
                                       started + task.timeout + kGrace);
  const auto ended = pg::Clock::now();
  // A backlog leaves the server, and this thread's other tasks, half the time.
  scheduled.due = result.Text(0, 0) == "t" ? ended + (ended - started)
                                           : started + task.interval;
}

void Worker::NoteFailure(Scheduled& scheduled, const pg::Error& error) {
  const auto& task = scheduled.task;
  const std::string reason = conninfo_.Redact(error.what());
  const bool told = scheduled.logged == reason ||
                    (IsMissing(error) && std::exchange(told_missing_, true));
  if (!told) {
    scheduled.logged = reason;
    log::Warn("task failed",
              {{"task", task.name.empty() ? "refresh" : task.name},
               {"reason", reason},
               {"sqlstate", error.sqlstate()},
               {"remedy", RemedyFor(error)}});
  }
  if (task.name.empty() || error.sqlstate().empty() || IsMissing(error) ||
      !connection_ || !connection_->open()) {
    return;
  }
  try {
    connection_->Run(
        {"SELECT metrics.record_task($1, clock_timestamp(), NULL, $2)",
         {task.name, error.sqlstate()}},
        {.statement_timeout = kLockTimeout,
         .lock_timeout = kLockTimeout,
         .read_only = false},
        pg::Clock::now() + kGrace);
  } catch (const pg::Error& unrecorded) {
    log::Debug("the failure could not be recorded",
               {{"reason", conninfo_.Redact(unrecorded.what())}});
  }
}

void Worker::Sleep(pg::Clock::time_point until) const {
  const auto left =
      std::chrono::ceil<milliseconds>(until - pg::Clock::now()).count();
  pollfd polled{interrupt_->fd(), POLLIN, 0};
  poll(&polled, 1, static_cast<int>(std::max<long>(left, 0)));
}

}  // namespace meshhook
