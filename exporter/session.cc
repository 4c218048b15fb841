// SPDX-License-Identifier: MIT
#include "exporter/session.h"

#include <algorithm>
#include <utility>

#include "exporter/remedy.h"
#include "exporter/statement.h"

namespace meshhook {
namespace {

using std::chrono::milliseconds;

constexpr std::chrono::seconds kLearnInterval{60};
constexpr std::chrono::seconds kFailureInterval{60};

constexpr auto kVersionQuery =
    "SELECT current_setting('server_version_num'), version(), "
    "current_setting('server_version'), current_database()";
constexpr auto kExtensionsQuery =
    "SELECT extname, quote_ident(nspname) "
    "FROM pg_extension JOIN pg_namespace AS n ON n.oid = extnamespace";

// Half of what is left for any one query, so that a slow one leaves time for
// the others. A lock is free at once or held for long.
pg::Guard GuardFor(pg::Deadline deadline) {
  const auto left =
      std::chrono::duration_cast<milliseconds>(deadline - pg::Clock::now());
  return {.statement_timeout = std::max(left / 2, milliseconds(50)),
          .lock_timeout =
              std::clamp(left / 10, milliseconds(20), milliseconds(100))};
}

}  // namespace

Session::Session(Conninfo conninfo, std::string excluded_schemas,
                 const pg::Interrupt* interrupt)
    : conninfo_(std::move(conninfo)),
      excluded_schemas_(std::move(excluded_schemas)),
      interrupt_(interrupt) {}

std::vector<Answer> Session::Ask(
    const std::vector<const Collector*>& collectors, pg::Deadline deadline) {
  const bool kept = open();
  try {
    return AskOnce(collectors, deadline);
  } catch (const pg::Error&) {
    // A kept session that a pooler or an administrator has ended since is no
    // outage if a new one answers.
    const bool retry = kept && !open() && pg::Clock::now() < deadline;
    Close();
    if (!retry) throw;
  }
  return Ask(collectors, deadline);  // once more, as none is kept now
}

pg::Result Session::Run(const pg::Query& query, pg::Deadline deadline) {
  if (!open()) throw pg::Error("there is no session", "", "");
  return connection_->Run(query, GuardFor(deadline), deadline);
}

Choice Session::Choose(const Collector& collector, const pg::Result& rows) {
  if (collector.limit.rows == 0) return All(rows);
  return selections_[collector.name].Choose(collector, rows);
}

std::vector<Answer> Session::AskOnce(
    const std::vector<const Collector*>& collectors, pg::Deadline deadline) {
  if (!open()) {
    connection_ = pg::Connection::Open(conninfo_, deadline, interrupt_);
    learned_at_.reset();
  }
  if (!learned_at_ || pg::Clock::now() - *learned_at_ > kLearnInterval) {
    Learn(collectors, deadline);
  }

  std::vector<Answer> answers;
  std::vector<pg::Query> queries;
  std::vector<size_t> asked;
  for (const auto* collector : collectors) {
    if (const auto absent = absent_.find(collector->name);
        absent != absent_.end()) {
      answers.push_back(
          {.value = pg::Error(absent->second, "", ""), .silent = true});
      continue;
    }
    if (const auto* kept = Kept(*collector)) {
      answers.push_back(*kept);
      answers.back().took = {};
      continue;
    }
    const auto known = impossible_.find(collector->name);
    if (known != impossible_.end()) {
      answers.push_back({.value = known->second});
      continue;
    }
    try {
      queries.push_back(StatementFor(*collector, server_, excluded_schemas_));
      asked.push_back(answers.size());
      answers.push_back({.value = pg::Error("not asked", "", "")});
    } catch (const pg::Error& error) {
      impossible_.insert_or_assign(collector->name, error);
      answers.push_back({.value = error});
    }
  }
  // Something must be asked, or a dead session would pass for a live one.
  if (queries.empty()) queries.push_back({"SELECT", {}});
  auto outcomes = connection_->Flight(queries, GuardFor(deadline), deadline);
  const auto now = pg::Clock::now();
  for (size_t i = 0; i < asked.size(); ++i) {
    const auto& collector = *collectors[asked[i]];
    auto& answer = answers[asked[i]];
    answer.took = outcomes[i].took;
    answer.at = now;
    if (auto* error = std::get_if<pg::Error>(&outcomes[i].value)) {
      if (IsMissing(*error)) {
        impossible_.insert_or_assign(collector.name, *error);
      }
      answer.value = std::move(*error);
    } else {
      answer.value = std::make_shared<const pg::Result>(
          std::get<pg::Result>(std::move(outcomes[i].value)));
    }
    if (collector.interval.count() > 0) {
      kept_.insert_or_assign(collector.name, answer);
    }
  }
  return answers;
}

void Session::Forget() {
  learned_at_.reset();
  kept_.clear();
}

const Answer* Session::Kept(const Collector& collector) const {
  const auto kept = kept_.find(collector.name);
  if (kept == kept_.end()) return nullptr;
  std::chrono::seconds interval = collector.interval;
  if (const auto* error = std::get_if<pg::Error>(&kept->second.value)) {
    // One that the server never came to is not the collector's own.
    if (error->sqlstate().empty()) return nullptr;
    interval = std::min(interval, kFailureInterval);
  }
  return pg::Clock::now() - kept->second.at < interval ? &kept->second
                                                       : nullptr;
}

void Session::Learn(const std::vector<const Collector*>& collectors,
                    pg::Deadline deadline) {
  std::vector<pg::Query> queries{{kVersionQuery, {}}, {kExtensionsQuery, {}}};
  std::vector<const Collector*> needing;
  for (const auto* collector : collectors) {
    if (collector->needs.sql.empty()) continue;
    needing.push_back(collector);
    queries.push_back({"SELECT " + collector->needs.sql, {}});
  }
  const auto outcomes =
      connection_->Flight(queries, GuardFor(deadline), deadline);
  LearnServer(outcomes[0].rows(), outcomes[1].rows());
  absent_.clear();
  impossible_.clear();
  for (const auto* collector : collectors) {
    if (server_.version < collector->min_server_version) {
      absent_[collector->name] =
          "it needs PostgreSQL " +
          std::to_string(collector->min_server_version / 10000);
    }
  }
  for (size_t i = 0; i < needing.size(); ++i) {
    LearnNeeds(*needing[i], outcomes[i + 2]);
  }
  learned_at_ = pg::Clock::now();
}

void Session::LearnServer(const pg::Result& version,
                          const pg::Result& extensions) {
  server_.address = connection_->host() + ":" + connection_->port();
  server_.user = connection_->user();
  server_.version = std::stoi(version.Text(0, 0));
  server_.full_version = version.Text(0, 1);
  // Debian adds its own name behind the number.
  const auto short_version = version.Text(0, 2);
  server_.short_version = short_version.substr(0, short_version.find(' '));
  server_.database = version.Text(0, 3);
  server_.extension_schemas.clear();
  for (int row = 0; row < extensions.rows(); ++row) {
    server_.extension_schemas[extensions.Text(row, 0)] =
        extensions.Text(row, 1);
  }
}

void Session::LearnNeeds(const Collector& collector,
                         const pg::Outcome& outcome) {
  try {
    const auto& rows = outcome.rows();
    if (rows.rows() == 0 || rows.Text(0, 0) != "t") {
      absent_.emplace(collector.name, collector.needs.absent);
    }
  } catch (const pg::Error& error) {
    impossible_.insert_or_assign(collector.name, error);
  }
}

}  // namespace meshhook
