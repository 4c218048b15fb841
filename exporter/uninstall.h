// SPDX-License-Identifier: MIT
// Taking the data layer out of a database again.
#pragma once

#include <chrono>

#include "exporter/conninfo.h"
#include "exporter/turns.h"

namespace meshhook {

// Removes, in one transaction, the schema metrics with all that is in it, the
// triggers on MeshHook's tables, and what was granted on other objects; then
// the roles, unless something still needs them, and says what does. Safe to
// repeat and to run under load: waits for locks as Migrate() does. Throws
// UsageError where nothing was removed: a schema that is somebody else's,
// objects of others that use it, a standby; pg::Error for what the server
// refused.
void Uninstall(const Conninfo& conninfo, std::chrono::seconds patience,
               const Progress& progress);

}  // namespace meshhook
