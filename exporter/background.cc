// SPDX-License-Identifier: MIT
#include "exporter/background.h"

#include <poll.h>

#include <algorithm>
#include <cctype>
#include <set>
#include <utility>

#include "exporter/log.h"
#include "exporter/statement.h"

namespace meshhook {
namespace {

using std::chrono::milliseconds;
using namespace std::chrono_literals;

constexpr milliseconds kShortestPause = 1s;
constexpr milliseconds kLongestPause = 60s;

Collector Discovery(const DatabaseOptions& options) {
  return {.name = "discovery",
          .summary = "the other databases of the server",
          .query = R"(
        SELECT datname FROM pg_database
        WHERE datallowconn AND NOT datistemplate
          AND datname <> current_database()
          AND has_database_privilege(oid, 'CONNECT')
          AND (@include@ = '' OR datname ~ @include@)
          AND datname !~ @exclude@
        ORDER BY datname)",
          .labels = {},
          .metrics = {},
          .settings = {
              {"include",
               options.include.empty() ? "" : RegexOf(options.include), ""},
              {"exclude", RegexOf(options.exclude), ""}}};
}

bool IsSlow(const Collector& collector) {
  return collector.interval.count() > 0;
}

bool IsOfEveryDatabase(const Collector& collector) {
  return collector.scope == Scope::kDatabase;
}

bool IsGone(const pg::Error& error) {
  return error.sqlstate() == "3D000" ||
         std::string_view(error.what()).find("does not exist") !=
             std::string_view::npos;
}

}  // namespace

std::string RegexOf(const std::vector<std::string>& patterns) {
  std::string regex;
  for (const auto& pattern : patterns) {
    regex += regex.empty() ? "^(" : "|";
    for (const char c : pattern) {
      if (c == '*') {
        regex += ".*";
      } else if (c == '?') {
        regex += '.';
      } else if (std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_' ||
                 (c & 0x80) != 0) {
        regex += c;
      } else {
        regex += {'\\', c};
      }
    }
  }
  return regex.empty() ? "^$" : regex + ")$";
}

Background::Background(const Conninfo& conninfo,
                       const std::vector<Collector>& collectors,
                       const DatabaseOptions& options, Costs& costs)
    : conninfo_(conninfo),
      collectors_(collectors),
      options_(options),
      excluded_schemas_(RegexOf(options.excluded_schemas)),
      costs_(costs),
      given_(conninfo, collectors,
             {.excluded_schemas = excluded_schemas_, .asks = IsSlow}, costs,
             &stop_) {}

Background::~Background() {
  stop_.Fire();
  if (thread_.joinable()) thread_.join();
}

void Background::Start(milliseconds timeout) {
  thread_ = std::thread(&Background::Loop, this, timeout);
}

void Background::Loop(milliseconds timeout) {
  while (!stop_.fired()) {
    try {
      AskDue(timeout, pg::Deadline::max());
    } catch (const std::exception& error) {  // out of memory
      log::Error("the background lane failed", {{"reason", error.what()}});
    }
    const auto now = pg::Clock::now();
    const auto pause =
        std::clamp(std::chrono::ceil<milliseconds>(
                       std::min(NextDue(), now + kLongestPause) - now),
                   kShortestPause, kLongestPause);
    pollfd stopped{stop_.fd(), POLLIN, 0};
    poll(&stopped, 1, static_cast<int>(pause.count()));
  }
}

void Background::AskDue(milliseconds timeout, pg::Deadline last) {
  const auto deadline = [&] {
    return std::min<pg::Deadline>(pg::Clock::now() + timeout, last);
  };
  const auto is_due = [](const pg::Clock::time_point& at) {
    return at <= pg::Clock::now();
  };
  if (is_due(given_.NextDue())) AskGiven(deadline());
  if (!options_.discover) return;
  if (is_due(discover_at_)) Discover(deadline());
  int open = 0;
  for (auto& [name, session] : others_) {
    if (stop_.fired()) return;
    if (is_due(session.NextDue())) AskOther(name, session, deadline());
    // The first stay open, the last session is each of the others' in turn.
    if (session.open() && ++open >= options_.connections &&
        others_.size() > static_cast<size_t>(options_.connections)) {
      session.Close();
      --open;
    }
  }
}

void Background::AskGiven(pg::Deadline deadline) {
  try {
    Put("", given_.Ask(deadline));
  } catch (const pg::Error& error) {
    Put("", given_.Failed(error));
  }
}

void Background::Discover(pg::Deadline deadline) {
  discover_at_ = pg::Clock::now() + options_.interval;
  try {
    if (!given_.open()) given_.Ask(deadline);
    const auto found = given_.Run(
        StatementFor(Discovery(options_), given_.server(), ""), deadline);
    std::set<std::string> names;
    for (int row = 0; row < found.rows(); ++row) {
      names.insert(found.Text(row, 0));
    }
    for (const auto& name : names) {
      others_.try_emplace(name, conninfo_.ForDatabase(name), collectors_,
                          SessionOptions{.excluded_schemas = excluded_schemas_,
                                         .interval = options_.interval,
                                         .asks = IsOfEveryDatabase},
                          costs_, &stop_);
    }
    const auto has_gone = [&names](const auto& known) {
      return !known.first.empty() && names.count(known.first) == 0;
    };
    std::erase_if(others_, has_gone);
    const std::lock_guard lock(mutex_);
    std::erase_if(shelf_, has_gone);
  } catch (const pg::Error& error) {  // they are as they were known
    log::Debug("cannot discover databases", {{"reason", error.what()}});
  }
}

void Background::AskOther(const std::string& name, Session& session,
                          pg::Deadline deadline) {
  try {
    Put(name, session.Ask(deadline));
  } catch (const pg::Error& error) {
    if (!IsGone(error)) {
      Put(name, session.Failed(error));
      return;
    }
    const std::lock_guard lock(mutex_);
    shelf_.erase(name);
  }
}

void Background::Put(const std::string& database, Answers answers) {
  const std::lock_guard lock(mutex_);
  auto& shelf = shelf_[database];
  for (auto& [place, answer] : answers) {
    shelf.insert_or_assign(place, std::move(answer));
  }
}

std::vector<Part> Background::Shelf() const {
  const std::lock_guard lock(mutex_);
  std::vector<Part> parts;
  parts.reserve(shelf_.size());
  for (const auto& [name, answers] : shelf_) parts.push_back({name, answers});
  return parts;
}

pg::Clock::time_point Background::NextDue() const {
  auto next = given_.NextDue();
  if (options_.discover) next = std::min(next, discover_at_);
  for (const auto& [name, session] : others_) {
    next = std::min(next, session.NextDue());
  }
  return next;
}

}  // namespace meshhook
