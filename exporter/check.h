// SPDX-License-Identifier: MIT
// The preflight: what works, what does not, and what to do about it.
#pragma once

#include <ostream>

#include "exporter/conninfo.h"
#include "exporter/options.h"

namespace meshhook {

// Prints a line for each thing checked. True when nothing needs mending; a
// collector that cannot work counts unless it is switched off.
bool Check(const Conninfo& conninfo, const Options& options, std::ostream& out);

}  // namespace meshhook
