// SPDX-License-Identifier: MIT
// Rows made by hand, without a server.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "exporter/pg.h"

namespace test {

using Row = std::vector<std::optional<std::string>>;

inline meshhook::pg::Result Rows(std::vector<std::string> columns,
                                 const std::vector<Row>& rows) {
  PGresult* result = PQmakeEmptyPGresult(nullptr, PGRES_TUPLES_OK);
  std::vector<PGresAttDesc> attributes(columns.size());
  for (size_t i = 0; i < columns.size(); ++i) {
    attributes[i].name = columns[i].data();
  }
  PQsetResultAttrs(result, static_cast<int>(columns.size()), attributes.data());
  for (size_t row = 0; row < rows.size(); ++row) {
    for (size_t column = 0; column < columns.size(); ++column) {
      auto value = rows[row][column];
      PQsetvalue(result, static_cast<int>(row), static_cast<int>(column),
                 value ? value->data() : nullptr,
                 value ? static_cast<int>(value->size()) : -1);
    }
  }
  return meshhook::pg::Result(result);
}

}  // namespace test
