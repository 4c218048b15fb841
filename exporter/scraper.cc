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

// What was answered makes no samples.
constexpr auto kDataException = "22000";

double Seconds(std::chrono::nanoseconds time) {
  return std::chrono::duration<double>(time).count();
}

// Names the database where it is not the given one.
pg::Error InDatabase(const pg::Error& error, const std::string& database) {
  if (database.empty()) return error;
  return {"database " + database + ": " + error.what(), error.sqlstate(),
          error.hint()};
}

bool IsFast(const Collector& collector) {
  return collector.interval.count() == 0;
}

}  // namespace

struct Scraper::Lanes {
  Lanes(const Conninfo& conninfo, std::vector<Collector> all,
        const DatabaseOptions& options, const pg::Interrupt* interrupt)
      : collectors(std::move(all)),
        fast(conninfo, collectors,
             {.excluded_schemas = RegexOf(options.excluded_schemas),
              .asks = IsFast},
             costs, interrupt),
        background(conninfo, collectors, options, costs) {}

  const std::vector<Collector> collectors;
  Costs costs;
  Session fast;
  Background background;
};

struct Scraper::Run {
  explicit Run(Format format, size_t expected_size = 0)
      : page(std::make_shared<Page>(format, expected_size)) {}

  std::shared_ptr<Page> page;
  size_t series = 0;  // on the page
  ScrapeStatus status;
  std::chrono::nanoseconds took{0};
  int round_trips = 0;
  double server_share = 0;
  const Costs* costs = nullptr;
  const Server* server = nullptr;  // what answered
};

Scraper::Scraper(Conninfo conninfo, std::vector<Collector> collectors,
                 const pg::Interrupt* interrupt, ScrapeOptions options)
    : conninfo_(std::move(conninfo)),
      interrupt_(interrupt),
      options_(std::move(options)),
      audience_(interrupt),
      lanes_(MakeLanes(std::move(collectors))),
      last_at_(pg::Clock::now()) {}

Scraper::~Scraper() = default;

std::shared_ptr<Scraper::Lanes> Scraper::MakeLanes(
    std::vector<Collector> collectors) {
  return std::make_shared<Lanes>(conninfo_, std::move(collectors),
                                 options_.databases, &audience_);
}

void Scraper::StartBackground(std::chrono::milliseconds timeout) {
  const std::lock_guard lock(mutex_);
  background_timeout_ = timeout;
  lanes_->background.Start(timeout);
}

std::shared_ptr<const Page> Scraper::Scrape(pg::Deadline deadline, int client,
                                            Format format) {
  const Audience::Seat seat(audience_, client);
  std::unique_lock lock(mutex_);
  while (busy_) {
    // The page of the scrape under way is as fresh as one of our own.
    const auto ended = [this, awaited = begun_] { return ended_ >= awaited; };
    if (!done_.wait_until(lock, deadline, ended)) {
      lock.unlock();
      return Unanswered(format);
    }
    if (page_ && page_->format() == format && !HasMoreTime(deadline)) {
      return page_;
    }
  }
  busy_ = true;
  ++begun_;
  auto replacement = std::exchange(replacement_, std::nullopt);
  lock.unlock();
  std::shared_ptr<const Page> page;
  try {
    if (replacement) TakeReplacement(std::move(*replacement));
    page = Collect(deadline, format);
  } catch (...) {  // out of memory: those who wait must not wait for ever
    lock.lock();
    End(nullptr);
    throw;
  }
  lock.lock();
  End(page);
  return page;
}

void Scraper::End(std::shared_ptr<const Page> page) {
  page_ = std::move(page);
  busy_ = false;
  ended_ = begun_;
  done_.notify_all();
}

bool Scraper::HasMoreTime(pg::Deadline deadline) const {
  return too_little_.count() > 0 && deadline - pg::Clock::now() > too_little_;
}

std::shared_ptr<const Page> Scraper::Unanswered(Format format) const {
  Run run(format);
  std::shared_ptr<const Lanes> lanes;
  {
    const std::lock_guard lock(mutex_);
    run.status.at = status_.at;
    run.status.up = status_.up;
    lanes = lanes_;
  }
  for (const auto& collector : lanes->collectors) {
    run.status.collectors.push_back({.name = collector.name});
  }
  run.costs = &lanes->costs;
  AppendSelf(run);
  return run.page;
}

void Scraper::Replace(std::vector<Collector> collectors) {
  const std::lock_guard lock(mutex_);
  replacement_ = std::move(collectors);
}

// What was learned of a collector says nothing of another of the same name.
void Scraper::TakeReplacement(std::vector<Collector> collectors) {
  auto lanes = MakeLanes(std::move(collectors));
  {
    const std::lock_guard lock(mutex_);
    std::swap(lanes, lanes_);
    if (background_timeout_.count() > 0) {
      lanes_->background.Start(background_timeout_);
    }
  }
  logged_.clear();
  last_server_time_ = {};
}

ScrapeStatus Scraper::Status() const {
  const std::lock_guard lock(mutex_);
  return status_;
}

std::shared_ptr<const Page> Scraper::Collect(pg::Deadline deadline,
                                             Format format) {
  const auto started = pg::Clock::now();
  audience_.Begin();
  if (audience_.fired()) return nullptr;  // gone before it began
  ++scrapes_;
  Run run(format, last_size_);
  run.costs = &lanes_->costs;
  for (const auto& metric : SelfMetrics()) {
    run.page->Take(metric.name, metric.type, "the exporter itself");
  }
  for (const auto& collector : lanes_->collectors) {
    run.status.collectors.push_back({.name = collector.name});
  }
  try {
    CollectAll(deadline, run);
    run.status.up = true;
  } catch (const pg::Error& error) {
    NoteUnreachable(error, run);
  }
  if (audience_.gone()) return nullptr;
  run.status.at = pg::Clock::now();
  run.took = run.status.at - started;
  run.server_share = Seconds(run.costs->server_time() - last_server_time_) /
                     Seconds(run.status.at - last_at_);
  last_server_time_ = run.costs->server_time();
  last_at_ = run.status.at;
  AppendSelf(run);
  last_size_ = run.page->text().size();
  const std::lock_guard lock(mutex_);
  too_little_ =
      run.status.at < deadline ? pg::Clock::duration(0) : deadline - started;
  status_ = std::move(run.status);
  return run.page;
}

void Scraper::CollectAll(pg::Deadline deadline, Run& run) {
  auto& [collectors, costs, fast, background] = *lanes_;
  std::vector<Part> parts(1);
  parts[0].answers = fast.Ask(deadline, HasMoreTime(deadline));
  run.round_trips = fast.round_trips();
  if (audience_.gone()) return;
  run.server = &fast.server();
  run.status.server =
      run.server->address + ", PostgreSQL " + run.server->short_version;
  NoteReached(*run.server);
  if (!background.started()) {
    background.AskDue(std::chrono::hours(1), deadline);
  }
  for (auto& part : background.Shelf()) parts.push_back(std::move(part));
  for (size_t i = 0; i < collectors.size(); ++i) Note(run, i, parts);
}

void Scraper::Note(Run& run, size_t index, std::vector<Part>& parts) {
  const auto& collector = lanes_->collectors[index];
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
      const auto& rows = *std::get<std::shared_ptr<const Rows>>(answer.value);
      if (answer.at < last_at_) lanes_->costs.NoteCacheHit(collector.name);
      if (&part != &parts.front()) {
        status.age =
            std::max(status.age.value_or(std::chrono::seconds(0)),
                     std::chrono::nanoseconds(pg::Clock::now() - answer.at));
      }
      auto samples = ToFamilies(collector, rows.result, rows.choice);
      status.dropped +=
          static_cast<size_t>(rows.choice.cut_rows) * collector.metrics.size();
      Merge(std::move(samples), families);
      status.rows += static_cast<int>(rows.choice.kept.size());
      status.bytes += answer.bytes;
      status.success = true;
    } catch (const pg::Error& error) {
      if (!failure) failure = InDatabase(error, part.database);
      if (!std::holds_alternative<pg::Error>(answer.value)) {
        lanes_->costs.NoteFailure(collector.name, kDataException);
      }
    }
  }
  try {
    RefuseDuplicates(families);
    run.page->Take(families, "collector " + collector.name);
  } catch (const pg::Error& error) {
    failure = error;
    families.clear();
    lanes_->costs.NoteFailure(collector.name, kDataException);
  }
  status.dropped += Cut(families, options_.max_series - run.series);
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
    if (run.server != nullptr) {
      self.Add("meshhook_exporter_collector_rows", collector.rows,
               {collector.name});
      self.Add("meshhook_exporter_collector_bytes",
               static_cast<double>(collector.bytes), {collector.name});
    }
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
  for (const auto& [name, cost] : run.costs->ByCollector()) {
    self.Add("meshhook_exporter_collector_server_seconds_total",
             Seconds(cost.server_time), {name});
    if (cost.cache_hits > 0) {
      self.Add("meshhook_exporter_collector_cache_hits_total",
               static_cast<double>(cost.cache_hits), {name});
    }
    for (const auto& [sqlstate_class, count] : cost.failures) {
      self.Add("meshhook_exporter_collector_failures_total",
               static_cast<double>(count), {name, sqlstate_class});
    }
  }
  self.Add("meshhook_exporter_server_seconds_total",
           Seconds(run.costs->server_time()));
  if (run.server != nullptr) {
    self.Add("meshhook_exporter_server_time_ratio", run.server_share);
    self.Add("meshhook_exporter_last_scrape_round_trips", run.round_trips);
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
  if (tell_) tell_(self);
  self.AddProcess();
  run.page->Append(self.families());
  run.page->End();
}

}  // namespace meshhook
