// SPDX-License-Identifier: MIT
// The scrape engine: asks the fast lane in one round trip, takes what the slow
// one has on its shelf, and writes the page.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "exporter/audience.h"
#include "exporter/background.h"
#include "exporter/collector.h"
#include "exporter/conninfo.h"
#include "exporter/costs.h"
#include "exporter/page.h"
#include "exporter/pg.h"
#include "exporter/self_metrics.h"

namespace meshhook {

// How a collector did when it last ran.
struct CollectorStatus {
  std::string name;
  bool success = false;
  bool silent = false;      // there is nothing to read: no failure
  std::string reason = {};  // why not; "" on success
  std::string remedy = {};
  std::chrono::nanoseconds took{0};  // in all databases
  int rows = 0;
  size_t bytes = 0;    // of those rows, as they came
  size_t dropped = 0;  // series, by its limit or the budget
  // Of the oldest rows; nullopt for a collector that is asked every time.
  std::optional<std::chrono::nanoseconds> age = {};
};

struct ScrapeStatus {
  pg::Clock::time_point at{};  // when it ended; the epoch before the first
  bool up = false;
  std::string reason;  // why the database cannot be reached
  std::string remedy = {};
  std::string server;  // host:port, version; "" before the first contact
  std::vector<CollectorStatus> collectors;
};

struct ScrapeOptions {
  DatabaseOptions databases = {};
  size_t max_series = 250'000;  // on a page; the collectors' order decides
};

// Thread-safe. Scrapes that come while one is under way share its page, unless
// it had too little time and they have more, or want another format.
class Scraper {
 public:
  Scraper(Conninfo conninfo, std::vector<Collector> collectors,
          const pg::Interrupt* interrupt, ScrapeOptions options = {});
  ~Scraper();

  // From now on the slow lane has a thread of its own, and each database so
  // long to answer it. Until then a scrape asks it as well, in line.
  void StartBackground(std::chrono::milliseconds timeout);

  // The page in that format. Always gives one, by about the deadline: with what
  // the database answered until then, or `pg_up 0` when that was nothing.
  // Null where the client, if that is its socket, and all who shared the scrape
  // have hung up: then what still ran in the database was cancelled.
  std::shared_ptr<const Page> Scrape(pg::Deadline deadline, int client = -1,
                                     Format format = Format::kText);

  // What others have to tell beside the exporter itself, on every page. To be
  // called before the first scrape; it is called by the thread that scrapes.
  void AlsoTell(std::function<void(SelfSamples&)> tell) {
    tell_ = std::move(tell);
  }

  // From the next scrape on these are its collectors.
  void Replace(std::vector<Collector> collectors);

  // As the last scrape found it.
  ScrapeStatus Status() const;

 private:
  struct Lanes;
  struct Run;  // one scrape under way

  std::shared_ptr<Lanes> MakeLanes(std::vector<Collector> collectors);
  void TakeReplacement(std::vector<Collector> collectors);
  std::shared_ptr<const Page> Collect(pg::Deadline deadline, Format format);
  // Of a scrape, with its page if it has one; under the mutex.
  void End(std::shared_ptr<const Page> page);
  // Whether the last scrape was cut short, and one until that deadline would
  // have longer.
  bool HasMoreTime(pg::Deadline deadline) const;
  // The page for those whose time is over while the scrape they wait for still
  // runs, because its client allows it longer. Whether the database is up it
  // says as it was last known.
  std::shared_ptr<const Page> Unanswered(Format format) const;
  void CollectAll(pg::Deadline deadline, Run& run);
  // The samples of one collector, of all databases.
  void Note(Run& run, size_t index, std::vector<Part>& parts);
  void NoteFailure(CollectorStatus& status, const pg::Error& error);
  void NoteSilence(CollectorStatus& status, const std::string& absent);
  void NoteReached(const Server& server);
  void NoteUnreachable(const pg::Error& error, Run& run);
  // What the exporter says of itself, which ends the page.
  void AppendSelf(Run& run) const;

  const Conninfo conninfo_;
  const pg::Interrupt* const interrupt_;
  const ScrapeOptions options_;
  Audience audience_;

  // Guards the sharing of pages; never held while the database is asked.
  mutable std::mutex mutex_;
  std::condition_variable done_;
  bool busy_ = false;
  std::uint64_t begun_ = 0;  // scrapes
  std::uint64_t ended_ = 0;
  std::shared_ptr<const Page> page_;  // of the last that ended; or null
  // The time that the last scrape had, if that was not enough; else 0.
  pg::Clock::duration too_little_{0};
  ScrapeStatus status_;
  std::optional<std::vector<Collector>> replacement_;
  // Others are put in their place only where no scrape is under way.
  std::shared_ptr<Lanes> lanes_;
  std::chrono::milliseconds background_timeout_{0};  // 0: not started

  std::function<void(SelfSamples&)> tell_;

  // Touched only by the one thread that collects.
  bool reached_ = false;                          // as was logged
  std::string unreachable_;                       // as was logged
  std::map<std::string, std::string> logged_;     // collector → reason
  size_t last_size_ = 0;                          // of a page
  pg::Clock::time_point last_at_;                 // when the last one ended
  std::chrono::nanoseconds last_server_time_{0};  // all that was taken by then

  std::atomic<std::uint64_t> scrapes_{0};
};

}  // namespace meshhook
