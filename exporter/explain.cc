// SPDX-License-Identifier: MIT
#include "exporter/explain.h"

#include <fmt/format.h>

#include <string>
#include <vector>

#include "exporter/background.h"
#include "exporter/errors.h"
#include "exporter/nearest.h"
#include "exporter/session.h"
#include "exporter/statement.h"

namespace meshhook {
namespace {

// Those that are on and those that are off alike.
const Collector& Find(const Options& options) {
  std::vector<std::string> names;
  for (const auto* collectors : {&options.collectors, &options.off}) {
    for (const auto& collector : *collectors) {
      if (collector.name == options.explained) return collector;
      names.push_back(collector.name);
    }
  }
  const auto near = Nearest(options.explained, names);
  throw UsageError("there is no collector " + options.explained,
                   near.empty()
                       ? fmt::format("name one of {}", fmt::join(names, ", "))
                       : fmt::format("write {}; or one of {}", near,
                                     fmt::join(names, ", ")));
}

// Has the needs of the collector and costs nothing.
Collector ProbeOf(const Collector& collector) {
  Collector probe = collector;
  probe.query = "SELECT";
  probe.variants.clear();
  probe.limit = {};
  return probe;
}

void PrintHead(const Collector& collector, const Options& options,
               const Server& server, std::ostream& out) {
  bool on = false;
  for (const auto& one : options.collectors) on |= one.name == collector.name;
  out << fmt::format(
      "Collector {}: {}\n"
      "It is {}, and asks {}.\n"
      "Server {}, database {}, PostgreSQL {}\n",
      collector.name, collector.summary,
      on ? "on" : "off (--collector." + collector.name + " switches it on)",
      collector.scope == Scope::kDatabase ? "in every database"
                                          : "once a server",
      server.address, server.database, server.short_version);
}

std::string Trimmed(const std::string& text) {
  const size_t begin = text.find_first_not_of(" \t\r\n");
  if (begin == text.npos) return "";
  return text.substr(begin, text.find_last_not_of(" \t\r\n") + 1 - begin);
}

}  // namespace

void Explain(const Conninfo& conninfo, const Options& options,
             std::ostream& out) {
  const Collector& collector = Find(options);
  const auto deadline = pg::Clock::now() + options.http.scrape_timeout;
  const auto excluded = RegexOf(options.scrape.databases.excluded_schemas);
  const std::vector<Collector> probe{ProbeOf(collector)};
  Costs costs;
  Session session(conninfo, probe, {.excluded_schemas = excluded}, costs);
  const auto answer = session.Ask(deadline).at(0);
  PrintHead(collector, options, session.server(), out);
  if (const auto* error = std::get_if<pg::Error>(&answer.value)) {
    if (!answer.silent) throw *error;
    out << "\nIt has nothing to read here: " << error->what() << ".\n";
    return;
  }
  auto statement = StatementFor(collector, session.server(), excluded);
  out << "\nSQL\n---\n" << Trimmed(Readable(statement)) << "\n";

  statement.sql =
      (options.analyze ? "EXPLAIN (ANALYZE, BUFFERS) " : "EXPLAIN ") +
      statement.sql;
  const auto plan = session.Run(statement, deadline);
  out << "\nPlan\n----\n";
  for (int row = 0; row < plan.rows(); ++row) out << plan.Text(row, 0) << '\n';
}

}  // namespace meshhook
