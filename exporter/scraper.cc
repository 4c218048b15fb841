// SPDX-License-Identifier: MIT
#include "exporter/scraper.h"

#include <algorithm>
#include <utility>

#include "exporter/families.h"
#include "exporter/log.h"
#include "exporter/remedy.h"
#include "exporter/self_metrics.h"
#include "exporter/statement.h"
#include "exporter/text_format.h"

namespace meshhook {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kMostBackoff{10000};
constexpr std::chrono::seconds kLearnInterval{60};

constexpr auto kVersionQuery =
    "SELECT current_setting('server_version_num'), version(), "
    "current_setting('server_version')";
constexpr auto kExtensionsQuery =
    "SELECT extname, quote_ident(nspname) "
    "FROM pg_extension JOIN pg_namespace AS n ON n.oid = extnamespace";

// Half of what is left for any one query, so that a slow one leaves time for
// the others, and a tenth for any lock.
pg::Guard GuardFor(pg::Deadline deadline) {
  const auto left =
      std::chrono::duration_cast<milliseconds>(deadline - pg::Clock::now());
  return {.statement_timeout = std::max(left / 2, milliseconds(50)),
          .lock_timeout = std::max(left / 10, milliseconds(20))};
}

double Seconds(std::chrono::nanoseconds time) {
  return std::chrono::duration<double>(time).count();
}

}  // namespace

struct Scraper::Run {
  std::string page;
  ScrapeStatus status;
  std::chrono::nanoseconds took{0};
  const Server* server = nullptr;  // what answered
};

Scraper::Scraper(Conninfo conninfo, std::vector<Collector> collectors,
                 const pg::Interrupt* interrupt)
    : conninfo_(std::move(conninfo)),
      collectors_(std::move(collectors)),
      interrupt_(interrupt),
      backoff_(kMostBackoff) {}

std::shared_ptr<const std::string> Scraper::Scrape(pg::Deadline deadline) {
  std::unique_lock lock(mutex_);
  while (busy_) {
    // The page of the scrape under way is as fresh as one of our own.
    if (!done_.wait_until(lock, deadline, [this] { return !busy_; })) {
      lock.unlock();
      return Unanswered();
    }
    if (page_ && !HasMoreTime(deadline)) return page_;
  }
  busy_ = true;
  lock.unlock();
  std::shared_ptr<const std::string> page;
  try {
    page = std::make_shared<const std::string>(Collect(deadline));
  } catch (...) {  // out of memory: those who wait must not wait for ever
    connection_.reset();
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

std::shared_ptr<const std::string> Scraper::Unanswered() const {
  Run run;
  const auto last = Status();
  run.status.at = last.at;
  run.status.up = last.up;
  for (const auto& collector : collectors_) {
    run.status.collectors.push_back({.name = collector.name});
  }
  std::string page;
  AppendSelf(run, page);
  return std::make_shared<const std::string>(std::move(page));
}

ScrapeStatus Scraper::Status() const {
  const std::lock_guard lock(mutex_);
  return status_;
}

std::string Scraper::Collect(pg::Deadline deadline) {
  const auto started = pg::Clock::now();
  ++scrapes_;
  Run run;
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
  AppendSelf(run, run.page);
  const std::lock_guard lock(mutex_);
  too_little_ =
      run.status.at < deadline ? pg::Clock::duration(0) : deadline - started;
  status_ = std::move(run.status);
  return std::move(run.page);
}

void Scraper::Connect(pg::Deadline deadline) {
  if (backoff_.Waiting(pg::Clock::now()) && unreachable_ &&
      !HasMoreTime(deadline)) {
    throw *unreachable_;
  }
  connection_ = pg::Connection::Open(conninfo_, deadline, interrupt_);
  Learn(deadline);
}

void Scraper::Learn(pg::Deadline deadline) {
  server_.address = connection_->host() + ":" + connection_->port();
  server_.database = connection_->database();
  server_.user = connection_->user();
  const auto outcomes =
      connection_->Flight({{kVersionQuery, {}}, {kExtensionsQuery, {}}},
                          GuardFor(deadline), deadline);
  const auto& version = outcomes[0].rows();
  server_.version = std::stoi(version.Text(0, 0));
  server_.full_version = version.Text(0, 1);
  // Debian adds its own name behind the number.
  server_.short_version =
      version.Text(0, 2).substr(0, version.Text(0, 2).find(' '));
  server_.extension_schemas.clear();
  const auto& extensions = outcomes[1].rows();
  for (int row = 0; row < extensions.rows(); ++row) {
    server_.extension_schemas[extensions.Text(row, 0)] =
        extensions.Text(row, 1);
  }
  learned_at_ = pg::Clock::now();
  missing_.clear();
}

void Scraper::CollectAll(pg::Deadline deadline, Run& run) {
  const bool kept = connection_ && connection_->open();
  try {
    CollectOnce(deadline, run);
  } catch (const pg::Error&) {
    // A kept session that a pooler or an administrator has ended since is no
    // outage if a new one answers.
    if (!kept || connection_->open() || pg::Clock::now() >= deadline) throw;
    CollectOnce(deadline, run);
  }
  run.server = &server_;
  NoteReached();
}

void Scraper::CollectOnce(pg::Deadline deadline, Run& run) {
  if (!connection_ || !connection_->open()) {
    Connect(deadline);
  } else if (pg::Clock::now() - learned_at_ > kLearnInterval) {
    Learn(deadline);
  }
  run.status.server = server_.address + ", PostgreSQL " + server_.short_version;

  std::vector<pg::Query> queries;
  std::vector<size_t> asked;
  for (size_t i = 0; i < collectors_.size(); ++i) {
    const Collector& collector = collectors_[i];
    if (server_.version < collector.min_server_version) {
      missing_.insert_or_assign(
          collector.name,
          pg::Error("it needs PostgreSQL " +
                        std::to_string(collector.min_server_version / 10000),
                    "", "switch off with --no-collector." + collector.name));
    }
    std::optional<pg::Query> query;
    try {
      query = StatementFor(collector, server_, "^$");
    } catch (const pg::Error& error) {
      missing_.insert_or_assign(collector.name, error);
    }
    if (const auto known = missing_.find(collector.name);
        known != missing_.end()) {
      NoteFailure(run.status.collectors[i], known->second);
      continue;
    }
    queries.push_back(std::move(*query));
    asked.push_back(i);
  }
  // Something must be asked, or a dead session would pass for a live one.
  if (queries.empty()) queries.push_back({"SELECT", {}});
  const auto outcomes =
      connection_->Flight(queries, GuardFor(deadline), deadline);
  for (size_t i = 0; i < asked.size(); ++i) Note(run, asked[i], outcomes[i]);
}

void Scraper::Note(Run& run, size_t index, const pg::Outcome& outcome) {
  auto& status = run.status.collectors[index];
  status.took = outcome.took;
  try {
    const auto& rows = outcome.rows();
    AppendText(ToFamilies(collectors_[index], rows), run.page);
    status.rows = rows.rows();
    status.success = true;
    logged_.erase(status.name);
  } catch (const pg::Error& error) {
    if (IsMissing(error)) missing_.insert_or_assign(status.name, error);
    NoteFailure(status, error);
  }
}

void Scraper::NoteFailure(CollectorStatus& status, const pg::Error& error) {
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

void Scraper::NoteReached() {
  backoff_.Succeeded();
  unreachable_.reset();
  if (std::exchange(reached_, true)) return;
  log::Info("connected to the database", {{"server", server_.address},
                                          {"database", server_.database},
                                          {"user", server_.user},
                                          {"version", server_.short_version}});
}

void Scraper::NoteUnreachable(const pg::Error& error, Run& run) {
  connection_.reset();
  reached_ = false;
  const auto now = pg::Clock::now();
  if (!backoff_.Waiting(now)) backoff_.Failed(now);
  run.status.reason = conninfo_.Redact(error.what());
  run.status.remedy = RemedyFor(error);
  for (auto& collector : run.status.collectors) {
    collector = {.name = collector.name,
                 .reason = run.status.reason,
                 .remedy = run.status.remedy};
  }
  // Cut short by the program's own end it says nothing of the database.
  if (interrupt_ != nullptr && interrupt_->fired()) return;
  if (!unreachable_ || std::string(unreachable_->what()) != error.what()) {
    log::Error("the database cannot be reached",
               {{"source", conninfo_.source()},
                {"reason", run.status.reason},
                {"remedy", run.status.remedy}});
  }
  unreachable_ = error;
}

void Scraper::AppendSelf(const Run& run, std::string& page) const {
  SelfSamples self;
  bool all_succeeded = run.server != nullptr;
  for (const auto& collector : run.status.collectors) {
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
  AppendText(self.families(), page);
}

}  // namespace meshhook
