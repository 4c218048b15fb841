// SPDX-License-Identifier: MIT
// The program: reads its options, runs one command, and turns whatever stops
// it into one line with its remedy and exit status 2.
#include <malloc.h>
#include <pthread.h>

#include <csignal>
#include <iostream>

#include "collectors/all.h"
#include "exporter/api/server.h"
#include "exporter/check.h"
#include "exporter/custom/collectors.h"
#include "exporter/errors.h"
#include "exporter/explain.h"
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

// As main() got it.
struct CommandLine {
  int count;
  const char* const* words;
};

void LogFault(log::Level level, const char* message, const FileFault& fault) {
  const auto write = level == log::Level::kError ? log::Error : log::Warn;
  write(message, {{"file", fault.file},
                  {"line", fault.line == 0 ? "" : std::to_string(fault.line)},
                  {"reason", fault.what},
                  {"remedy", fault.remedy}});
}

void LogFiles(const Options& options) {
  for (const auto& fault : options.skipped) {
    LogFault(log::Level::kWarn, "custom collector skipped", fault);
  }
  for (const auto& advice : options.advice) {
    LogFault(log::Level::kWarn, "custom collector can be better", advice);
  }
}

// What a start with the same command line would run, the scraper runs from the
// next scrape on; where it would refuse to start, all stays as it is.
void Reload(const CommandLine& command_line, Scraper& scraper) {
  constexpr auto kKept = "not reloaded; the collectors stay as they were";
  try {
    auto options = ParseOptions(command_line.count, command_line.words);
    LogFiles(*options);
    const size_t count = options->collectors.size();
    scraper.Replace(std::move(options->collectors));
    log::Info("collectors reloaded", {{"on", std::to_string(count)}});
  } catch (const InvalidCollectors& error) {
    for (const auto& fault : error.faults()) {
      LogFault(log::Level::kError, kKept, fault);
    }
  } catch (const UsageError& error) {
    log::Error(kKept, {{"reason", error.what()}, {"remedy", error.remedy()}});
  }
}

int Serve(const Conninfo& conninfo, const Options& options,
          const CommandLine& command_line) {
  // Blocked in every thread, so that only the wait below takes them.
  const sigset_t signals = AwaitedSignals();
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  std::signal(SIGPIPE, SIG_IGN);

  pg::Stop interrupt;
  // Two, because a refresh may take long and the fold must not wait for it.
  std::optional<Worker> folder;
  std::optional<Worker> upkeeper;
  Scraper scraper(conninfo, options.collectors, &interrupt, options.scrape);
  scraper.StartBackground(options.http.scrape_timeout);
  std::optional<api::Server> api;
  if (!options.api.listen_addresses.empty()) {
    api.emplace(options.api, Conninfo::FromVariable(ProcessEnvironment(),
                                                    "API_DATABASE_URL"));
    scraper.AlsoTell([&api](SelfSamples& samples) {
      api::AddSamples(api->Statistics(), samples);
    });
  }
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

  for (const int port : api ? api->Ports() : std::vector<int>()) {
    log::Info("serving the API", {{"port", std::to_string(port)}});
  }

  int signal = 0;
  while (sigwait(&signals, &signal) == 0 && signal == SIGHUP) {
    if (options.collector_files.empty()) {
      log::Warn("nothing is reloaded; restart to change settings",
                {{"signal", "SIGHUP"}});
    } else {
      Reload(command_line, scraper);
    }
  }
  log::Info("stopping", {{"signal", signal == SIGTERM ? "SIGTERM" : "SIGINT"}});
  const auto deadline = pg::Clock::now() + kLastScrape;
  if (api) api->Drain(deadline);
  server->AwaitIdle(deadline);
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
  const auto page =
      scraper.Scrape(pg::Clock::now() + options.http.scrape_timeout);
  std::cout << page->text();
  return scraper.Status().up ? 0 : kNeedsMending;
}

int RunMetrics(const Options& options) {
  auto collectors = collectors::All();
  const auto add = [&collectors](const std::vector<Collector>& more) {
    for (const auto& collector : more) {
      const auto known = std::find_if(
          collectors.begin(), collectors.end(),
          [&](const auto& one) { return one.name == collector.name; });
      if (known == collectors.end()) collectors.push_back(collector);
    }
  };
  add(options.collectors);
  add(options.off);
  std::cout << MetricsReference(collectors);
  return 0;
}

int Run(const Options& options, const CommandLine& command_line) {
  LogFiles(options);
  switch (options.command) {
    case Command::kMetrics:
      return RunMetrics(options);
    case Command::kMigrate:
      return RunMigrate(options);
    case Command::kServe:
    case Command::kCheck:
    case Command::kScrape:
    case Command::kExplain:
      break;
  }
  const auto conninfo = Conninfo::FromEnvironment(ProcessEnvironment());
  if (options.command == Command::kCheck) {
    return Check(conninfo, options, std::cout) ? 0 : kNeedsMending;
  }
  if (options.command == Command::kExplain) {
    Explain(conninfo, options, std::cout);
    return 0;
  }
  return options.command == Command::kScrape
             ? RunScrape(conninfo, options)
             : Serve(conninfo, options, command_line);
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
    return meshhook::Flushed(meshhook::Run(*options, {argc, argv}));
  } catch (const meshhook::InvalidCollectors& error) {
    for (const auto& fault : error.faults()) Complain(Text(fault), "");
    return meshhook::kNeedsMending;
  } catch (const meshhook::UsageError& error) {
    return Complain(error.what(), error.remedy());
  } catch (const meshhook::pg::Error& error) {
    return Complain(error.what(), meshhook::RemedyFor(error));
  } catch (const std::exception& error) {
    return Complain(error.what(), "");
  }
}
