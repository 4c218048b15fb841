// SPDX-License-Identifier: MIT
#include "exporter/options.h"

#include <CLI/CLI.hpp>
#include <cmath>
#include <cstdlib>
#include <iostream>
#include <iterator>
#include <map>

#include "collectors/all.h"
#include "exporter/api/flags.h"
#include "exporter/custom/collectors.h"
#include "exporter/errors.h"
#include "exporter/flags.h"
#include "exporter/version.h"

namespace meshhook {
namespace {

constexpr auto kAbout =
    "Watches a MeshHook database: exact workflow metrics and PostgreSQL's own\n"
    "for Prometheus, in one round trip a scrape.\n";

constexpr auto kFooter = R"(
The database, first of these that is set:
  DATA_SOURCE_NAME, DATABASE_URL   postgresql://USER:PASSWORD@HOST:5432/DB
  DATA_SOURCE_URI, _USER, _PASS    HOST:5432/DB?sslmode=require, and who
  PGHOST, PGUSER, …                libpq's own
Each of the first two lines may instead be a file's name, in NAME_FILE; so may
PGPASSWORD, which counts where a URL has no password. The JSON API has a login
of its own: API_DATABASE_URL, or its _FILE.

Every flag but those of migrate is also read from PG_EXPORTER_ and its name in
capitals, as in PG_EXPORTER_WEB_LISTEN_ADDRESS. A flag beats the environment.

First time:  DATABASE_URL=…owner…    meshhook-exporter migrate
Then:        DATABASE_URL=…exporter… meshhook-exporter check
             DATABASE_URL=…exporter… meshhook-exporter
Exit status: 0 fine, 2 something to mend, said in one line.)";

// Not a number is in no range, nor out of one.
std::string NumberFault(const std::string& text) {
  return std::isnan(std::strtod(text.c_str(), nullptr)) ? "must be a number"
                                                        : "";
}

// Paths that no request comes by, or that lead elsewhere, are refused.
std::string PathFault(const std::string& path) {
  static constexpr auto kCharacters =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._~-/";
  if (path.rfind('/', 0) != 0) return "must begin with /";
  if (path.find_first_not_of(kCharacters) != path.npos) {
    return "may hold letters, digits and . _ ~ - / only";
  }
  const std::string ended = path + "/";
  if (path.find("//") != path.npos || ended.find("/./") != path.npos ||
      ended.find("/../") != path.npos) {
    return "may hold no empty part, . or ..";
  }
  if (path == "/healthz" || path == "/readyz") return "is taken: " + path;
  return "";
}

void AddDatabases(CLI::App& app, DatabaseOptions& databases, int& interval) {
  app.add_flag("--auto-discover-databases,!--no-auto-discover-databases",
               databases.discover,
               "watch the tables of every database of the server that this "
               "role may connect to (off)")
      ->envname(EnvironmentName("auto-discover-databases"));
  const auto add_patterns = [&app](const std::string& flag,
                                   std::vector<std::string>& patterns,
                                   const std::string& help) {
    AddFlag(app, flag, patterns, help)->delimiter(',')->allow_extra_args(false);
  };
  add_patterns("include-databases", databases.include,
               "of those only these: names, or patterns with * and ?; "
               "repeatable");
  add_patterns("exclude-databases", databases.exclude,
               "of those not these; repeatable");
  AddFlag(app, "databases.max-connections", databases.connections,
          "most sessions with them at a time")
      ->check(CLI::Range(1, 100));
  AddFlag(
      app, "databases.interval", interval,
      "seconds between two questions to one of them; what is on the page in "
      "the meantime has its age with it")
      ->check(CLI::Range(1, 3600));
  add_patterns("exclude-schemas", databases.excluded_schemas,
               "leave out the tables, indexes and sequences of these schemas: "
               "names, or patterns with * and ?; repeatable");
}

void AddCollector(CLI::App& app, Collector& collector, bool& enabled) {
  const std::string flag = "collector." + collector.name;
  app.add_flag("--" + flag + ",!--no-" + flag, enabled,
               collector.summary + (collector.on ? "" : " (off)"))
      ->envname(EnvironmentName(flag))
      ->group(
          "Collectors; --no-collector.NAME switches one off, "
          "--collector.NAME on");
  const std::string group = "What collectors may be told";
  if (collector.limit.rows > 0) {
    AddFlag(app, flag + ".limit", collector.limit.rows,
            "most of its rows that have series, by " + collector.limit.rank +
                "; 0: all")
        ->check(CLI::Range(0, 1'000'000))
        ->group(group);
  }
  for (auto& setting : collector.settings) {
    const std::string name = flag + "." + setting.name;
    if (setting.value == "false") {
      app.add_flag("--" + name + ",!--no-" + name, setting.value,
                   setting.help + " (off)")
          ->envname(EnvironmentName(name))
          ->group(group);
      continue;
    }
    AddFlag(app, name, setting.value, setting.help)->group(group);
  }
}

struct CollectorFiles {
  std::vector<std::string> files = {};
  bool skip_invalid = false;
};

void AddCollectorFiles(CLI::App& app, CollectorFiles& collectors) {
  AddFlag(app, "collectors.file", collectors.files,
          "YAML with collectors of your own; repeatable, read again on SIGHUP")
      ->delimiter(',')
      ->allow_extra_args(false);
  app.add_flag("--collectors.skip-invalid", collectors.skip_invalid,
               "leave out what is wrong in them, and say so in the log")
      ->envname(EnvironmentName("collectors.skip-invalid"));
}

// The arguments, last one first as CLI11 wants them. Behind --flag= it takes
// the next argument for the value, so an empty one is made an argument of its
// own.
std::vector<std::string> WithEmptyValues(int argc, const char* const* argv) {
  std::vector<std::string> arguments;
  for (int i = argc - 1; i > 0; --i) {
    std::string argument = argv[i];
    if (argument.rfind("--", 0) == 0 &&
        argument.find('=') == argument.size() - 1) {
      arguments.emplace_back();
      argument.pop_back();
    }
    arguments.push_back(std::move(argument));
  }
  return arguments;
}

// The files say what collectors there are, so they come before the flags.
CollectorFiles CollectorFilesIn(int argc, const char* const* argv) {
  CollectorFiles collectors;
  CLI::App app;
  app.set_help_flag();
  app.allow_extras();
  AddCollectorFiles(app, collectors);
  try {
    app.parse(WithEmptyValues(argc, argv));
  } catch (const CLI::ParseError&) {
    return {};  // it will be said of the whole command line
  }
  return collectors;
}

// A collector that was left out still has its flag.
void AddRefused(CLI::App& app, const std::vector<std::string>& names) {
  for (const auto& name : names) {
    const std::string flag = "--collector." + name;
    if (name.empty() || app.get_option_no_throw(flag) != nullptr) continue;
    try {
      app.add_flag(flag + ",!--no-collector." + name)->group("");
    } catch (const CLI::ConstructionError&) {
      continue;  // with such a name it cannot be meant
    }
  }
}

}  // namespace

std::optional<Options> ParseOptions(int argc, const char* const* argv) {
  Options options;
  CLI::App app{kAbout, "meshhook-exporter"};
  app.footer(kFooter);
  app.set_version_flag("--version", std::string("meshhook-exporter ") +
                                        kVersion + " (" + kRevision + ")");
  app.fallthrough();
  app.require_subcommand(0, 1);

  options.http.listen_addresses = {":9187"};
  AddFlag(app, "web.listen-address", options.http.listen_addresses,
          "where to serve HTTP; repeatable")
      ->delimiter(',')
      ->allow_extra_args(false);
  AddFlag(app, "web.telemetry-path", options.http.telemetry_path,
          "where the metrics are")
      ->check(PathFault);
  double scrape_timeout = 10;
  AddFlag(
      app, "scrape.timeout", scrape_timeout,
      "most seconds a scrape may take; Prometheus' own limit counts if it is "
      "shorter")
      ->check(CLI::Range(0.5, 600.0))
      ->check(NumberFault);
  AddFlag(app, "scrape.max-series", options.scrape.max_series,
          "most series on a page; what is beyond is dropped and counted, "
          "MeshHook's "
          "own last")
      ->check(CLI::Range(1'000, 10'000'000));
  int databases_interval = 15;
  AddDatabases(app, options.scrape.databases, databases_interval);
  std::string level = "info";
  AddFlag(app, "log.level", level, "debug, info, warn or error")
      ->check(CLI::IsMember({"debug", "info", "warn", "error"}));
  std::string format = "logfmt";
  AddFlag(app, "log.format", format, "logfmt or json")
      ->check(CLI::IsMember({"logfmt", "json"}));
  app.add_flag("--worker,!--no-worker", options.worker,
               "fold and refresh from here (default), or leave it to pg_cron "
               "or another exporter")
      ->envname("PG_EXPORTER_WORKER");

  api::AddFlags(app, options.api);

  const auto files = CollectorFilesIn(argc, argv);
  auto collectors = collectors::All();
  auto custom = ReadCustomCollectors(files.files, collectors);
  std::move(custom.collectors.begin(), custom.collectors.end(),
            std::back_inserter(collectors));
  options.collector_files = files.files;
  CollectorFiles same;  // read already
  AddCollectorFiles(app, same);
  std::map<std::string, bool> enabled;
  for (auto& collector : collectors) {
    AddCollector(app, collector,
                 enabled.emplace(collector.name, collector.on).first->second);
  }
  AddRefused(app, custom.refused);

  app.add_subcommand("serve", "serve HTTP and keep the data fresh (default)");
  auto* migrate = app.add_subcommand(
      "migrate",
      "install, update or remove the data layer; connect as the owner of "
      "MeshHook's tables");
  migrate->add_option("--dir", options.migrations_directory,
                      "apply the files of this folder, not those built in");
  migrate->add_flag("--print", options.print_script,
                    "print the script for psql and change nothing");
  migrate->add_flag("--backfill,!--no-backfill", options.backfill,
                    "bring in the runs from before (default), or not now");
  migrate->add_flag("--uninstall", options.uninstall,
                    "remove the data layer with all it counted: schema "
                    "metrics, its triggers, its roles if nothing needs them");
  int patience = 120;
  migrate
      ->add_option("--lock-wait", patience,
                   "most seconds to wait for a lock on MeshHook's tables")
      ->check(CLI::Range(0, 86400))
      ->capture_default_str();
  app.add_subcommand("check", "say what works and what to mend");
  app.add_subcommand("scrape", "print the metrics once");
  auto* explain = app.add_subcommand(
      "explain", "print a collector's SQL for this server, and its plan");
  explain->add_option("COLLECTOR", options.explained, "its name")->required();
  explain->add_flag("--analyze", options.analyze,
                    "run it too, for what it really took");
  app.add_subcommand("metrics", "print the reference of all metrics");

  try {
    app.parse(WithEmptyValues(argc, argv));
  } catch (const CLI::Success& asked) {
    app.exit(asked);
    return std::nullopt;
  } catch (const CLI::ParseError& error) {
    // A flag may be unknown because of what is wrong in a file.
    if (!custom.faults.empty() && !files.skip_invalid) {
      throw InvalidCollectors(std::move(custom.faults));
    }
    throw UsageError(error.what(), "see meshhook-exporter --help");
  }

  api::CheckFlags(options.api);
  if (options.uninstall) {
    for (const std::string flag : {"--dir", "--print", "--backfill"}) {
      if (migrate->count(flag) == 0) continue;
      throw UsageError(
          "--uninstall cannot be combined with " +
              (flag == "--backfill" ? "--backfill or --no-backfill" : flag),
          "run meshhook-exporter migrate --uninstall; --lock-wait may stand "
          "beside it");
    }
  }

  options.scrape.databases.interval = std::chrono::seconds(databases_interval);
  options.http.scrape_timeout =
      std::chrono::milliseconds(static_cast<long>(scrape_timeout * 1000));
  options.lock_patience = std::chrono::seconds(patience);
  options.log_level = level == "debug"   ? log::Level::kDebug
                      : level == "warn"  ? log::Level::kWarn
                      : level == "error" ? log::Level::kError
                                         : log::Level::kInfo;
  options.log_format =
      format == "json" ? log::Format::kJson : log::Format::kLogfmt;
  for (auto& collector : collectors) {
    auto& place = enabled[collector.name] ? options.collectors : options.off;
    place.push_back(std::move(collector));
  }
  const std::map<std::string, Command> commands{
      {"serve", Command::kServe},     {"migrate", Command::kMigrate},
      {"check", Command::kCheck},     {"scrape", Command::kScrape},
      {"explain", Command::kExplain}, {"metrics", Command::kMetrics}};
  for (const auto* chosen : app.get_subcommands()) {
    options.command = commands.at(chosen->get_name());
  }
  if (!custom.faults.empty() && !files.skip_invalid &&
      options.command != Command::kMigrate) {
    throw InvalidCollectors(std::move(custom.faults));
  }
  options.skipped = std::move(custom.faults);
  options.advice = std::move(custom.advice);
  return options;
}

}  // namespace meshhook
