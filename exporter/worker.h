// SPDX-License-Identifier: MIT
// Keeps the data layer fresh by calling its functions at an interval. All
// state and all pacing is the database's, so any number of exporters may do
// this at once, or pg_cron instead.
#pragma once

#include <chrono>
#include <map>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "exporter/backoff.h"
#include "exporter/conninfo.h"
#include "exporter/pg.h"

namespace meshhook {

// A function to call. Its query gives one boolean: true means that there is
// more to do.
struct Task {
  std::string name;  // as in metrics.worker_tasks; "" records its own failures
  std::string query;
  std::chrono::milliseconds interval;
  std::chrono::milliseconds timeout;
};

// The folds of runs and of steps, each second: short tasks that must not wait
// for the others.
std::vector<Task> FoldTasks();
// Trends, refreshes and housekeeping, which may take long.
std::vector<Task> UpkeepTasks();

// One thread with one connection, which works through its tasks.
class Worker {
 public:
  Worker(Conninfo conninfo, std::vector<Task> tasks,
         const pg::Interrupt* interrupt);
  // Waits for the thread; fire the interrupt first.
  ~Worker();
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

 private:
  struct Scheduled {
    Task task;
    pg::Clock::time_point due;
    Backoff backoff;
    std::string logged;  // the failure that was last logged
  };

  void Loop();
  void RunDue();
  void RunTask(Scheduled& scheduled);
  void NoteFailure(Scheduled& scheduled, const pg::Error& error);
  void Sleep(pg::Clock::time_point until) const;

  const Conninfo conninfo_;
  const pg::Interrupt* const interrupt_;
  std::vector<Scheduled> tasks_;
  std::optional<pg::Connection> connection_;
  bool told_missing_ = false;  // one line for a data layer that is not there
  Backoff backoff_;            // of connecting
  std::thread thread_;
};

}  // namespace meshhook
