// SPDX-License-Identifier: MIT
// Whether each materialized view can be read, and its size, which does not wait
// for a refresh. PostgreSQL does not record when it refreshed a view; for
// MeshHook's own, materialized_view_refreshes has it.
#include "collectors/all.h"
#include "collectors/metric.h"
#include "collectors/relations.h"

namespace meshhook::collectors {

Collector MaterializedViews() {
  Metric size = Gauge("meshhook_materialized_view_size_bytes",
                      "Size with indexes and TOAST; as of the last vacuum or "
                      "analyze during a refresh that is not concurrent.",
                      "size");
  size.additive = true;
  return {
      .name = "materialized_views",
      .summary = "materialized views: populated, size",
      .query = "WITH " + kLocked + R"(
        SELECT current_database() AS datname, nspname AS schemaname,
               relname AS matviewname, relispopulated::int AS populated,
               relpages,
               CASE WHEN parts && ARRAY(SELECT relation FROM locked)
                    THEN )" +
               Bytes("(SELECT sum(relpages) FROM pg_class "
                     "WHERE oid = ANY (parts))") +
               R"( ELSE pg_total_relation_size(c.oid) END AS size
        FROM pg_class AS c
        JOIN pg_namespace AS n ON n.oid = relnamespace,
        LATERAL (SELECT ARRAY[c.oid, reltoastrelid]
                        || ARRAY(SELECT indexrelid FROM pg_index
                                 WHERE indrelid IN (c.oid, reltoastrelid))
                        AS parts) AS p
        WHERE relkind = 'm' AND nspname !~ @excluded_schemas@)",
      .labels = {"datname", "schemaname", "matviewname"},
      .metrics = {Gauge("meshhook_materialized_view_populated",
                        "Whether the view has been refreshed and can be read.",
                        "populated"),
                  size},
      .scope = Scope::kDatabase,
      .limit = {.rows = 100, .rank = "relpages"},
      .interval = std::chrono::minutes(1),
  };
}

Collector MaterializedViewRefreshes() {
  return {
      .name = "materialized_view_refreshes",
      .summary = "when MeshHook's materialized views were refreshed",
      .query = R"(
        SELECT current_database() AS datname, 'metrics' AS schemaname,
               task AS matviewname,
               extract(epoch FROM last_success_at) AS refreshed,
               extract(epoch FROM now() - last_success_at) AS age
        FROM metrics.worker_tasks WHERE task LIKE 'mv\_%')",
      .labels = {"datname", "schemaname", "matviewname"},
      .metrics = {Gauge("meshhook_materialized_view_last_refresh_"
                        "timestamp_seconds",
                        "When the view was last refreshed, as Unix time.",
                        "refreshed"),
                  Gauge("meshhook_materialized_view_age_seconds",
                        "How long ago that was, by the database's clock.",
                        "age")},
      .needs = {"to_regclass('metrics.worker_tasks') IS NOT NULL",
                "MeshHook's data layer is not installed"},
      .scope = Scope::kDatabase,
  };
}

}  // namespace meshhook::collectors
