// SPDX-License-Identifier: MIT
// What a collector does on this server.
#pragma once

#include <ostream>

#include "exporter/conninfo.h"
#include "exporter/options.h"

namespace meshhook {

// Prints the SQL of options.explained as it is sent to the server, and its
// plan; or why it has nothing to read there. Runs it only where options.analyze
// says so. Throws UsageError where there is no such collector, pg::Error where
// the server refuses.
void Explain(const Conninfo& conninfo, const Options& options,
             std::ostream& out);

}  // namespace meshhook
