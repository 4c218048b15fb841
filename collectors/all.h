// SPDX-License-Identifier: MIT
// The list of collectors. To add one: its own file, its declaration here and
// its line in All().
#pragma once

#include <vector>

#include "exporter/collector.h"

namespace meshhook::collectors {

// What MeshHook does.
Collector WorkflowRuns();
Collector WorkflowWindows();
Collector WorkflowInfo();
Collector WorkflowActive();
Collector Steps();
Collector WorkflowSteps();
Collector FailureHotspots();
Collector Worker();
Collector Fold();

// What PostgreSQL does, under postgres_exporter's names.
Collector StatActivity();
Collector Connections();
Collector StatDatabase();
Collector Database();
Collector Locks();
Collector StatUserTables();
Collector StatioUserTables();
Collector StatStatements();

inline std::vector<Collector> All() {
  return {WorkflowRuns(),     WorkflowWindows(), WorkflowInfo(),
          WorkflowActive(),   Steps(),           WorkflowSteps(),
          FailureHotspots(),  Worker(),          Fold(),
          StatActivity(),     Connections(),     StatDatabase(),
          Database(),         Locks(),           StatUserTables(),
          StatioUserTables(), StatStatements()};
}

}  // namespace meshhook::collectors
