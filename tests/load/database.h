// SPDX-License-Identifier: MIT
// The only part of the load that names libpq: one connection, first for plain
// queries, then for pipelines of transactions. Not thread-safe.
#pragma once

#include <libpq-fe.h>

#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

namespace load {

using Params = std::vector<std::string>;
using Rows = std::vector<std::vector<std::string>>;  // NULL reads as ""

// No connection, or it broke: what was sent last may or may not have happened.
struct ConnectionLost : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// The server's refusal of a statement.
struct SqlError : std::runtime_error {
  SqlError(std::string code, const std::string& message)
      : std::runtime_error(message), sqlstate(std::move(code)) {}
  std::string sqlstate;
};

// How one transaction of a pipeline ended.
struct Outcome {
  std::optional<SqlError> error;  // rolled back
  long affected = 0;              // rows, by its last statement
};

class Connection {
 public:
  // Throws ConnectionLost. An empty `url` leaves it to libpq's environment.
  explicit Connection(const std::string& url);

  // Throw SqlError and ConnectionLost; not to be used once in a pipeline.
  Rows Query(const char* sql, const Params& params = {});
  void Prepare(const char* name, const char* sql);

  // From here on statements are sent and outcomes received, in the same order.
  // What is sent before it is received has to fit into socket buffers.
  // All of these throw ConnectionLost.
  void EnterPipeline();
  void Send(const char* prepared, const Params& params);
  void Commit();  // ends the transaction that the last Sends make up
  Outcome Receive();

 private:
  struct Close {
    void operator()(PGconn* connection) const { PQfinish(connection); }
  };
  struct Clear {
    void operator()(PGresult* result) const { PQclear(result); }
  };
  using Result = std::unique_ptr<PGresult, Clear>;

  static SqlError ErrorOf(const PGresult* result);
  [[noreturn]] void Lost() const;
  Result Checked(PGresult* raw) const;

  std::unique_ptr<PGconn, Close> connection_;
};

// An array literal of texts.
std::string ArrayLiteral(const std::vector<std::string>& items);

}  // namespace load
