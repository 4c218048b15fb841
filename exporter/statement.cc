// SPDX-License-Identifier: MIT
#include "exporter/statement.h"

#include <algorithm>
#include <limits>
#include <map>
#include <vector>

namespace meshhook {
namespace {

void ReplaceAll(std::string& text, const std::string& from,
                const std::string& to) {
  for (size_t at = text.find(from); at != std::string::npos;
       at = text.find(from, at + to.size())) {
    text.replace(at, from.size(), to);
  }
}

const std::string& QueryFor(const Collector& collector, int server_version) {
  const std::string* query = &collector.query;
  for (const auto& variant : collector.variants) {
    if (server_version >= variant.min_server_version) query = &variant.query;
  }
  return *query;
}

std::string ExtensionSchema(const Collector& collector, const Server& server) {
  const auto schema = server.extension_schemas.find(collector.extension);
  if (schema != server.extension_schemas.end()) return schema->second;
  throw pg::Error("extension " + collector.extension +
                      " is not installed in database " + server.database,
                  "",
                  "run CREATE EXTENSION " + collector.extension +
                      ", or switch off with --no-collector." + collector.name);
}

// A name, or with another quote a literal.
std::string Quoted(const std::string& text, char quote = '"') {
  std::string quoted(1, quote);
  for (const char c : text) quoted.append(c == quote ? 2 : 1, c);
  return quoted + quote;
}

// The columns of each metric that are not labels, once each; true for those
// that may be added up.
std::map<std::string, bool> ValueColumns(const Collector& collector) {
  std::map<std::string, bool> columns;
  for (const auto& metric : collector.metrics) {
    columns[metric.column] |= metric.additive;
    const auto exemplars = metric.exemplars.value_or(ExemplarColumns{});
    for (const auto& other : {metric.bounds_column, metric.sum_column,
                              metric.created_column, exemplars.label_column,
                              exemplars.value_column, exemplars.time_column}) {
      if (!other.empty()) columns.emplace(other, false);
    }
  }
  return columns;
}

std::vector<std::string> LabelColumns(const Collector& collector) {
  std::vector<std::string> columns = collector.labels;
  const auto add = [&columns](const std::string& column) {
    if (std::find(columns.begin(), columns.end(), column) == columns.end()) {
      columns.push_back(column);
    }
  };
  for (const auto& metric : collector.metrics) {
    for (const auto& column : metric.label_columns.value_or(collector.labels)) {
      add(column);
    }
    if (!metric.name_column.empty()) add(metric.name_column);
  }
  return columns;
}

// How many rows may stay: with half as many again as the limit, one that has
// its series need not lose them to another of about the same rank.
std::string MostRows(const Collector& collector) {
  return collector.limit.rows > 0
             ? std::to_string(collector.limit.rows * 3L / 2)
             : std::to_string(std::numeric_limits<int>::max());
}

// The rows that may stay, and one for all others: the first that may not, with
// the sums of it and those behind it. Windows number and add up in one pass
// from the last to the first; planning two queries over a common table, of
// which the second mostly finds nothing, costs the server twice as much.
std::string Limited(const Collector& collector, const std::string& query) {
  const auto most = MostRows(collector);
  const auto stays = [&most](const std::string& then,
                             const std::string& other) {
    return "CASE WHEN \"meshhook place\" <= " + most + " THEN " + then +
           (other.empty() ? "" : " ELSE " + other) + " END";
  };
  std::string order = Quoted(collector.limit.rank) + " NULLS FIRST";
  std::string chosen = "SELECT " + stays("\"meshhook place\"", "") + " AS " +
                       Quoted(kRankColumn) + ", " +
                       stays("1", "\"meshhook rest\"") + " AS " +
                       Quoted(kRowsColumn);
  std::string sums;
  for (const auto& label : LabelColumns(collector)) {
    order += ", " + Quoted(label) + " DESC";
    chosen += ", " + Quoted(label) + "::text";
  }
  int number = 0;
  for (const auto& [column, additive] : ValueColumns(collector)) {
    if (!additive) {
      chosen += ", " + Quoted(column);
      continue;
    }
    const auto sum = Quoted("meshhook sum " + std::to_string(++number));
    sums += ", sum(" + Quoted(column) + ") OVER rest AS " + sum;
    chosen += ", " + stays(Quoted(column), sum) + " AS " + Quoted(column);
  }
  return chosen +
         "\nFROM (SELECT 1 + count(*) OVER () - count(*) OVER rest"
         " AS \"meshhook place\", count(*) OVER rest AS \"meshhook rest\"" +
         sums + ", * FROM (" + query +
         "\n) AS rows\nWINDOW rest AS (ORDER BY " + order +
         " ROWS UNBOUNDED PRECEDING)) AS ranked\n"
         "WHERE \"meshhook place\" <= " +
         most +
         " + 1\n"
         "ORDER BY \"meshhook place\"";
}

}  // namespace

pg::Query StatementFor(const Collector& collector, const Server& server,
                       const std::string& excluded_schemas) {
  std::string sql = QueryFor(collector, server.version);
  if (!collector.extension.empty()) {
    ReplaceAll(sql, "@extschema@", ExtensionSchema(collector, server));
  }
  ReplaceAll(sql, "@most_rows@", MostRows(collector));
  if (collector.limit.rows > 0) sql = Limited(collector, sql);

  pg::Query statement;
  const auto bind = [&](const std::string& name, const std::string& value) {
    if (sql.find("@" + name + "@") == std::string::npos) return;
    statement.parameters.push_back(value);
    ReplaceAll(sql, "@" + name + "@",
               "$" + std::to_string(statement.parameters.size()) + "::text");
  };
  bind("server", server.address);
  bind("excluded_schemas", excluded_schemas);
  for (const auto& setting : collector.settings) {
    bind(setting.name, setting.value);
  }
  statement.sql = std::move(sql);
  return statement;
}

std::string Readable(const pg::Query& statement) {
  std::string sql = statement.sql;
  for (size_t i = 0; i < statement.parameters.size(); ++i) {
    ReplaceAll(sql, "$" + std::to_string(i + 1) + "::text",
               Quoted(statement.parameters[i], '\'') + "::text");
  }
  return sql;
}

}  // namespace meshhook
