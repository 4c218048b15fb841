// SPDX-License-Identifier: MIT
// What a collector is: one query, and the metrics its columns become. Data
// only; scraper.h runs it.
#pragma once

#include <prometheus/client_metric.h>
#include <prometheus/metric_type.h>

#include <optional>
#include <string>
#include <vector>

namespace meshhook {

using Label = prometheus::ClientMetric::Label;

struct Metric {
  std::string name;  // in full, as someone will search for it
  // A summary here is samples with a fixed `quantile` label.
  prometheus::MetricType type;
  std::string help;
  std::string column;  // its value; NULL means no sample, never zero
  // Labels with a fixed value, where several columns make one metric.
  std::vector<Label> labels = {};
  // A histogram's `column` is an array of cumulative counts, the last without
  // a bound; these are the array of its bounds and the sum.
  std::string bounds_column = {};
  std::string sum_column = {};
  // Its own columns copied into labels, where not those of the collector.
  std::optional<std::vector<std::string>> label_columns = {};
  // A column whose text is put behind `name`, where the server names things.
  std::string name_column = {};
};

// A query for servers of this version and newer.
struct Variant {
  int min_server_version;  // as server_version_num: 170000
  std::string query;
};

struct Collector {
  std::string name;  // also the `collector` label of the self metrics
  std::string summary;
  std::string query;
  std::vector<std::string> labels;  // columns copied onto every metric
  std::vector<Metric> metrics;
  // Other queries for newer servers, oldest first.
  std::vector<Variant> variants = {};
  // Needs this extension, whose schema replaces @extschema@ in the query.
  std::string extension = {};
  // Older servers do not have what it reads.
  int min_server_version = 0;
  // Whether it runs unless told otherwise.
  bool on = true;
};

// The query for a server of that version.
const std::string& QueryFor(const Collector& collector, int server_version);

}  // namespace meshhook
