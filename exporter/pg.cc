// SPDX-License-Identifier: MIT
#include "exporter/pg.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <future>
#include <sstream>
#include <thread>

#include "exporter/log.h"

namespace meshhook::pg {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kCancelPatience{500};

// A segment begins with this; its settings end with the segment's implicit
// transaction. JIT would spend more than these short queries ever gain, and
// an empty search path leaves nothing to the schemas others can write to.
constexpr auto kGuard =
    "select set_config('statement_timeout', $1, true), "
    "set_config('lock_timeout', $2, true), "
    "set_config('transaction_read_only', "
    "coalesce(nullif($3, ''), current_setting('transaction_read_only')), "
    "true), "
    "set_config('search_path', 'pg_catalog', true), "
    "set_config('jit', 'off', true)";

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

// libpq's request to cancel blocks until the server has taken it, which one
// that is stopped never does: so it has a thread that may be left behind.
void Cancel(PGconn* connection) try {
  const std::shared_ptr<PGcancel> cancel(PQgetCancel(connection), PQfreeCancel);
  const auto done = std::make_shared<std::promise<void>>();
  std::thread([cancel, done] {
    std::array<char, 256> message{};
    PQcancel(cancel.get(), message.data(), static_cast<int>(message.size()));
    done->set_value();
  }).detach();
  done->get_future().wait_for(kCancelPatience);
} catch (const std::exception& error) {
  // Without a thread to spare the server's statement timeout must do.
  log::Debug("cannot cancel", {{"reason", error.what()}});
}

}  // namespace

Interrupt::Interrupt() : fd_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  if (fd_ < 0) throw std::runtime_error("cannot create an eventfd");
}

Interrupt::~Interrupt() { close(fd_); }

void Interrupt::Fire() {
  fired_ = true;
  eventfd_write(fd_, 1);
}

std::optional<std::string_view> Result::Get(int row, int column) const {
  if (PQgetisnull(result_.get(), row, column) != 0) return std::nullopt;
  return std::string_view(
      PQgetvalue(result_.get(), row, column),
      static_cast<size_t>(PQgetlength(result_.get(), row, column)));
}

void Connection::Wait(bool for_write, Deadline deadline) {
  std::array<pollfd, 2> polled{
      {{PQsocket(connection_.get()),
        static_cast<short>(for_write ? POLLIN | POLLOUT : POLLIN), 0},
       {interrupt_ == nullptr ? -1 : interrupt_->fd(), POLLIN, 0}}};
  while (true) {
    const auto left = std::chrono::ceil<milliseconds>(deadline - Clock::now());
    if (left.count() <= 0) Abandon("no answer within the time allowed");
    const int ready =
        poll(polled.data(), polled.size(), static_cast<int>(left.count()));
    if (ready < 0 && errno != EINTR) Abandon(std::strerror(errno));
    if (polled[1].revents != 0) Abandon("interrupted");
    if (ready > 0) return;
  }
}

void Connection::Abandon(const std::string& why) {
  // Only where the interrupt fired: after a missed deadline the server's own
  // statement timeout does the same.
  if (PQstatus(connection_.get()) == CONNECTION_OK &&
      PQtransactionStatus(connection_.get()) == PQTRANS_ACTIVE &&
      interrupt_ != nullptr && interrupt_->fired()) {
    Cancel(connection_.get());
  }
  connection_.reset();
  throw Error(why, "", "");
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
    if (PQconsumeInput(connection_.get()) == 0) Broken();
    unsent = PQflush(connection_.get());
  }
  if (unsent < 0) Broken();
  return PQgetResult(connection_.get());
}

std::vector<Outcome> Connection::Flight(const std::vector<Query>& queries,
                                        const Guard& guard, Deadline deadline) {
  const Query settings{kGuard,
                       {std::to_string(guard.statement_timeout.count()),
                        std::to_string(guard.lock_timeout.count()),
                        guard.read_only ? "on" : ""}};
  if (PQenterPipelineMode(connection_.get()) == 0) Broken();
  for (const auto& query : queries) {
    Send(settings);
    Send(query);
    if (PQpipelineSync(connection_.get()) == 0) Broken();
  }

  std::vector<Outcome> outcomes;
  outcomes.reserve(queries.size());
  auto answered = Clock::now();
  const auto note = [&](std::variant<Result, Error> value) {
    const auto now = Clock::now();
    outcomes.push_back({std::move(value), now - answered});
    answered = now;
  };
  try {
    while (outcomes.size() < queries.size()) note(NextAnswer(deadline));
    if (PQexitPipelineMode(connection_.get()) == 0) Broken();
  } catch (const Error& error) {
    if (outcomes.empty()) throw;
    while (outcomes.size() < queries.size()) note(error);
  }
  return outcomes;
}

std::variant<Result, Error> Connection::NextAnswer(Deadline deadline) {
  // Until the sync come the settings' result and the query's, or an error and
  // "aborted" for what stood behind it.
  std::optional<std::variant<Result, Error>> last;
  while (true) {
    Result result(Next(deadline));
    if (PQstatus(connection_.get()) == CONNECTION_BAD) Broken();
    if (result.get() == nullptr) continue;
    const ExecStatusType status = PQresultStatus(result.get());
    if (status == PGRES_PIPELINE_SYNC) return std::move(last.value());
    if (status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK) {
      last.emplace(std::move(result));
    } else if (status == PGRES_FATAL_ERROR) {
      last.emplace(ErrorOf(result.get()));
    }
  }
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
  while (PGresult* next = Next(deadline)) {
    last = Result(next);
    if (PQresultStatus(next) == PGRES_FATAL_ERROR) error = ErrorOf(next);
  }
  if (PQstatus(connection_.get()) == CONNECTION_BAD) Broken();
  if (error) throw std::move(*error);
  return last;
}

}  // namespace meshhook::pg
