// SPDX-License-Identifier: MIT
// The command line.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "exporter/api/server.h"
#include "exporter/collector.h"
#include "exporter/custom/fields.h"
#include "exporter/http.h"
#include "exporter/log.h"
#include "exporter/scraper.h"

namespace meshhook {

enum class Command { kServe, kMigrate, kCheck, kScrape, kExplain, kMetrics };

struct Options {
  Command command = Command::kServe;
  HttpOptions http;
  api::ServerOptions api;
  log::Level log_level = log::Level::kInfo;
  log::Format log_format = log::Format::kLogfmt;
  ScrapeOptions scrape;
  std::vector<Collector> collectors;  // those that are on
  std::vector<Collector> off;         // the others
  std::vector<std::string> collector_files;
  std::vector<FileFault> skipped;  // what of those files was left out
  std::vector<FileFault> advice;   // what in them is better done otherwise
  bool worker = true;
  // explain
  std::string explained;  // a collector's name
  bool analyze = false;
  // migrate
  std::string migrations_directory;  // "": those built in
  bool print_script = false;
  bool backfill = true;
  bool uninstall = false;
  std::chrono::seconds lock_patience{120};
};

// nullopt when --help or --version was asked for and printed. Throws
// UsageError, which names the flag and what is like it, or InvalidCollectors.
std::optional<Options> ParseOptions(int argc, const char* const* argv);

}  // namespace meshhook
