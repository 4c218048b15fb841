// SPDX-License-Identifier: MIT
// Changing a database that is at work: who changes it takes turns with others
// that do, and waits for a lock in short tries, as whoever waits for a lock
// holds up all who come after.
#pragma once

#include <chrono>
#include <functional>
#include <string>

#include "exporter/pg.h"

namespace meshhook {

// Called with a line for the operator.
using Progress = std::function<void(const std::string& line)>;

// Begins a transaction once no other that began so is open; from then on it
// waits 200 ms for a lock. A time that it writes reads as that time: in other
// styles, with some zones' abbreviations, it does not.
inline constexpr auto kBeginTurn =
    "BEGIN; SET LOCAL client_min_messages = warning; "
    "SET LOCAL datestyle = 'ISO'; "
    "SET LOCAL lock_timeout = '60s'; "
    "SELECT pg_advisory_xact_lock(hashtext('meshhook metrics migrations')); "
    "SET LOCAL lock_timeout = '200ms';";

// The deadline of one statement of such a transaction.
pg::Deadline Soon();

// Calls `attempt`, which begins and ends a transaction, and again while others
// hold a lock that it needs, for `patience` in all. What is thrown names
// `subject` first, and `command` as what to run again.
void InShortTries(pg::Connection& connection, const std::string& subject,
                  const std::string& command, std::chrono::seconds patience,
                  const Progress& progress,
                  const std::function<void()>& attempt);

}  // namespace meshhook
