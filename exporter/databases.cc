// SPDX-License-Identifier: MIT
#include "exporter/databases.h"

#include <algorithm>
#include <cctype>
#include <utility>

namespace meshhook {
namespace {

constexpr std::chrono::milliseconds kMostBackoff{10000};

// Asked with every scrape, so that a database that came or went is seen at
// once.
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

Databases::Databases(const Conninfo& conninfo, DatabaseOptions options,
                     const pg::Interrupt* interrupt)
    : conninfo_(conninfo),
      options_(std::move(options)),
      excluded_schemas_(RegexOf(options_.excluded_schemas)),
      discovery_(Discovery(options_)),
      interrupt_(interrupt),
      given_(conninfo, excluded_schemas_, interrupt),
      backoff_(kMostBackoff) {}

void Databases::Forget() {
  given_.Forget();
  for (auto& [name, session] : others_) session.Forget();
}

std::vector<Part> Databases::Ask(const std::vector<Collector>& collectors,
                                 pg::Deadline deadline, bool again) {
  if (!given_.open() && backoff_.Waiting(pg::Clock::now()) && unreachable_ &&
      !again) {
    throw *unreachable_;
  }
  try {
    auto parts = AskAll(collectors, deadline);
    backoff_.Succeeded();
    unreachable_.reset();
    return parts;
  } catch (const pg::Error& error) {
    const auto now = pg::Clock::now();
    if (!backoff_.Waiting(now)) backoff_.Failed(now);
    unreachable_ = error;
    throw;
  }
}

std::vector<Part> Databases::AskAll(const std::vector<Collector>& collectors,
                                    pg::Deadline deadline) {
  std::vector<const Collector*> asked;
  for (const auto& collector : collectors) asked.push_back(&collector);
  if (options_.discover) asked.push_back(&discovery_);

  auto answers = given_.Ask(asked, deadline);
  std::vector<Part> parts;
  parts.push_back({&given_, given_.server().database, {}});
  for (size_t i = 0; i < collectors.size(); ++i) {
    parts[0].answers.emplace(i, std::move(answers[i]));
  }
  if (!options_.discover) return parts;
  std::vector<std::string> names;
  using Rows = std::shared_ptr<const pg::Result>;
  if (const auto* found = std::get_if<Rows>(&answers.back().value)) {
    for (int row = 0; row < (*found)->rows(); ++row) {
      names.push_back((*found)->Text(row, 0));
    }
  } else {  // as they were known
    for (const auto& [name, session] : others_) names.push_back(name);
  }
  AskOthers(names, collectors, deadline, parts);
  return parts;
}

void Databases::AskOthers(const std::vector<std::string>& names,
                          const std::vector<Collector>& collectors,
                          pg::Deadline deadline, std::vector<Part>& parts) {
  std::erase_if(others_, [&names](const auto& other) {
    return std::find(names.begin(), names.end(), other.first) == names.end();
  });
  std::vector<size_t> places;
  std::vector<const Collector*> asked;
  for (size_t i = 0; i < collectors.size(); ++i) {
    if (collectors[i].scope != Scope::kDatabase) continue;
    places.push_back(i);
    asked.push_back(&collectors[i]);
  }
  if (asked.empty()) return;
  const auto most = static_cast<size_t>(options_.connections);
  size_t place_in_line = 0;
  for (const auto& name : names) {
    Session& session = others_
                           .try_emplace(name, conninfo_.ForDatabase(name),
                                        excluded_schemas_, interrupt_)
                           .first->second;
    Part part{&session, name, {}};
    try {
      auto answers = session.Ask(asked, deadline);
      for (size_t i = 0; i < places.size(); ++i) {
        part.answers.emplace(places[i], std::move(answers[i]));
      }
    } catch (const pg::Error& error) {
      if (IsGone(error)) continue;
      for (const size_t place : places) {
        part.answers.emplace(place, Answer{.value = error});
      }
    }
    parts.push_back(std::move(part));
    // The first stay open, the last session is each of the others' in turn.
    if (++place_in_line >= most && names.size() > most) session.Close();
  }
}

}  // namespace meshhook
