// SPDX-License-Identifier: MIT
// What a collector's query becomes on one server: the variant for its version,
// the extension's schema in its place, every other placeholder a parameter,
// and the limit around it.
#pragma once

#include <string>

#include "exporter/collector.h"
#include "exporter/pg.h"
#include "exporter/server.h"

namespace meshhook {

// Columns that a query with a limit has besides its own. Rows come in the
// order of their rank; the one without a rank stands for those that were cut.
inline constexpr auto kRankColumn = "meshhook rank";  // from 1
inline constexpr auto kRowsColumn = "meshhook rows";  // that it stands for

// Throws pg::Error, with what to do, where the extension is missing.
pg::Query StatementFor(const Collector& collector, const Server& server,
                       const std::string& excluded_schemas);

// The same with its parameters written in, for a person to run.
std::string Readable(const pg::Query& statement);

}  // namespace meshhook
