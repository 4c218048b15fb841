// SPDX-License-Identifier: MIT
// The scrape engine: runs every collector over one kept connection, in one
// round trip, and writes the page.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "exporter/backoff.h"
#include "exporter/collector.h"
#include "exporter/conninfo.h"
#include "exporter/pg.h"

namespace meshhook {

// How a collector did when it last ran.
struct CollectorStatus {
  std::string name;
  bool success = false;
  std::string reason = {};  // why not; "" on success
  std::string remedy = {};
  std::chrono::nanoseconds took{0};
  int rows = 0;
};

struct ScrapeStatus {
  bool up = false;
  std::string reason;  // why the database cannot be reached
  std::string remedy = {};
  std::string server;  // host:port, version; "" before the first contact
  std::vector<CollectorStatus> collectors;
};

// Thread-safe. Scrapes that come while one is under way share its page.
class Scraper {
 public:
  Scraper(Conninfo conninfo, std::vector<Collector> collectors,
          const pg::Interrupt* interrupt);

  // The page in the text format. Always gives one by about the deadline; with
  // `pg_up 0` when the database does not answer.
  std::shared_ptr<const std::string> Scrape(pg::Deadline deadline);

  // As the last scrape found it.
  ScrapeStatus Status() const;

 private:
  // What the server is and has; looked up now and then.
  struct Server {
    int version = 0;
    std::string full_version;
    std::string short_version;
    std::string literal;  // host:port, quoted for SQL
    std::map<std::string, std::string> extension_schemas;  // quoted
  };

  struct Run;  // one scrape under way

  void Connect(pg::Deadline deadline);
  void Learn(pg::Deadline deadline);
  std::string Collect(pg::Deadline deadline);
  // The page for those whose time is over while the scrape they wait for still
  // runs, because its client allows it longer.
  std::shared_ptr<const std::string> Unanswered() const;
  void CollectAll(pg::Deadline deadline, Run& run);
  void Note(Run& run, size_t index, const pg::Outcome& outcome);
  void NoteFailure(CollectorStatus& status, const pg::Error& error);
  void NoteUnreachable(const pg::Error& error, Run& run);
  void AppendSelf(const Run& run, std::string& page) const;

  const Conninfo conninfo_;
  const std::vector<Collector> collectors_;
  const pg::Interrupt* const interrupt_;

  // Guards the sharing of pages; never held while the database is asked.
  mutable std::mutex mutex_;
  std::condition_variable done_;
  bool busy_ = false;
  std::shared_ptr<const std::string> page_;
  ScrapeStatus status_;

  // Touched only by the one thread that collects.
  std::optional<pg::Connection> connection_;
  Backoff backoff_;
  std::optional<pg::Error> unreachable_;
  Server server_;
  pg::Clock::time_point learned_at_{};
  // Collectors that cannot work until the database changes; asked again when
  // the server is looked at anew.
  std::map<std::string, pg::Error> missing_;
  std::map<std::string, std::string> logged_;  // collector → reason

  std::atomic<std::uint64_t> scrapes_{0};
};

}  // namespace meshhook
