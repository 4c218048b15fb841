// SPDX-License-Identifier: MIT
// The program: reads its options, runs one command, and turns whatever stops
// it into one line with its remedy and exit status 2.
#include <malloc.h>
#include <pthread.h>

#include <csignal>
#include <iostream>

#include "collectors/all.h"
#include "exporter/check.h"
#include "exporter/errors.h"
#include "exporter/http.h"
#include "exporter/log.h"
#include "exporter/migrations.h"
#include "exporter/options.h"
#include "exporter/reference.h"
#include "exporter/remedy.h"
#include "exporter/uninstall.h"
#include "exporter/version.h"
#include "exporter/worker.h"

namespace meshhook {
namespace {

constexpr int kNeedsMending = 2;
// For a scrape that is under way when the program is to end.
constexpr std::chrono::milliseconds kLastScrape{1000};

// A scrape allocates much and frees it all. One arena for all threads, and big
// blocks and a free top given back, keep the process as small as one scrape.
void KeepMemorySmall() {
  mallopt(M_ARENA_MAX, 1);
  mallopt(M_MMAP_THRESHOLD, 128 * 1024);
  mallopt(M_TRIM_THRESHOLD, 256 * 1024);
}

sigset_t AwaitedSignals() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGHUP);
  return signals;
}

int Serve(const Conninfo& conninfo, const Options& options) {
  // Blocked in every thread, so that only the wait below takes them.
  const sigset_t signals = AwaitedSignals();
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  std::signal(SIGPIPE, SIG_IGN);

  pg::Interrupt interrupt;
  // Two, because a refresh may take long and the fold must not wait for it.
  std::optional<Worker> folder;
  std::optional<Worker> upkeeper;
  Scraper scraper(conninfo, options.collectors, &interrupt, options.scrape);
  std::optional<HttpServer> server(std::in_place, options.http, scraper);
  if (options.worker) {
    folder.emplace(conninfo, FoldTasks(), &interrupt);
    upkeeper.emplace(conninfo, UpkeepTasks(), &interrupt);
  }
  for (const int port : server->Ports()) {
    log::Info("serving", {{"port", std::to_string(port)},
                          {"path", options.http.telemetry_path},
                          {"version", kVersion},
                          {"worker", options.worker ? "on" : "off"}});
  }

  int signal = 0;
  while (sigwait(&signals, &signal) == 0 && signal == SIGHUP) {
    log::Warn("nothing is reloaded; restart to change settings",
              {{"signal", "SIGHUP"}});
  }
  log::Info("stopping", {{"signal", signal == SIGTERM ? "SIGTERM" : "SIGINT"}});
  server->AwaitIdle(pg::Clock::now() + kLastScrape);
  interrupt.Fire();
  server.reset();
  return 0;
}

int RunMigrate(const Options& options) {
  const auto progress = [](const std::string& line) {
    std::cout << line << std::endl;
  };
  if (options.uninstall) {
    Uninstall(Conninfo::FromEnvironment(ProcessEnvironment()),
              options.lock_patience, progress);
    return 0;
  }
  const auto migrations = options.migrations_directory.empty()
                              ? EmbeddedMigrations()
                              : ReadMigrations(options.migrations_directory);
  if (options.print_script) {
    std::cout << MigrationScript(migrations);
    return 0;
  }
  const auto conninfo = Conninfo::FromEnvironment(ProcessEnvironment());
  Migrate(conninfo, migrations, options.lock_patience, progress);
  if (options.backfill) Backfill(conninfo, progress);
  return 0;
}

int RunScrape(const Conninfo& conninfo, const Options& options) {
  Scraper scraper(conninfo, options.collectors, nullptr, options.scrape);
  std::cout << *scraper.Scrape(pg::Clock::now() + options.http.scrape_timeout);
  return scraper.Status().up ? 0 : kNeedsMending;
}

int Run(const Options& options) {
  switch (options.command) {
    case Command::kMetrics:
      std::cout << MetricsReference(collectors::All());
      return 0;
    case Command::kMigrate:
      return RunMigrate(options);
    case Command::kServe:
    case Command::kCheck:
    case Command::kScrape:
      break;
  }
  const auto conninfo = Conninfo::FromEnvironment(ProcessEnvironment());
  if (options.command == Command::kCheck) {
    return Check(conninfo, options, std::cout) ? 0 : kNeedsMending;
  }
  return options.command == Command::kScrape ? RunScrape(conninfo, options)
                                             : Serve(conninfo, options);
}

int Complain(const std::string& what, const std::string& remedy) {
  std::cerr << "meshhook-exporter: " << what
            << (remedy.empty() ? "" : "; to mend it: ") << remedy << '\n';
  return kNeedsMending;
}

// The exit status, when all that was printed has arrived.
int Flushed(int status) {
  if (!std::cout.flush()) {
    throw UsageError("cannot write to standard output",
                     "look for a full disk behind it");
  }
  return status;
}

}  // namespace
}  // namespace meshhook

int main(int argc, char** argv) {
  using meshhook::Complain;
  meshhook::KeepMemorySmall();
  try {
    const auto options = meshhook::ParseOptions(argc, argv);
    if (!options) return meshhook::Flushed(0);
    // What is wrong `check` says itself.
    const bool quiet = options->command == meshhook::Command::kCheck &&
                       options->log_level != meshhook::log::Level::kDebug;
    meshhook::log::Configure(
        quiet ? meshhook::log::Level::kError : options->log_level,
        options->log_format);
    return meshhook::Flushed(meshhook::Run(*options));
  } catch (const meshhook::UsageError& error) {
    return Complain(error.what(), error.remedy());
  } catch (const meshhook::pg::Error& error) {
    return Complain(error.what(), meshhook::RemedyFor(error));
  } catch (const std::exception& error) {
    return Complain(error.what(), "");
  }
}
