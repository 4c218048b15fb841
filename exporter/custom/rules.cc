// SPDX-License-Identifier: MIT
#include "exporter/custom/rules.h"

#include <algorithm>
#include <cctype>
#include <set>

#include "exporter/custom/sql_text.h"
#include "exporter/nearest.h"
#include "exporter/text_format.h"

namespace meshhook {
namespace {

using prometheus::MetricType;
using yaml::Kind;
using yaml::Node;

bool IsLetter(char c) {
  return std::isalpha(static_cast<unsigned char>(c)) != 0;
}
bool IsDigit(char c) {
  return std::isdigit(static_cast<unsigned char>(c)) != 0;
}

// What is written for a name that has other characters than it may.
std::string Mended(const std::string& name, bool lower) {
  std::string mended;
  for (const char c : name.substr(0, 60)) {
    if (IsLetter(c) || IsDigit(c)) {
      mended += lower ? static_cast<char>(std::tolower(c)) : c;
    } else if (mended.empty() || mended.back() != '_') {
      mended += '_';
    }
  }
  return IsLetter(mended[0]) ? mended : "x" + mended;
}

// Of a collector and of a setting, which become parts of flags.
bool IsFlagName(const std::string& name) {
  constexpr size_t kMost = 63;
  return name.size() <= kMost && name[0] >= 'a' && name[0] <= 'z' &&
         std::all_of(name.begin(), name.end(), [](char c) {
           return (c >= 'a' && c <= 'z') || IsDigit(c) || c == '_';
         });
}

bool IsLabelName(const std::string& name) {
  return !name.empty() && !IsDigit(name[0]) &&
         std::all_of(name.begin(), name.end(), [](char c) {
           return IsLetter(c) || IsDigit(c) || c == '_';
         });
}

void CheckFlagName(const Node& node, const std::string& name, Faults& faults) {
  if (name.empty() || IsFlagName(name)) return;
  faults.Add(LineOf(node, "name"),
             "name " + Quoted(name) +
                 " is not up to 63 of a-z, 0-9 and _, a letter first",
             "write name: " + Mended(name, true));
}

void CheckQuery(const Node& node, Faults& faults) {
  const auto* query = Find(node, "query");
  if (query == nullptr || query->text.empty()) return;
  const auto fault = OneStatement(query->text).fault;
  if (fault.empty()) return;
  faults.Add(query->line, "query " + fault,
             fault == "has several statements"
                 ? "keep one, and make a collector of each other"
                 : "write one SELECT; it is run read only");
}

// One label, from a column or fixed.
void CheckLabel(const Node& node, Faults& faults) {
  const auto& name = node.text;
  if (!IsLabelName(name)) {
    faults.Add(node.line,
               "label " + Quoted(name) +
                   " is not made of letters, digits and _, no digit first",
               "write " + Mended(name, false) + ", and in the query AS " +
                   Mended(name, false));
  } else if (name == "le" || name == "quantile" || name.rfind("__", 0) == 0) {
    faults.Add(node.line, "label " + Quoted(name) + " is Prometheus' own",
               "choose another name, and in the query AS that name");
  }
}

void CheckLabelColumns(const std::vector<Node>& nodes, Faults& faults) {
  std::set<std::string> seen;
  for (const auto& node : nodes) {
    CheckLabel(node, faults);
    if (seen.insert(node.text).second) continue;
    faults.Add(node.line, "label " + Quoted(node.text) + " stands here twice",
               "remove one");
  }
}

// Those that PostgreSQL still supports lie within.
void CheckVersion(const Node& node, Faults& faults) {
  const auto* version = Find(node, "min_server_version");
  if (version == nullptr || version->text.empty() ||
      version->text.find_first_not_of("0123456789") != std::string::npos) {
    return;  // said already
  }
  constexpr auto kExample = "write min_server_version: 17";
  const std::string& text = version->text;
  if (text.size() == 6) {  // as server_version_num has it
    faults.Add(version->line,
               "min_server_version " + Quoted(text) + " is not a major version",
               "write min_server_version: " + text.substr(0, 2));
  } else if (text.size() != 2 || text < "10") {
    faults.Add(version->line,
               "min_server_version " + Quoted(text) + " is not a major version",
               kExample);
  }
}

void CheckVariants(const Node& node, Faults& faults) {
  std::set<std::string> versions;
  for (const auto& variant : ItemsOf(node, "variants", Kind::kMap)) {
    CheckFields(variant, "variants", faults);
    CheckVersion(variant, faults);
    CheckQuery(variant, faults);
    const auto* version = Find(variant, "min_server_version");
    if (version == nullptr || versions.insert(version->text).second) continue;
    faults.Add(version->line,
               "two variants are for PostgreSQL " + Quoted(version->text),
               "remove one");
  }
}

void CheckSettings(const Node& node, Faults& faults) {
  std::set<std::string> names;
  for (const auto& setting : ItemsOf(node, "settings", Kind::kMap)) {
    CheckFields(setting, "settings", faults);
    const auto* name = Find(setting, "name");
    if (name == nullptr || name->text.empty()) continue;
    CheckFlagName(setting, name->text, faults);
    for (const char* taken :
         {"server", "excluded_schemas", "extschema", "most_rows", "limit"}) {
      if (name->text != taken) continue;
      faults.Add(name->line, "a setting cannot be called " + name->text,
                 "choose another name; this one has a meaning already");
    }
    if (names.insert(name->text).second) continue;
    faults.Add(name->line, "two settings are called " + Quoted(name->text),
               "remove one");
  }
}

void CheckLimit(const Node& node, const Collector& collector, Faults& faults) {
  const auto* limit = Find(node, "limit");
  if (limit == nullptr) return;
  constexpr int kMostRows = 1'000'000;
  if (const auto* rows = Find(*limit, "rows");
      rows != nullptr &&
      (collector.limit.rows < 1 || collector.limit.rows > kMostRows)) {
    faults.Add(rows->line, "limit.rows is not from 1 to 1000000",
               "write rows: 50");
  }
  if (collector.labels.empty()) {
    faults.Add(limit->line, "limit makes no sense without labels",
               "add labels, or remove limit");
  }
  // Any column will do, so all that can be said is that there is no such word.
  const auto& rank = collector.limit.rank;
  const bool known =
      collector.query.find(rank) != std::string::npos ||
      std::any_of(collector.metrics.begin(), collector.metrics.end(),
                  [&](const Metric& metric) { return metric.column == rank; });
  if (!known && !collector.query.empty()) {
    faults.Add(LineOf(*limit, "rank"),
               "limit.rank " + Quoted(rank) + " is no column of the query",
               "name the column whose greatest values are to stay");
  }
}

void CheckNeeds(const Node& node, Faults& faults) {
  const auto* needs = Find(node, "needs");
  const auto* sql = needs == nullptr ? nullptr : Find(*needs, "sql");
  if (sql == nullptr || sql->text.empty()) return;
  const auto statement = OneStatement("SELECT " + sql->text);
  if (statement.fault.empty() && statement.text.size() > sql->text.size()) {
    return;
  }
  faults.Add(sql->line, "needs.sql is not one expression",
             "write one that is true or false, without a semicolon");
}

void CheckScope(const Node& node, const Collector& collector, Faults& faults) {
  const auto* scope = Find(node, "scope");
  if (scope == nullptr || scope->kind != Kind::kText) return;
  if (scope->text != "instance" && scope->text != "database") {
    faults.Add(scope->line,
               "scope " + Quoted(scope->text) + " is not instance or database",
               "write scope: instance, or scope: database");
  }
  if (collector.scope != Scope::kDatabase) return;
  const auto has = [](const std::vector<std::string>& labels) {
    return std::find(labels.begin(), labels.end(), "datname") != labels.end();
  };
  const bool all =
      has(collector.labels) &&
      std::all_of(collector.metrics.begin(), collector.metrics.end(),
                  [&](const Metric& metric) {
                    return has(metric.label_columns.value_or(collector.labels));
                  });
  if (all) return;
  faults.Add(scope->line, "scope database needs the label datname",
             "add datname to labels and to each label_columns, and "
             "current_database() AS datname to the query");
}

void CheckHistogram(const Node& node, const Metric& metric, Faults& faults) {
  const bool histogram = metric.type == MetricType::Histogram;
  for (const auto& [key, column] :
       {std::pair("bounds_column", metric.bounds_column),
        std::pair("sum_column", metric.sum_column)}) {
    if (histogram && Find(node, key) == nullptr) {
      faults.Add(node.line, std::string("a histogram needs ") + key,
                 std::string("add ") + key +
                     ": …; column, bounds and sum make a histogram");
    } else if (!histogram && !column.empty()) {
      faults.Add(LineOf(node, key),
                 std::string(key) + " is for a histogram alone",
                 "remove it, or write type: histogram");
    }
  }
}

void CheckType(const Node& node, Faults& faults) {
  const auto* type = Find(node, "type");
  if (type == nullptr || type->kind != Kind::kText) return;
  const std::vector<std::string> known{"counter", "gauge", "histogram",
                                       "untyped"};
  if (type->text.empty() ||
      std::find(known.begin(), known.end(), type->text) != known.end()) {
    return;
  }
  const auto near = Nearest(type->text, known);
  faults.Add(type->line,
             "type " + Quoted(type->text) +
                 " is none of counter, gauge, histogram and untyped",
             "write type: " + (near.empty() ? "gauge" : near));
}

void CheckMetric(const Node& node, const Collector& collector,
                 const Metric& metric, Faults& faults) {
  CheckFields(node, "metrics", faults);
  if (!metric.name.empty() && !IsMetricName(metric.name)) {
    faults.Add(LineOf(node, "name"),
               "name " + Quoted(metric.name) +
                   " is not made of letters, digits and _, no digit first",
               "write name: " + Mended(metric.name, false));
  }
  CheckType(node, faults);
  CheckHistogram(node, metric, faults);
  if (metric.additive && metric.type != MetricType::Gauge) {
    faults.Add(LineOf(node, "additive"), "additive is for a gauge alone",
               "remove it");
  }
  if (metric.additive && !metric.name_column.empty()) {
    faults.Add(LineOf(node, "additive"),
               "additive does not go with name_column", "remove one");
  }
  const auto* fixed = Find(node, "labels");
  const auto columns = metric.label_columns.value_or(collector.labels);
  for (const auto& key : fixed == nullptr ? std::vector<Node>{} : fixed->keys) {
    CheckLabel(key, faults);
    if (std::find(columns.begin(), columns.end(), key.text) == columns.end()) {
      continue;
    }
    faults.Add(key.line,
               "label " + Quoted(key.text) + " comes from a column as well",
               "remove it here, or give the metric label_columns without it");
  }
  CheckLabelColumns(ItemsOf(node, "label_columns", Kind::kText), faults);
}

// What several entries of one metric say of it must agree, and their labels
// must not.
void CheckParts(const Node& node, const Collector& collector, size_t index,
                Faults& faults) {
  const Metric& metric = collector.metrics[index];
  for (size_t i = 0; i < index; ++i) {
    const Metric& other = collector.metrics[i];
    if (other.name != metric.name || metric.name.empty()) continue;
    if (other.type != metric.type || other.help != metric.help) {
      faults.Add(node.line, "its type or help is not what it was before",
                 "write the same in each part of a metric");
    } else if (other.labels == metric.labels) {
      faults.Add(node.line, "it stands here twice with the same labels",
                 "give each part other values of a label in labels, or remove "
                 "one");
    }
    return;
  }
}

}  // namespace

std::string ContextOf(const Collector& collector) {
  return "collector " +
         (collector.name.empty() ? "without a name" : Quoted(collector.name));
}

std::string ContextOf(const Collector& collector, const Metric& metric) {
  return ContextOf(collector) + ", metric " +
         (metric.name.empty() ? "without a name" : Quoted(metric.name));
}

void CheckValues(const Node& node, const Collector& collector, Faults& faults) {
  faults.In(ContextOf(collector));
  CheckFields(node, "collectors", faults);
  CheckFlagName(node, collector.name, faults);
  CheckQuery(node, faults);
  CheckLabelColumns(ItemsOf(node, "labels", Kind::kText), faults);
  CheckVersion(node, faults);
  CheckVariants(node, faults);
  CheckNeeds(node, faults);
  CheckLimit(node, collector, faults);
  CheckScope(node, collector, faults);
  CheckSettings(node, faults);
  if (collector.query.find("@extschema@") != std::string::npos &&
      collector.extension.empty()) {
    faults.Add(LineOf(node, "query"), "query has @extschema@ of no extension",
               "add extension: and its name");
  }
  const auto& metrics = ItemsOf(node, "metrics", Kind::kMap);
  if (const auto* list = Find(node, "metrics");
      list != nullptr && list->kind == Kind::kList && metrics.empty()) {
    faults.Add(list->line, "metrics is empty", "add - name: … under it");
  }
  for (size_t i = 0; i < collector.metrics.size(); ++i) {
    faults.In(ContextOf(collector, collector.metrics[i]));
    CheckMetric(metrics[i], collector, collector.metrics[i], faults);
    CheckParts(metrics[i], collector, i, faults);
  }
  faults.In("");
}

}  // namespace meshhook
