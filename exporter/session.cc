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
// A collector with a long interval is asked again sooner after it failed.
constexpr std::chrono::seconds kFailureInterval{60};
constexpr std::chrono::seconds kOutageInterval{5};
constexpr milliseconds kMostBackoff{5000};

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

// Whether it took time that others need: it was cancelled, or gave more than
// there is room for.
bool IsTooDear(const pg::Error& error) {
  return error.sqlstate() == pg::kLimitExceeded || error.sqlstate() == "57014";
}

}  // namespace

Session::Session(Conninfo conninfo, const std::vector<Collector>& collectors,
                 SessionOptions options, Costs& costs,
                 const pg::Interrupt* interrupt)
    : conninfo_(std::move(conninfo)),
      options_(std::move(options)),
      costs_(costs),
      interrupt_(interrupt),
      backoff_(kMostBackoff) {
  for (size_t i = 0; i < collectors.size(); ++i) {
    if (options_.asks == nullptr || options_.asks(collectors[i])) {
      asked_.push_back({.place = i, .collector = &collectors[i]});
    }
  }
}

Answers Session::Ask(pg::Deadline deadline, bool again) {
  round_trips_ = 0;
  if (!open() && unreachable_ && !again && backoff_.Waiting(pg::Clock::now())) {
    throw *unreachable_;
  }
  const bool kept = open();
  const auto ask = [&] {
    auto answers = AskOnce(deadline);
    backoff_.Succeeded();
    unreachable_.reset();
    return answers;
  };
  try {
    try {
      return ask();
    } catch (const pg::Error&) {
      // A kept session that a pooler or an administrator has ended since is no
      // outage if a new one answers.
      if (!kept || open() || pg::Clock::now() >= deadline) throw;
    }
    return ask();
  } catch (const pg::Error& error) {
    // Cut short by those who asked it says nothing of the database.
    if (Interrupted()) throw;
    const auto now = pg::Clock::now();
    if (!backoff_.Waiting(now)) backoff_.Failed(now);
    unreachable_ = error;
    throw;
  }
}

Answers Session::Failed(const pg::Error& error) {
  Answers answers;
  for (const auto& asked : asked_) {
    costs_.NoteFailure(asked.collector->name, error.sqlstate());
    answers[asked.place] = {.value = error, .at = pg::Clock::now()};
  }
  return answers;
}

pg::Result Session::Run(const pg::Query& query, pg::Deadline deadline) {
  if (!open()) throw pg::Error("there is no session", "", "");
  return connection_->Run(query, GuardFor(deadline), deadline);
}

pg::Clock::time_point Session::NextDue() const {
  auto next = pg::Clock::time_point::max();
  for (const auto& asked : asked_) next = std::min(next, asked.due);
  return open() ? next : std::max(next, backoff_.retry_at());
}

Answers Session::AskOnce(pg::Deadline deadline) {
  if (!open()) {
    connection_ = pg::Connection::Open(conninfo_, deadline, interrupt_);
    learned_at_.reset();
  }
  if (!learned_at_) Learn(Fly(Questions(), deadline).data());

  Answers answers;
  std::vector<Asked*> flying;
  std::vector<pg::Query> queries;
  for (auto* asked : Due()) {
    if (asked->bar.Waiting(pg::Clock::now())) {
      answers[asked->place] = Refusal(*asked, *asked->barred_for);
    } else if (const auto* error = std::get_if<pg::Error>(&asked->statement)) {
      answers[asked->place] = Refusal(*asked, *error);
    } else {
      queries.push_back(std::get<pg::Query>(asked->statement));
      flying.push_back(asked);
    }
  }
  const bool learn = pg::Clock::now() - *learned_at_ > kLearnInterval;
  if (learn) {
    for (auto& question : Questions()) queries.push_back(std::move(question));
  }
  // Something must be asked, or a dead session would pass for a live one.
  if (queries.empty()) queries.push_back({"SELECT", {}});
  auto outcomes = Fly(queries, deadline);
  bool all_answered = true;
  for (size_t i = 0; i < flying.size(); ++i) {
    auto& asked = *flying[i];
    const auto& answer = answers[asked.place] = AnswerOf(asked, outcomes[i]);
    const auto* error = std::get_if<pg::Error>(&answer.value);
    const bool answered = error == nullptr || !error->sqlstate().empty();
    // The first that has no answer is the one that was waited for.
    asked.dear =
        error != nullptr && (answered ? IsTooDear(*error) : all_answered);
    if (!asked.dear) {
      asked.bar.Succeeded();
    } else if (!Interrupted()) {
      asked.bar.Failed(pg::Clock::now());
      asked.barred_for = *error;
    }
    // One that was too long has taken the session from those behind it.
    all_answered =
        all_answered && answered &&
        !(error != nullptr && error->sqlstate() == pg::kLimitExceeded);
  }
  try {
    if (learn) Learn(&outcomes[flying.size()]);
  } catch (const pg::Error&) {  // with the next scrape, then
  }
  return answers;
}

std::vector<Session::Asked*> Session::Due() {
  const auto now = pg::Clock::now();
  std::vector<Asked*> due;
  for (auto& asked : asked_) {
    if (asked.due <= now) due.push_back(&asked);
  }
  std::stable_partition(due.begin(), due.end(),
                        [](const Asked* asked) { return !asked->dear; });
  return due;
}

std::vector<pg::Outcome> Session::Fly(const std::vector<pg::Query>& queries,
                                      pg::Deadline deadline) {
  ++round_trips_;
  auto outcomes = connection_->Flight(queries, GuardFor(deadline), deadline);
  for (const auto& outcome : outcomes) costs_.NoteTime(outcome.server_time);
  return outcomes;
}

Answer Session::Refusal(Asked& asked, const pg::Error& error) {
  const auto now = pg::Clock::now();
  if (!asked.silent && !Interrupted()) {
    costs_.NoteFailure(asked.collector->name, error.sqlstate());
  }
  asked.due = now + IntervalOf(asked, &error);
  return {.value = error, .silent = asked.silent, .at = now};
}

Answer Session::AnswerOf(Asked& asked, pg::Outcome& outcome) {
  const auto& collector = *asked.collector;
  costs_.NoteTime(collector.name, outcome.server_time);
  Answer answer;
  try {
    if (const auto* error = std::get_if<pg::Error>(&outcome.value))
      throw *error;
    auto result = std::get<pg::Result>(std::move(outcome.value));
    answer.bytes = result.Bytes();
    auto choice = collector.limit.rows == 0
                      ? All(result)
                      : asked.selection.Choose(collector, result);
    answer.value = std::make_shared<const Rows>(
        Rows{std::move(result), std::move(choice)});
    answer.at = pg::Clock::now();
    asked.due = answer.at + IntervalOf(asked, nullptr);
  } catch (const pg::Error& error) {
    if (IsMissing(error)) asked.statement = error;
    answer = Refusal(asked, error);
  }
  answer.took = outcome.took;
  return answer;
}

milliseconds Session::IntervalOf(const Asked& asked,
                                 const pg::Error* error) const {
  const auto interval =
      std::max<milliseconds>(options_.interval, asked.collector->interval);
  if (error == nullptr) return interval;
  return std::min<milliseconds>(
      interval, IsOutage(*error) ? kOutageInterval : kFailureInterval);
}

std::vector<pg::Query> Session::Questions() const {
  std::vector<pg::Query> questions{{kVersionQuery, {}}, {kExtensionsQuery, {}}};
  for (const auto& asked : asked_) {
    const auto& needs = asked.collector->needs.sql;
    if (!needs.empty()) questions.push_back({"SELECT " + needs, {}});
  }
  return questions;
}

void Session::Learn(const pg::Outcome* outcomes) {
  if (!open()) throw pg::Error("the session has ended", "", "");
  LearnServer(outcomes[0].rows(), outcomes[1].rows());
  const pg::Outcome* next = outcomes + 2;
  for (auto& asked : asked_) {
    const bool has_needs = !asked.collector->needs.sql.empty();
    Prepare(asked, has_needs ? next : nullptr);
    if (has_needs) ++next;
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

void Session::Prepare(Asked& asked, const pg::Outcome* needs) {
  const auto& collector = *asked.collector;
  asked.silent = true;
  if (server_.version < collector.min_server_version) {
    asked.statement =
        pg::Error("it needs PostgreSQL " +
                      std::to_string(collector.min_server_version / 10000),
                  "", "");
    return;
  }
  try {
    if (needs != nullptr) {
      const auto& rows = needs->rows();
      if (rows.rows() == 0 || rows.Text(0, 0) != "t") {
        asked.statement = pg::Error(collector.needs.absent, "", "");
        return;
      }
    }
    asked.silent = false;
    asked.statement =
        StatementFor(collector, server_, options_.excluded_schemas);
  } catch (const pg::Error& error) {
    asked.silent = false;
    asked.statement = error;
  }
}

}  // namespace meshhook
