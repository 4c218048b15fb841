// SPDX-License-Identifier: MIT
#include "exporter/self_metrics.h"

#include <sys/resource.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <limits>
#include <optional>
#include <sstream>
#include <stdexcept>
#include <string>

#include "exporter/version.h"

namespace meshhook {
namespace {

using prometheus::ClientMetric;
using prometheus::MetricType;

// Each of these is nullopt where the kernel does not say.

// When this process began, as Unix time.
std::optional<double> StartTime() {
  std::ifstream stat("/proc/self/stat");
  std::string text;
  std::getline(stat, text);
  // The 22nd field; the second, a name in brackets, may hold spaces.
  size_t at = text.rfind(')');
  for (int field = 2; field < 22 && at != std::string::npos; ++field) {
    at = text.find(' ', at + 1);
  }
  double ticks = 0;
  if (at == std::string::npos ||
      !(std::istringstream(text.substr(at + 1)) >> ticks)) {
    return std::nullopt;
  }

  std::ifstream kernel("/proc/stat");
  for (std::string key; kernel >> key;) {
    double booted = 0;
    if (key == "btime" && kernel >> booted) {
      return booted + ticks / static_cast<double>(sysconf(_SC_CLK_TCK));
    }
    kernel.ignore(std::numeric_limits<std::streamsize>::max(), '\n');
  }
  return std::nullopt;
}

// Looked up at the start, when there are files to spare.
const std::optional<double> kStartTime = StartTime();

double CpuSeconds() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) +
           static_cast<double>(time.tv_usec) / 1e6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

std::optional<double> OpenFiles() {
  std::error_code error;
  std::filesystem::directory_iterator file("/proc/self/fd", error);
  double count = -1;  // one of them is the listing itself
  for (; !error && file != std::filesystem::directory_iterator();
       file.increment(error)) {
    ++count;
  }
  if (error) return std::nullopt;
  return count;
}

double MaxOpenFiles() {
  rlimit limit{};
  getrlimit(RLIMIT_NOFILE, &limit);
  return static_cast<double>(limit.rlim_cur);
}

}  // namespace

const std::vector<SelfMetric>& SelfMetrics() {
  static const std::vector<SelfMetric> metrics{
      {"pg_up",
       MetricType::Gauge,
       "Whether the database answered the last scrape.",
       {}},
      {"pg_scrape_collector_duration_seconds",
       MetricType::Gauge,
       "Time the collector took when it was last asked.",
       {"collector"}},
      {"pg_scrape_collector_success",
       MetricType::Gauge,
       "Whether the collector succeeded in the last scrape.",
       {"collector"}},
      {"meshhook_exporter_collector_age_seconds",
       MetricType::Gauge,
       "Age of the oldest samples of a collector that is asked in the "
       "background.",
       {"collector"}},
      {"meshhook_exporter_collector_rows",
       MetricType::Gauge,
       "Rows of the collector on this page.",
       {"collector"}},
      {"meshhook_exporter_collector_bytes",
       MetricType::Gauge,
       "Length of the values that those rows were read from.",
       {"collector"}},
      {"meshhook_exporter_collector_server_seconds_total",
       MetricType::Counter,
       "Time the server spent on the collector's queries, by its own clock: "
       "planning, waiting and sending included.",
       {"collector"}},
      {"meshhook_exporter_collector_cache_hits_total",
       MetricType::Counter,
       "Answers of the collector that were on an earlier page already.",
       {"collector"}},
      {"meshhook_exporter_collector_failures_total",
       MetricType::Counter,
       "Failures of the collector by class of SQLSTATE; 08 is a connection "
       "without an answer, 22 an answer that makes no samples.",
       {"collector", "class"}},
      {"meshhook_exporter_server_seconds_total",
       MetricType::Counter,
       "Time the server spent on all of the exporter's collectors and on "
       "looking what it has.",
       {}},
      {"meshhook_exporter_server_time_ratio",
       MetricType::Gauge,
       "Share of the time since the scrape before that the server spent on "
       "the exporter's queries: 1 is one session always busy.",
       {}},
      {"meshhook_exporter_last_scrape_round_trips",
       MetricType::Gauge,
       "Round trips of the scrape on its own connection; connecting is not "
       "counted.",
       {}},
      {"meshhook_exporter_series_dropped",
       MetricType::Gauge,
       "Series that the collector's limit or the budget kept off the page.",
       {"collector"}},
      {"pg_exporter_last_scrape_duration_seconds",
       MetricType::Gauge,
       "Time the last scrape took.",
       {}},
      {"pg_exporter_last_scrape_error",
       MetricType::Gauge,
       "Whether the last scrape had an error (1) or none (0).",
       {}},
      {"pg_exporter_scrapes_total",
       MetricType::Counter,
       "Scrapes since the exporter started.",
       {}},
      {"pg_static",
       MetricType::Untyped,
       "The server's version; always 1.",
       {"server", "version", "short_version"}},
      {"meshhook_api_requests_total",
       MetricType::Counter,
       "Requests to the JSON API by operation, as its document names it, and "
       "HTTP status; none is a path that is not there.",
       {"operation", "status"}},
      {"meshhook_api_request_seconds_total",
       MetricType::Counter,
       "Time those requests took; of the stream until it began.",
       {"operation"}},
      {"meshhook_api_listeners",
       MetricType::Gauge,
       "Clients that listen to the stream of the JSON API.",
       {}},
      {"meshhook_api_audit_lost_total",
       MetricType::Counter,
       "Accesses that metrics.api_audit lacks, as the database was away for "
       "too long.",
       {}},
      {"process_cpu_seconds_total",
       MetricType::Counter,
       "CPU time spent by the exporter.",
       {}},
      {"process_resident_memory_bytes",
       MetricType::Gauge,
       "Resident memory of the exporter.",
       {}},
      {"process_virtual_memory_bytes",
       MetricType::Gauge,
       "Virtual memory of the exporter.",
       {}},
      {"process_open_fds",
       MetricType::Gauge,
       "Files the exporter has open.",
       {}},
      {"process_max_fds",
       MetricType::Gauge,
       "Files the exporter may open.",
       {}},
      {"process_start_time_seconds",
       MetricType::Gauge,
       "When the exporter began, as Unix time.",
       {}},
      {"meshhook_exporter_build_info",
       MetricType::Gauge,
       "What was built; always 1.",
       {"version", "revision"}}};
  return metrics;
}

SelfSamples::SelfSamples() {
  for (const auto& metric : SelfMetrics()) {
    families_.push_back({{metric.name, metric.help, metric.type, {}}});
  }
}

void SelfSamples::Add(std::string_view name, double value,
                      const std::vector<std::string>& label_values) {
  for (size_t i = 0; i < families_.size(); ++i) {
    if (families_[i].name != name) continue;
    ClientMetric sample;
    for (size_t j = 0; j < label_values.size(); ++j) {
      sample.label.push_back({SelfMetrics()[i].labels.at(j), label_values[j]});
    }
    sample.counter.value = sample.gauge.value = sample.untyped.value = value;
    families_[i].metric.push_back(std::move(sample));
    return;
  }
  throw std::logic_error("no such self metric: " + std::string(name));
}

void SelfSamples::AddProcess() {
  Add("process_cpu_seconds_total", CpuSeconds());
  const auto page = static_cast<double>(sysconf(_SC_PAGESIZE));
  double total_pages = 0;
  double resident_pages = 0;
  if (std::ifstream("/proc/self/statm") >> total_pages >> resident_pages) {
    Add("process_resident_memory_bytes", resident_pages * page);
    Add("process_virtual_memory_bytes", total_pages * page);
  }
  if (const auto files = OpenFiles()) Add("process_open_fds", *files);
  Add("process_max_fds", MaxOpenFiles());
  if (kStartTime) Add("process_start_time_seconds", *kStartTime);
  Add("meshhook_exporter_build_info", 1, {kVersion, kRevision});
}

}  // namespace meshhook
