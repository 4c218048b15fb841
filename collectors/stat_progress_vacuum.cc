// SPDX-License-Identifier: MIT
// Vacuums under way. Each row is a phase, so what is one per vacuum stands in
// the first. From PostgreSQL 17 on there is no most number of dead tuples,
// only a size.
#include "collectors/all.h"
#include "collectors/metric.h"

namespace meshhook::collectors {
namespace {

// PostgreSQL 17 counts dead tuples under another name, and what fits in bytes.
std::string VacuumQuery(const std::string& max_dead,
                        const std::string& num_dead) {
  return R"(
        SELECT p.datname, coalesce(CASE WHEN p.datname = current_database()
                                        THEN p.relid::regclass::text END,
                                   p.relid::text) AS relname,
               phases.phase, (phases.phase = p.phase)::int AS in_phase,
               CASE WHEN phases.phase = 'initializing' THEN p.heap_blks_total END
                   AS heap_blks,
               CASE WHEN phases.phase = 'initializing' THEN p.heap_blks_scanned END
                   AS heap_blks_scanned,
               CASE WHEN phases.phase = 'initializing' THEN p.heap_blks_vacuumed END
                   AS heap_blks_vacuumed,
               CASE WHEN phases.phase = 'initializing' THEN p.index_vacuum_count END
                   AS index_vacuums,
               CASE WHEN phases.phase = 'initializing' THEN )" +
         max_dead + R"( END
                   AS max_dead_tuples,
               CASE WHEN phases.phase = 'initializing' THEN )" +
         num_dead + R"( END
                   AS num_dead_tuples
        FROM pg_stat_progress_vacuum AS p,
             (VALUES ('initializing'), ('scanning heap'), ('vacuuming indexes'),
                     ('vacuuming heap'), ('cleaning up indexes'),
                     ('truncating heap'), ('performing final cleanup'))
                 AS phases (phase))";
}

}  // namespace

Collector StatProgressVacuum() {
  return {
      .name = "stat_progress_vacuum",
      .summary = "vacuums under way",
      .query = VacuumQuery("p.max_dead_tuples", "p.num_dead_tuples"),
      .labels = {"datname", "relname"},
      .metrics = {By({"datname", "relname", "phase"},
                     Gauge("pg_stat_progress_vacuum_phase",
                           "Whether the vacuum is in this phase.", "in_phase")),
                  Gauge("pg_stat_progress_vacuum_heap_blks",
                        "Blocks of the table.", "heap_blks"),
                  Gauge("pg_stat_progress_vacuum_heap_blks_scanned",
                        "Blocks that were scanned.", "heap_blks_scanned"),
                  Gauge("pg_stat_progress_vacuum_heap_blks_vacuumed",
                        "Blocks that were vacuumed.", "heap_blks_vacuumed"),
                  Gauge("pg_stat_progress_vacuum_index_vacuums",
                        "Completed passes over the indexes.", "index_vacuums"),
                  Gauge(
                      "pg_stat_progress_vacuum_max_dead_tuples",
                      "Dead tuples that fit into memory; before PostgreSQL 17.",
                      "max_dead_tuples"),
                  Gauge("pg_stat_progress_vacuum_num_dead_tuples",
                        "Dead tuples found so far.", "num_dead_tuples")},
      .variants = {{170000,
                    VacuumQuery("NULL::bigint", "p.num_dead_item_ids")}},
  };
}

}  // namespace meshhook::collectors
