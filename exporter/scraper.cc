// SPDX-License-Identifier: MIT
#include "exporter/scraper.h"

#include <algorithm>
#include <utility>

#include "exporter/families.h"
#include "exporter/log.h"
#include "exporter/remedy.h"
#include "exporter/self_metrics.h"

namespace meshhook {
namespace {

double Seconds(std::chrono::nanoseconds time) {
  return std::chrono::duration<double>(time).count();
}

// Names the database where there are several.
pg::Error InDatabase(const pg::Error& error, const std::string& database,
                     size_t databases) {
  if (databases == 1) return error;
  return {"database " + database + ": " + error.what(), error.sqlstate(),
          error.hint()};
}

}  // namespace

struct Scraper::Run {
  explicit Run(Format format) : page(std::make_shared<Page>(format)) {}

  std::shared_ptr<Page> page;
  size_t series = 0;  // on the page
  ScrapeStatus status;
  std::chrono::nanoseconds took{0};
  const Server* server = nullptr;  // what answered
};

Scraper::Scraper(Conninfo conninfo, std::vector<Collector> collectors,
                 const pg::Interrupt* interrupt, ScrapeOptions options)
    : conninfo_(std::move(conninfo)),
      interrupt_(interrupt),
      max_series_(options.max_series),
      collectors_(std::move(collectors)),
      databases_(conninfo_, std::move(options.databases), interrupt) {}

std::shared_ptr<const Page> Scraper::Scrape(pg::Deadline deadline,
                                            Format format) {
  std::unique_lock lock(mutex_);
  while (busy_) {
    // The page of the scrape under way is as fresh as one of our own.
    if (!done_.wait_until(lock, deadline, [this] { return !busy_; })) {
      lock.unlock();
      return Unanswered(format);
    }
    if (page_ && page_->format() == format && !HasMoreTime(deadline)) {
      return page_;
    }
  }
  busy_ = true;
  TakeReplacement();
  lock.unlock();
  std::shared_ptr<const Page> page;
  try {
    page = Collect(deadline, format);
  } catch (...) {  // out of memory: those who wait must not wait for ever
    lock.lock();
    page_.reset();
    busy_ = false;
    done_.notify_all();
    throw;
  }
  lock.lock();
  page_ = std::move(page);
  busy_ = false;
  done_.notify_all();
  return page_;
}

bool Scraper::HasMoreTime(pg::Deadline deadline) const {
  return too_little_.count() > 0 && deadline - pg::Clock::now() > too_little_;
}

std::shared_ptr<const Page> Scraper::Unanswered(Format format) const {
  Run run(format);
  const auto last = Status();
  run.status.at = last.at;
  run.status.up = last.up;
  {
    const std::lock_guard lock(mutex_);
    for (const auto& collector : collectors_) {
      run.status.collectors.push_back({.name = collector.name});
    }
  }
  AppendSelf(run);
  return run.page;
}

void Scraper::Replace(std::vector<Collector> collectors) {
  const std::lock_guard lock(mutex_);
  replacement_ = std::move(collectors);
}

// What was learned of a collector says nothing of another of the same name.
void Scraper::TakeReplacement() {
  if (!replacement_) return;
  collectors_ = std::move(*replacement_);
  replacement_.reset();
  databases_.Forget();
  logged_.clear();
}

ScrapeStatus Scraper::Status() const {
  const std::lock_guard lock(mutex_);
  return status_;
}

std::shared_ptr<const Page> Scraper::Collect(pg::Deadline deadline,
                                             Format format) {
  const auto started = pg::Clock::now();
  ++scrapes_;
  Run run(format);
  for (const auto& metric : SelfMetrics()) {
    run.page->Take(metric.name, metric.type, "the exporter itself");
  }
  for (const auto& collector : collectors_) {
    run.status.collectors.push_back({.name = collector.name});
  }
  try {
    CollectAll(deadline, run);
    run.status.up = true;
  } catch (const pg::Error& error) {
    NoteUnreachable(error, run);
  }
  run.status.at = pg::Clock::now();
  run.took = run.status.at - started;
  AppendSelf(run);
  const std::lock_guard lock(mutex_);
  too_little_ =
      run.status.at < deadline ? pg::Clock::duration(0) : deadline - started;
  status_ = std::move(run.status);
  return run.page;
}

void Scraper::CollectAll(pg::Deadline deadline, Run& run) {
  auto parts = databases_.Ask(collectors_, deadline, HasMoreTime(deadline));
  run.server = &parts[0].session->server();
  run.status.server =
      run.server->address + ", PostgreSQL " + run.server->short_version;
  NoteReached(*run.server);
  for (size_t i = 0; i < collectors_.size(); ++i) Note(run, i, parts);
}

void Scraper::Note(Run& run, size_t index, std::vector<Part>& parts) {
  const auto& collector = collectors_[index];
  auto& status = run.status.collectors[index];
  std::vector<Family> families;
  std::optional<pg::Error> failure;
  std::string absent;
  for (auto& part : parts) {
    const auto found = part.answers.find(index);
    if (found == part.answers.end()) continue;
    // Its rows are freed as soon as they are samples.
    const auto answer = std::move(found->second);
    status.took += answer.took;
    try {
      if (const auto* error = std::get_if<pg::Error>(&answer.value)) {
        if (!answer.silent) throw *error;
        absent = error->what();
        continue;
      }
      const auto& rows =
          *std::get<std::shared_ptr<const pg::Result>>(answer.value);
      if (collector.interval.count() > 0) {
        status.age =
            std::max(status.age.value_or(std::chrono::seconds(0)),
                     std::chrono::nanoseconds(pg::Clock::now() - answer.at));
      }
      auto choice = part.session->Choose(collector, rows);
      auto samples = ToFamilies(collector, rows, choice);
      status.dropped +=
          static_cast<size_t>(choice.cut_rows) * collector.metrics.size();
      Merge(std::move(samples), families);
      status.rows += static_cast<int>(choice.kept.size());
      status.success = true;
    } catch (const pg::Error& error) {
      if (!failure) failure = InDatabase(error, part.database, parts.size());
    }
  }
  try {
    RefuseDuplicates(families);
    run.page->Take(families, "collector " + collector.name);
  } catch (const pg::Error& error) {
    failure = error;
    families.clear();
  }
  status.dropped += Cut(families, max_series_ - run.series);
  run.series += SeriesIn(families);
  run.page->Append(families);

  if (failure) {
    NoteFailure(status, *failure);
  } else if (status.success) {
    logged_.erase(status.name);
  } else {
    NoteSilence(status, absent);
  }
}

void Scraper::NoteFailure(CollectorStatus& status, const pg::Error& error) {
  status.success = false;
  status.reason = conninfo_.Redact(error.what());
  status.remedy = RemedyFor(error);
  if (auto& last = logged_[status.name]; last != status.reason) {
    last = status.reason;
    log::Warn("collector failed", {{"collector", status.name},
                                   {"reason", status.reason},
                                   {"sqlstate", error.sqlstate()},
                                   {"remedy", status.remedy}});
  }
}

void Scraper::NoteSilence(CollectorStatus& status, const std::string& absent) {
  status.silent = true;
  status.reason = absent;
  if (auto& last = logged_[status.name]; last != absent) {
    last = absent;
    log::Info("collector has nothing to read",
              {{"collector", status.name}, {"reason", absent}});
  }
}

void Scraper::NoteReached(const Server& server) {
  unreachable_.clear();
  if (std::exchange(reached_, true)) return;
  log::Info("connected to the database", {{"server", server.address},
                                          {"database", server.database},
                                          {"user", server.user},
                                          {"version", server.short_version}});
}

void Scraper::NoteUnreachable(const pg::Error& error, Run& run) {
  reached_ = false;
  run.status.reason = conninfo_.Redact(error.what());
  run.status.remedy = RemedyFor(error);
  for (auto& collector : run.status.collectors) {
    collector = {.name = collector.name,
                 .reason = run.status.reason,
                 .remedy = run.status.remedy};
  }
  // Cut short by the program's own end it says nothing of the database.
  if (interrupt_ != nullptr && interrupt_->fired()) return;
  if (unreachable_ != error.what()) {
    log::Error("the database cannot be reached",
               {{"source", conninfo_.source()},
                {"reason", run.status.reason},
                {"remedy", run.status.remedy}});
  }
  unreachable_ = error.what();
}

void Scraper::AppendSelf(Run& run) const {
  SelfSamples self;
  bool all_succeeded = run.server != nullptr;
  for (const auto& collector : run.status.collectors) {
    self.Add("meshhook_exporter_series_dropped",
             static_cast<double>(collector.dropped), {collector.name});
    if (collector.silent) continue;
    if (collector.age) {
      self.Add("meshhook_exporter_collector_age_seconds",
               Seconds(*collector.age), {collector.name});
    }
    self.Add("pg_scrape_collector_duration_seconds", Seconds(collector.took),
             {collector.name});
    self.Add("pg_scrape_collector_success", collector.success ? 1 : 0,
             {collector.name});
    all_succeeded = all_succeeded && collector.success;
  }
  if (run.status.at != pg::Clock::time_point{}) {
    self.Add("pg_up", run.status.up ? 1 : 0);
  }
  self.Add("pg_exporter_last_scrape_duration_seconds", Seconds(run.took));
  self.Add("pg_exporter_last_scrape_error", all_succeeded ? 0 : 1);
  self.Add("pg_exporter_scrapes_total", static_cast<double>(scrapes_));
  if (run.server != nullptr) {
    self.Add("pg_static", 1,
             {run.server->address, run.server->full_version,
              run.server->short_version});
  }
  self.AddProcess();
  run.page->Append(self.families());
  run.page->End();
}

}  // namespace meshhook
