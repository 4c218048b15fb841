// SPDX-License-Identifier: MIT
#include "exporter/pg.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <future>
#include <sstream>
#include <thread>
#include <utility>

#include "exporter/log.h"

namespace meshhook::pg {
namespace {

using std::chrono::milliseconds;

// How long what runs may take to be cancelled: somebody may wait for the
// answers that came before it, or nobody any more.
constexpr milliseconds kLatePatience{100};
constexpr milliseconds kCancelPatience{500};
// A request ends one query; the next of the flight may need another.
constexpr milliseconds kCancelAgain{10};
// Of one answer. Whatever it is, it must fit into the memory of this program
// more than once.
constexpr size_t kMostBytes = 32u << 20;
constexpr auto kLimitExceeded = "54000";  // program_limit_exceeded

// In microseconds.
constexpr auto kClock =
    "select (extract(epoch from clock_timestamp()) * 1000000)::bigint";

// A segment begins with this; its settings end with the segment's implicit
// transaction. JIT would spend more than these short queries ever gain, and
// an empty search path leaves nothing to the schemas others can write to. The
// clock in the last column says when the server began with the segment.
constexpr auto kGuard =
    "select set_config('statement_timeout', $1, true), "
    "set_config('lock_timeout', $2, true), "
    "set_config('transaction_read_only', "
    "coalesce(nullif($3, ''), current_setting('transaction_read_only')), "
    "true), "
    "set_config('search_path', 'pg_catalog', true), "
    "set_config('jit', 'off', true), "
    "(extract(epoch from clock_timestamp()) * 1000000)::bigint";

// libpq ends its messages with a newline and spreads some over several lines,
// the later ones indented by a tab.
std::string OneLine(const char* message) {
  std::istringstream words(message == nullptr ? "" : message);
  std::string line;
  for (std::string word; words >> word;) {
    line += (line.empty() ? "" : " ") + word;
  }
  return line;
}

Error ErrorOf(const PGresult* result) {
  const auto field = [result](int code) {
    const char* text = PQresultErrorField(result, code);
    return std::string(text == nullptr ? "" : text);
  };
  std::string message = field(PG_DIAG_MESSAGE_PRIMARY);
  if (message.empty()) message = OneLine(PQresultErrorMessage(result));
  return {message, field(PG_DIAG_SQLSTATE), field(PG_DIAG_MESSAGE_HINT)};
}

// NOTICEs are chatter; WARNINGs are for the operator.
void LogNotice(void* /*unused*/, const PGresult* result) {
  const char* severity =
      PQresultErrorField(result, PG_DIAG_SEVERITY_NONLOCALIZED);
  if (severity == nullptr || std::strcmp(severity, "WARNING") != 0) return;
  const Error warning = ErrorOf(result);
  log::Warn(warning.what(), {{"hint", warning.hint()}});
}

// libpq's request to cancel blocks until the server has taken it, which one
// that is stopped never does: so it has a thread that may be left behind. The
// future is ready when it is taken. Throws where there is no thread to spare.
std::future<void> RequestCancel(PGconn* connection) {
  const std::shared_ptr<PGcancel> cancel(PQgetCancel(connection), PQfreeCancel);
  const auto taken = std::make_shared<std::promise<void>>();
  std::thread([cancel, taken] {
    std::array<char, 256> message{};
    PQcancel(cancel.get(), message.data(), static_cast<int>(message.size()));
    taken->set_value();
  }).detach();
  return taken->get_future();
}

}  // namespace

// No answer within the time allowed; the session is as good as it was.
class Connection::Late : public Error {
 public:
  using Error::Error;
};

// What became of one query of a flight, and when the server began with it.
struct Connection::Segment {
  std::variant<Result, Error> value;
  std::optional<std::chrono::microseconds> began;
};

Stop::Stop() : fd_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  if (fd_ < 0) throw std::runtime_error("cannot create an eventfd");
}

Stop::~Stop() { close(fd_); }

void Stop::Fire() {
  fired_ = true;
  eventfd_write(fd_, 1);
}

std::optional<std::string_view> Result::Get(int row, int column) const {
  if (PQgetisnull(result_.get(), row, column) != 0) return std::nullopt;
  return std::string_view(
      PQgetvalue(result_.get(), row, column),
      static_cast<size_t>(PQgetlength(result_.get(), row, column)));
}

size_t Result::Bytes() const {
  size_t bytes = 0;
  for (int row = 0; row < rows(); ++row) {
    for (int column = 0; column < columns(); ++column) {
      bytes += static_cast<size_t>(PQgetlength(result_.get(), row, column));
    }
  }
  return bytes;
}

Connection Connection::Open(const Conninfo& conninfo, Deadline deadline,
                            const Interrupt* interrupt) {
  // Defaults come first, so that the operator's own values override them.
  std::vector<const char*> keywords = {
      "fallback_application_name", "client_encoding",  "keepalives_idle",
      "keepalives_interval",       "keepalives_count", "tcp_user_timeout"};
  std::vector<const char*> values = {
      "meshhook-exporter", "UTF8", "10", "5", "3", "15000"};
  for (const auto& [keyword, value] : conninfo.parameters()) {
    keywords.push_back(keyword.c_str());
    values.push_back(value.c_str());
  }
  const auto open = [&] {
    keywords.push_back(nullptr);
    values.push_back(nullptr);
    Connection connection(
        PQconnectStartParams(keywords.data(), values.data(), 0), interrupt);
    connection.Connect(deadline);
    return connection;
  };
  auto connection = open();
  // Such a database holds bytes of any kind, and the server would refuse to
  // send as UTF-8 what is none.
  const char* encoding =
      PQparameterStatus(connection.connection_.get(), "server_encoding");
  if (encoding == nullptr || std::strcmp(encoding, "SQL_ASCII") != 0) {
    return connection;
  }
  keywords.back() = "client_encoding";
  values.back() = "SQL_ASCII";
  return open();
}

void Connection::Connect(Deadline deadline) {
  if (!connection_ || PQstatus(connection_.get()) == CONNECTION_BAD) Broken();
  PQsetNoticeReceiver(connection_.get(), LogNotice, nullptr);
  for (auto step = PGRES_POLLING_WRITING; step != PGRES_POLLING_OK;
       step = PQconnectPoll(connection_.get())) {
    if (step == PGRES_POLLING_FAILED) Broken();
    Wait(step == PGRES_POLLING_WRITING, deadline);
  }
  if (PQsetnonblocking(connection_.get(), 1) != 0) Broken();
}

void Connection::Wait(bool for_write, Deadline deadline) {
  std::array<pollfd, 2> polled{
      {{PQsocket(connection_.get()),
        static_cast<short>(for_write ? POLLIN | POLLOUT : POLLIN), 0},
       {interrupt_ == nullptr ? -1 : interrupt_->fd(), POLLIN, 0}}};
  while (true) {
    const auto left = std::chrono::ceil<milliseconds>(deadline - Clock::now());
    if (left.count() <= 0)
      throw Late("no answer within the time allowed", "", "");
    const int ready =
        poll(polled.data(), polled.size(), static_cast<int>(left.count()));
    if (ready < 0 && errno != EINTR) throw Late(std::strerror(errno), "", "");
    if (ready <= 0) continue;
    if (polled[1].revents != 0 && interrupt_->fired()) {
      throw Late("interrupted", "", "");
    }
    if (polled[0].revents != 0) return;
  }
}

void Connection::Broken() {
  const std::string why = connection_
                              ? OneLine(PQerrorMessage(connection_.get()))
                              : "out of memory";
  connection_.reset();
  throw Error(why, "", "");
}

void Connection::Send(const Query& query) {
  std::vector<const char*> values;
  values.reserve(query.parameters.size());
  for (const auto& parameter : query.parameters) {
    values.push_back(parameter.c_str());
  }
  if (PQsendQueryParams(connection_.get(), query.sql.c_str(),
                        static_cast<int>(values.size()), nullptr, values.data(),
                        nullptr, nullptr, 0) == 0) {
    Broken();
  }
}

PGresult* Connection::Next(Deadline deadline) {
  int unsent = PQflush(connection_.get());
  while (unsent > 0 || PQisBusy(connection_.get()) != 0) {
    if (unsent < 0) Broken();
    Wait(unsent > 0, deadline);
    Consume();
    unsent = PQflush(connection_.get());
  }
  if (unsent < 0) Broken();
  return PQgetResult(connection_.get());
}

// libpq takes whatever the server sends into memory before it gives any of it.
void Connection::Consume() {
  int waiting = 0;
  if (ioctl(PQsocket(connection_.get()), FIONREAD, &waiting) == 0) {
    received_ += static_cast<size_t>(waiting);
  }
  if (received_ > kMostBytes) {
    connection_.reset();
    throw Error("its answer is longer than " +
                    std::to_string(kMostBytes >> 20) + " MiB",
                kLimitExceeded, "ask for fewer rows or shorter values");
  }
  if (PQconsumeInput(connection_.get()) == 0) Broken();
}

std::vector<Outcome> Connection::Flight(const std::vector<Query>& queries,
                                        const Guard& guard, Deadline deadline) {
  const Query settings{kGuard,
                       {std::to_string(guard.statement_timeout.count()),
                        std::to_string(guard.lock_timeout.count()),
                        guard.read_only ? "on" : ""}};
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
  std::optional<std::chrono::microseconds> began;
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
        segment->value = std::move(result);
        continue;
      }
      const int clock = result.columns() - 1;
      const std::chrono::microseconds began(std::stoll(result.Text(0, clock)));
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
        taken = RequestCancel(connection_.get());
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

Result Connection::Run(const Query& query, const Guard& guard,
                       Deadline deadline) {
  auto outcomes = Flight({query}, guard, deadline);
  outcomes.front().rows();
  return std::get<Result>(std::move(outcomes.front().value));
}

Result Connection::Execute(const Query& query, Deadline deadline) {
  Send(query);
  return ReadAll(deadline);
}

Result Connection::Script(const std::string& sql, Deadline deadline) {
  if (PQsendQuery(connection_.get(), sql.c_str()) == 0) Broken();
  return ReadAll(deadline);
}

Result Connection::ReadAll(Deadline deadline) {
  Result last(nullptr);
  std::optional<Error> error;
  received_ = 0;
  try {
    while (PGresult* next = Next(deadline)) {
      last = Result(next);
      if (PQresultStatus(next) == PGRES_FATAL_ERROR) error = ErrorOf(next);
    }
  } catch (const Late&) {
    // After a missed deadline the server's own statement timeout does it.
    if (interrupt_ != nullptr && interrupt_->fired()) {
      RequestCancel(connection_.get()).wait_for(kCancelPatience);
    }
    connection_.reset();
    throw;
  }
  if (PQstatus(connection_.get()) == CONNECTION_BAD) Broken();
  if (error) throw std::move(*error);
  return last;
}

}  // namespace meshhook::pg
