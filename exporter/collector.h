// SPDX-License-Identifier: MIT
// What a collector is: one query, and the metrics its columns become. Data
// only; scraper.h runs it.
#pragma once

#include <prometheus/client_metric.h>
#include <prometheus/metric_type.h>

#include <chrono>
#include <optional>
#include <string>
#include <vector>

namespace meshhook {

using Label = prometheus::ClientMetric::Label;

// Columns of arrays of the same length: some of the things that a histogram
// counted, at most one for each of its buckets, which their values tell.
// OpenMetrics shows them as exemplars. The text format has none.
struct ExemplarColumns {
  std::string label;         // its name
  std::string label_column;  // of values without quotes or commas, as ids are
  std::string value_column;
  std::string time_column;  // Unix time
};

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
  // A gauge whose values make sense added up: what the limit cuts off is then
  // a row `other`. Not for counters, as a sum whose members change falls, and
  // a counter that falls reads as a restart.
  bool additive = false;
  // Of a counter or histogram, when it was 0 and began, as Unix time. Only
  // where that is known: Prometheus takes it for a sample.
  std::string created_column = {};
  std::optional<ExemplarColumns> exemplars = {};
};

// A query for servers of this version and newer.
struct Variant {
  int min_server_version;  // as server_version_num: 170000
  std::string query;
};

// What a database must have for a collector to make sense there. Where it has
// not, the collector is silent: neither a success nor a failure.
struct Requirement {
  std::string sql;     // a boolean expression; "": always met
  std::string absent;  // what to say where it is not: "pgmq is not installed"
};

// Rows beyond this many are cut; those of the greatest rank stay. A row gets
// its series at rank `rows` and loses them below one and a half times that, so
// that two of about the same rank do not take turns.
struct Limit {
  int rows = 0;      // 0: no limit
  std::string rank;  // the column it goes by
};

// What an operator may set: --collector.NAME.SETTING, in the query a text
// parameter wherever it says @SETTING@. One that is `false` is switched on by
// the flag alone.
struct Setting {
  std::string name;
  std::string value;  // unless told otherwise
  std::string help;
};

enum class Scope {
  kInstance,  // once a server
  kDatabase,  // once in every database; has the label datname
};

// A query may also say @server@ (host:port) and @excluded_schemas@ (a regular
// expression for names of schemas), which are text parameters, @extschema@, and
// @most_rows@ (how many rows may stay within the limit: what is dear is asked
// of no others).
struct Collector {
  std::string name;  // also the `collector` label of the self metrics
  std::string summary;
  std::string query;
  std::vector<std::string> labels;  // columns copied onto every metric
  std::vector<Metric> metrics;
  // Other queries for newer servers, oldest first.
  std::vector<Variant> variants = {};
  // Fails without this extension, whose schema replaces @extschema@ in the
  // query.
  std::string extension = {};
  // Older servers do not have what it reads; there it is silent.
  int min_server_version = 0;
  Requirement needs = {};
  Scope scope = Scope::kInstance;
  Limit limit = {};
  std::vector<Setting> settings = {};
  // Asked no more often than this; until then its last samples are given
  // again. For what is dear and changes slowly.
  std::chrono::seconds interval{0};
  // Whether it runs unless told otherwise.
  bool on = true;
};

}  // namespace meshhook
