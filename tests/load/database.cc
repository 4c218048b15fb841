// SPDX-License-Identifier: MIT
#include "tests/load/database.h"

#include <algorithm>
#include <array>
#include <cstdlib>

namespace load {
namespace {

// libpq's messages end in newlines, and a hint on a line of its own follows.
std::string OneLine(std::string message) {
  while (!message.empty() && message.back() == '\n') message.pop_back();
  std::replace(message.begin(), message.end(), '\n', ' ');
  std::erase(message, '\t');
  return message;
}

std::vector<const char*> Pointers(const Params& params) {
  std::vector<const char*> pointers;
  for (const std::string& param : params) pointers.push_back(param.c_str());
  return pointers;
}

}  // namespace

Connection::Connection(const std::string& url) {
  static constexpr std::array kNames{"dbname", "connect_timeout",
                                     "fallback_application_name",
                                     static_cast<const char*>(nullptr)};
  const std::array values{url.empty() ? nullptr : url.c_str(), "5",
                          "meshhook-load", static_cast<const char*>(nullptr)};
  connection_.reset(PQconnectdbParams(kNames.data(), values.data(), 1));
  if (PQstatus(connection_.get()) != CONNECTION_OK) Lost();
}

SqlError Connection::ErrorOf(const PGresult* result) {
  const char* state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
  const char* text = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
  return {state ? state : "",
          text ? text : OneLine(PQresultErrorMessage(result))};
}

void Connection::Lost() const {
  throw ConnectionLost(OneLine(PQerrorMessage(connection_.get())));
}

Connection::Result Connection::Checked(PGresult* raw) const {
  Result result(raw);
  if (PQstatus(connection_.get()) != CONNECTION_OK) Lost();
  const ExecStatusType status = PQresultStatus(result.get());
  if (status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK) {
    throw ErrorOf(result.get());
  }
  return result;
}

Rows Connection::Query(const char* sql, const Params& params) {
  const Result result = Checked(
      PQexecParams(connection_.get(), sql, static_cast<int>(params.size()),
                   nullptr, Pointers(params).data(), nullptr, nullptr, 0));
  Rows rows(static_cast<std::size_t>(PQntuples(result.get())));
  for (std::size_t i = 0; i < rows.size(); ++i) {
    for (int column = 0; column < PQnfields(result.get()); ++column) {
      rows[i].emplace_back(
          PQgetvalue(result.get(), static_cast<int>(i), column));
    }
  }
  return rows;
}

void Connection::Prepare(const char* name, const char* sql) {
  Checked(PQprepare(connection_.get(), name, sql, 0, nullptr));
}

void Connection::EnterPipeline() {
  if (PQenterPipelineMode(connection_.get()) != 1) Lost();
}

void Connection::Send(const char* prepared, const Params& params) {
  if (PQsendQueryPrepared(connection_.get(), prepared,
                          static_cast<int>(params.size()),
                          Pointers(params).data(), nullptr, nullptr, 0) != 1) {
    Lost();
  }
}

void Connection::Commit() {
  if (PQpipelineSync(connection_.get()) != 1) Lost();
}

Outcome Connection::Receive() {
  Outcome outcome;
  for (;;) {
    const Result result(PQgetResult(connection_.get()));
    if (PQstatus(connection_.get()) != CONNECTION_OK) Lost();
    if (!result) continue;  // the end of one statement's results
    switch (PQresultStatus(result.get())) {
      case PGRES_PIPELINE_SYNC:
        return outcome;
      case PGRES_FATAL_ERROR:
        outcome.error = ErrorOf(result.get());
        break;
      default:  // what follows an error is skipped by the server
        outcome.affected = std::atol(PQcmdTuples(result.get()));
    }
  }
}

std::string ArrayLiteral(const std::vector<std::string>& items) {
  std::string literal = "{";
  for (const std::string& item : items) {
    if (literal.size() > 1) literal += ',';
    literal += '"';
    for (const char c : item) {
      if (c == '"' || c == '\\') literal += '\\';
      literal += c;
    }
    literal += '"';
  }
  return literal + '}';
}

}  // namespace load
