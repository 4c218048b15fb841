// SPDX-License-Identifier: MIT
// Queries of a standby that were canceled because they were in the way of
// replay.
#include "collectors/all.h"
#include "collectors/metric.h"

namespace meshhook::collectors {

Collector StatDatabaseConflicts() {
  return {
      .name = "stat_database_conflicts",
      .summary = "queries of a standby canceled by replay",
      .query = R"(
        SELECT datid, datname, @server@ AS server, confl_tablespace, confl_lock,
               confl_snapshot, confl_bufferpin, confl_deadlock
        FROM pg_stat_database_conflicts)",
      .labels = {"datid", "datname", "server"},
      .metrics = {Counter("pg_stat_database_conflicts_confl_tablespace",
                          "Queries canceled because of a dropped tablespace.",
                          "confl_tablespace"),
                  Counter("pg_stat_database_conflicts_confl_lock",
                          "Queries canceled because of a lock.", "confl_lock"),
                  Counter("pg_stat_database_conflicts_confl_snapshot",
                          "Queries canceled because of an old snapshot.",
                          "confl_snapshot"),
                  Counter("pg_stat_database_conflicts_confl_bufferpin",
                          "Queries canceled because of a pinned buffer.",
                          "confl_bufferpin"),
                  Counter("pg_stat_database_conflicts_confl_deadlock",
                          "Queries canceled because of a deadlock.",
                          "confl_deadlock")},
  };
}

}  // namespace meshhook::collectors
