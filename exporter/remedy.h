// SPDX-License-Identifier: MIT
// What to do about a database error, in one line for a tired person.
#pragma once

#include <string>

#include "exporter/pg.h"

namespace meshhook {

// The server's own hint where it gave one, else our advice by SQLSTATE or, for
// a connection that failed, by what libpq said; "" when there is none to give.
std::string RemedyFor(const pg::Error& error);

// True for what will fail again until somebody changes the database: an
// object, extension or privilege that is missing.
bool IsMissing(const pg::Error& error);

// Whether it is the connection's or the server's and none of the query's own:
// there is no answer, or the server is going down, coming up or full.
bool IsOutage(const pg::Error& error);

}  // namespace meshhook
