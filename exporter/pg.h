// SPDX-License-Identifier: MIT
// The only place that speaks libpq.
//
// Everything here waits with poll(), so a deadline holds even when the server
// is stopped, the network drops packets or a name is not resolved, and an
// Interrupt ends a wait at once.
#pragma once

#include <libpq-fe.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <future>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "exporter/conninfo.h"

namespace meshhook::pg {

using Clock = std::chrono::steady_clock;
using Deadline = Clock::time_point;

// What the server or the connection refused. Callers act on the SQLSTATE, as
// there is no family tree of exceptions.
class Error : public std::runtime_error {
 public:
  Error(const std::string& message, std::string sqlstate, std::string hint)
      : std::runtime_error(message),
        sqlstate_(std::move(sqlstate)),
        hint_(std::move(hint)) {}
  // Five characters, or "" when it was not the server that refused.
  const std::string& sqlstate() const { return sqlstate_; }
  // The server's own HINT, or "".
  const std::string& hint() const { return hint_; }

 private:
  std::string sqlstate_;
  std::string hint_;
};

// program_limit_exceeded: an answer was longer than anyone has memory for.
inline constexpr auto kLimitExceeded = "54000";
// Of one answer. As rows it takes some times that of this program's memory.
inline constexpr std::int64_t kMostBytes = 16 << 20;
Error TooLong();

// How long what runs may take to be cancelled where nobody waits for it.
inline constexpr std::chrono::milliseconds kCancelPatience{500};

// libpq ends its messages with a newline and spreads some over several lines,
// the later ones indented by a tab; null is "".
std::string OneLine(const char* message);

// What a result of libpq says was refused.
Error ErrorOf(const PGresult* result);

// Ends the waits of a connection from outside.
class Interrupt {
 public:
  virtual ~Interrupt() = default;
  virtual bool fired() const = 0;
  // Readable once fired. When it is, fired() is asked, which may still say no
  // and then makes it unreadable again.
  virtual int fd() const = 0;
};

// One that any thread may fire, and that stays fired.
class Stop : public Interrupt {
 public:
  Stop();
  ~Stop() override;
  Stop(const Stop&) = delete;
  Stop& operator=(const Stop&) = delete;

  void Fire();
  bool fired() const override { return fired_; }
  int fd() const override { return fd_; }

 private:
  int fd_;
  std::atomic<bool> fired_{false};
};

// Rows of one query, kept in libpq's own memory for as long as this object
// lives; the views it hands out live no longer.
class Result {
 public:
  explicit Result(PGresult* result) : result_(result) {}

  PGresult* get() const { return result_.get(); }
  int rows() const { return PQntuples(result_.get()); }
  int columns() const { return PQnfields(result_.get()); }
  // The column's index, or -1.
  int Column(const std::string& name) const {
    return PQfnumber(result_.get(), name.c_str());
  }
  // nullopt is SQL NULL.
  std::optional<std::string_view> Get(int row, int column) const;
  // The cell as text; "" for NULL.
  std::string Text(int row, int column) const {
    return std::string(Get(row, column).value_or(""));
  }
  // Of all cells.
  size_t Bytes() const;

 private:
  struct Clear {
    void operator()(PGresult* result) const { PQclear(result); }
  };
  std::unique_ptr<PGresult, Clear> result_;
};

struct Query {
  std::string sql;
  std::vector<std::string> parameters;  // $1, $2, … as text
};

// What holds for each query of a flight, set locally in its own transaction.
struct Guard {
  std::chrono::milliseconds statement_timeout;
  std::chrono::milliseconds lock_timeout;
  bool read_only = true;  // false: as the server has it
  // Beside those, in this order: {"role", "authenticated"}.
  std::vector<std::pair<std::string, std::string>> settings = {};
};

// What became of one query of a flight.
struct Outcome {
  std::variant<Result, Error> value;
  std::chrono::nanoseconds took{0};  // since the query before it was answered
  // From when the server began with it until it began with the next, by the
  // server's own clock; 0 where it did not come to that.
  std::chrono::nanoseconds server_time{0};

  // Its rows; throws its Error if it has none.
  const Result& rows() const {
    if (const auto* error = std::get_if<Error>(&value)) throw *error;
    return std::get<Result>(value);
  }
};

// One session. Not thread-safe, save that an Interrupt may fire at any time.
class Connection {
 public:
  // Of several hosts each has its share of the time. Where the login fails,
  // secrets are read from their files again, and if one changed it is tried
  // once more. Throws Error when there is no session by the deadline.
  static Connection Open(const Conninfo& conninfo, Deadline deadline,
                         const Interrupt* interrupt = nullptr);

  // Runs the queries in one round trip: libpq's pipeline mode with a sync
  // after each, so that each is a transaction of its own and a failing one
  // hurts only itself. An outcome for each query, in order. Where the
  // connection breaks, an answer is too long for the memory allowed to it, the
  // deadline passes or the interrupt fires, that Error is the outcome of what
  // was not answered yet; it is thrown if nothing was. What still runs then is
  // cancelled, and the session closed where the server does not stop at once.
  std::vector<Outcome> Flight(const std::vector<Query>& queries,
                              const Guard& guard, Deadline deadline);

  // One query in one transaction of its own, under the guard. Throws Error.
  Result Run(const Query& query, const Guard& guard, Deadline deadline);

  // One query in whatever transaction is open, under no guard but the
  // deadline. Throws Error.
  Result Execute(const Query& query, Deadline deadline);

  // Statements without parameters, as psql -c would send them; the last one's
  // rows. Throws Error.
  Result Script(const std::string& sql, Deadline deadline);

  bool open() const { return connection_ != nullptr; }
  int server_version() const { return PQserverVersion(connection_.get()); }
  std::string host() const { return PQhost(connection_.get()); }
  std::string port() const { return PQport(connection_.get()); }
  std::string user() const { return PQuser(connection_.get()); }
  std::string database() const { return PQdb(connection_.get()); }

 private:
  struct Finish {
    void operator()(PGconn* connection) const { PQfinish(connection); }
  };

  Connection(PGconn* connection, const Interrupt* interrupt)
      : connection_(connection), interrupt_(interrupt) {}

  void Send(const Query& query);
  // Reads to the end of what was sent; its last rows. Throws Error.
  Result ReadAll(Deadline deadline);
  // No answer within the time allowed; the session is as good as it was.
  class Late : public Error {
   public:
    using Error::Error;
  };

  struct Segment;
  // What became of the next query of a flight.
  Segment NextSegment(Deadline deadline);
  // Waits until libpq has a result to give; nullptr is the end of a query's.
  PGresult* Next(Deadline deadline);
  // Reads what has come, and counts it.
  void Consume();
  // Throws Late.
  void Wait(bool for_write, Deadline deadline);
  // Cancels what runs, one query after the other, until so many segments of a
  // flight are over; closes the session where that takes too long.
  void Drain(size_t segments);
  // Ready when the server has taken it. Throws where there is no thread to
  // spare.
  std::future<void> RequestCancel() const;
  [[noreturn]] void Broken();

  std::unique_ptr<PGconn, Finish> connection_;
  const Interrupt* interrupt_;
  // Bytes of the answer that is being read, about.
  std::int64_t received_ = 0;
};

}  // namespace meshhook::pg
