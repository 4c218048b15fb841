// SPDX-License-Identifier: MIT
// Many queries in one round trip.
#include <algorithm>
#include <future>
#include <optional>
#include <utility>

#include "exporter/log.h"
#include "exporter/pg.h"

namespace meshhook::pg {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;

// How long what runs may take to be cancelled where somebody waits for the
// answers that came before it.
constexpr milliseconds kLatePatience{100};
// A request ends one query; the next of the flight may need another.
constexpr milliseconds kCancelAgain{10};

// In microseconds.
constexpr auto kClock =
    "select (extract(epoch from clock_timestamp()) * 1000000)::bigint";

// A segment begins with this; its settings end with the segment's implicit
// transaction. JIT would spend more than these short queries ever gain, and
// an empty search path leaves nothing to the schemas others can write to. The
// clock in the last column says when the server began with the segment.
Query GuardQuery(const Guard& guard) {
  Query query{
      "select set_config('statement_timeout', $1, true), "
      "set_config('lock_timeout', $2, true), "
      "set_config('transaction_read_only', "
      "coalesce(nullif($3, ''), current_setting('transaction_read_only')), "
      "true), "
      "set_config('search_path', 'pg_catalog', true), "
      "set_config('jit', 'off', true), ",
      {std::to_string(guard.statement_timeout.count()),
       std::to_string(guard.lock_timeout.count()),
       guard.read_only ? "on" : ""}};
  for (const auto& [name, value] : guard.settings) {
    query.parameters.insert(query.parameters.end(), {name, value});
    const size_t last = query.parameters.size();
    query.sql += "set_config($" + std::to_string(last - 1) + ", $" +
                 std::to_string(last) + ", true), ";
  }
  query.sql += "(extract(epoch from clock_timestamp()) * 1000000)::bigint";
  return query;
}

}  // namespace

// What became of one query of a flight, and when the server began with it.
struct Connection::Segment {
  std::variant<Result, Error> value;
  std::optional<microseconds> began;
};

std::vector<Outcome> Connection::Flight(const std::vector<Query>& queries,
                                        const Guard& guard, Deadline deadline) {
  const Query settings = GuardQuery(guard);
  if (PQenterPipelineMode(connection_.get()) == 0) Broken();
  const auto end_segment = [this] {
    if (PQpipelineSync(connection_.get()) == 0) Broken();
  };
  for (const auto& query : queries) {
    Send(settings);
    Send(query);
    end_segment();
  }
  Send({kClock, {}});
  end_segment();

  std::vector<Outcome> outcomes;
  outcomes.reserve(queries.size());
  size_t under_way = queries.size() + 1;
  std::optional<microseconds> began;
  auto answered = Clock::now();
  try {
    while (under_way > 0) {
      auto segment = NextSegment(deadline);
      --under_way;
      if (began && segment.began && *segment.began > *began) {
        outcomes.back().server_time = *segment.began - *began;
      }
      began = segment.began;
      if (under_way == 0) break;
      const auto now = Clock::now();
      outcomes.push_back(
          {.value = std::move(segment.value), .took = now - answered});
      answered = now;
    }
    if (PQexitPipelineMode(connection_.get()) == 0) Broken();
  } catch (const Error& error) {
    if (open()) Drain(under_way);
    const bool long_answer = error.sqlstate() == kLimitExceeded;
    if (outcomes.empty() && !long_answer) throw;
    Error reason = error;
    while (outcomes.size() < queries.size()) {
      outcomes.push_back({.value = reason});
      if (long_answer) {
        reason =
            Error("not answered, as an answer before it was too long", "", "");
      }
    }
  }
  return outcomes;
}

Connection::Segment Connection::NextSegment(Deadline deadline) {
  // Until the sync come the settings' result and the query's, or an error and
  // "aborted" for what stood behind it.
  std::optional<Segment> segment;
  received_ = 0;
  while (true) {
    Result result(Next(deadline));
    if (PQstatus(connection_.get()) == CONNECTION_BAD) Broken();
    if (result.get() == nullptr) continue;
    const ExecStatusType status = PQresultStatus(result.get());
    if (status == PGRES_PIPELINE_SYNC) return std::move(segment.value());
    if (status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK) {
      if (segment) {
        // One that came by a socket where nothing is counted.
        if (PQresultMemorySize(result.get()) >
            static_cast<size_t>(4 * kMostBytes)) {
          connection_.reset();  // with the memory that it took
          throw TooLong();
        }
        segment->value = std::move(result);
        continue;
      }
      const int clock = result.columns() - 1;
      const microseconds began(std::stoll(result.Text(0, clock)));
      segment.emplace(Segment{std::move(result), began});
    } else if (status == PGRES_FATAL_ERROR) {
      const auto began = segment ? segment->began : std::nullopt;
      segment.emplace(Segment{ErrorOf(result.get()), began});
    }
  }
}

void Connection::Drain(size_t segments) {
  const bool awaited = interrupt_ == nullptr || !interrupt_->fired();
  const Deadline patience =
      Clock::now() + (awaited ? kLatePatience : kCancelPatience);
  const auto* interrupt = std::exchange(interrupt_, nullptr);
  try {
    std::future<void> taken;
    const auto is_taken_by = [&taken](Deadline deadline) {
      return taken.wait_until(deadline) == std::future_status::ready;
    };
    while (segments > 0) {
      const auto now = Clock::now();
      if (!taken.valid() || is_taken_by(now)) {
        taken = RequestCancel();
      }
      try {
        while (segments > 0) {
          const Result result(Next(std::min(now + kCancelAgain, patience)));
          if (PQstatus(connection_.get()) == CONNECTION_BAD) Broken();
          if (result.get() != nullptr &&
              PQresultStatus(result.get()) == PGRES_PIPELINE_SYNC) {
            --segments;
          }
        }
      } catch (const Late&) {
        if (Clock::now() >= patience) throw;
      }
    }
    // One that the server has yet to take would hit what is asked next.
    if (taken.valid() && !is_taken_by(patience)) {
      throw Late("the server does not take a request to cancel", "", "");
    }
    if (PQexitPipelineMode(connection_.get()) == 0) Broken();
  } catch (const std::exception& error) {
    // The server's own statement timeout must do.
    log::Debug("cannot cancel", {{"reason", error.what()}});
    connection_.reset();
  }
  interrupt_ = interrupt;
}

}  // namespace meshhook::pg
