// SPDX-License-Identifier: MIT
// Errors and conflicts of subscriptions. A subscription that meets an error
// tries again for ever, so its worker looks well most of the time.
#include "collectors/all.h"
#include "collectors/metric.h"

namespace meshhook::collectors {

namespace {

Metric Conflict(const std::string& kind) {
  auto metric = Counter("meshhook_subscription_conflicts_total",
                        "Changes that met another one here, by kind; from "
                        "PostgreSQL 18.",
                        "confl_" + kind);
  metric.labels = {{"kind", kind}};
  return metric;
}

}  // namespace

Collector SubscriptionErrors() {
  return {
      .name = "subscription_errors",
      .summary = "errors and conflicts of subscriptions",
      .query = R"(
        SELECT d.datname, s.subname AS subscription, e.apply_error_count,
               e.sync_error_count, j->>'confl_insert_exists' AS confl_insert_exists,
               j->>'confl_update_origin_differs' AS confl_update_origin_differs,
               j->>'confl_update_exists' AS confl_update_exists,
               j->>'confl_update_missing' AS confl_update_missing,
               j->>'confl_delete_origin_differs' AS confl_delete_origin_differs,
               j->>'confl_delete_missing' AS confl_delete_missing,
               j->>'confl_multiple_unique_conflicts'
                   AS confl_multiple_unique_conflicts
        FROM pg_stat_subscription_stats AS e
        JOIN pg_subscription AS s ON s.oid = e.subid
        JOIN pg_database AS d ON d.oid = s.subdbid, LATERAL to_jsonb(e) AS j)",
      .labels = {"datname", "subscription"},
      .metrics = {Counter("meshhook_subscription_apply_errors_total",
                          "Errors when changes were applied.",
                          "apply_error_count"),
                  Counter("meshhook_subscription_sync_errors_total",
                          "Errors when a table was copied.",
                          "sync_error_count"),
                  Conflict("insert_exists"), Conflict("update_origin_differs"),
                  Conflict("update_exists"), Conflict("update_missing"),
                  Conflict("delete_origin_differs"), Conflict("delete_missing"),
                  Conflict("multiple_unique_conflicts")},
      .min_server_version = 150000,
      .interval = std::chrono::seconds(30),
  };
}

}  // namespace meshhook::collectors
