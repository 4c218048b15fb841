// SPDX-License-Identifier: MIT
#include "exporter/pg.h"

#include <fcntl.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <future>
#include <sstream>
#include <thread>

namespace meshhook::pg {
using std::chrono::milliseconds;

std::string OneLine(const char* message) {
  std::istringstream words(message == nullptr ? "" : message);
  std::string line;
  for (std::string word; words >> word;) {
    line += (line.empty() ? "" : " ") + word;
  }
  return line;
}

Error TooLong() {
  return {
      "its answer is longer than " + std::to_string(kMostBytes >> 20) + " MiB",
      kLimitExceeded, "ask for fewer rows or shorter values"};
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
  // The kernel counts what has come; less what waits there still, libpq has it.
  // What comes between the two questions makes the difference too small, and
  // even negative, by no more than a socket holds.
  const auto taken = [socket = PQsocket(connection_.get())]() -> std::int64_t {
    tcp_info info{};
    socklen_t size = sizeof info;
    int waiting = 0;
    if (getsockopt(socket, IPPROTO_TCP, TCP_INFO, &info, &size) != 0 ||
        ioctl(socket, FIONREAD, &waiting) != 0) {
      return 0;  // no TCP
    }
    return static_cast<std::int64_t>(info.tcpi_bytes_received) - waiting;
  };
  const std::int64_t before = taken();
  if (PQconsumeInput(connection_.get()) == 0) Broken();
  received_ += taken() - before;
  if (received_ > kMostBytes) {
    connection_.reset();
    throw TooLong();
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

// libpq's request to cancel blocks until the server has taken it, which one
// that is stopped never does: so it has a thread that may be left behind.
std::future<void> Connection::RequestCancel() const {
  const std::shared_ptr<PGcancel> cancel(PQgetCancel(connection_.get()),
                                         PQfreeCancel);
  const auto taken = std::make_shared<std::promise<void>>();
  std::thread([cancel, taken] {
    std::array<char, 256> message{};
    PQcancel(cancel.get(), message.data(), static_cast<int>(message.size()));
    taken->set_value();
  }).detach();
  return taken->get_future();
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
      RequestCancel().wait_for(kCancelPatience);
    }
    connection_.reset();
    throw;
  }
  if (PQstatus(connection_.get()) == CONNECTION_BAD) Broken();
  if (error) throw std::move(*error);
  return last;
}

}  // namespace meshhook::pg
