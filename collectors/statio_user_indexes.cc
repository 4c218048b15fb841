// SPDX-License-Identifier: MIT
// Blocks of indexes read and hit in this database.
#include "collectors/all.h"
#include "collectors/metric.h"

namespace meshhook::collectors {

Collector StatioUserIndexes() {
  return {
      .name = "statio_user_indexes",
      .summary = "blocks of indexes read and hit",
      .query = R"(
        SELECT schemaname, relname, indexrelname, idx_blks_read, idx_blks_hit
        FROM pg_statio_user_indexes)",
      .labels = {"schemaname", "relname", "indexrelname"},
      .metrics = {Counter("pg_statio_user_indexes_idx_blks_read_total",
                          "Blocks of the index that were read.",
                          "idx_blks_read"),
                  Counter(
                      "pg_statio_user_indexes_idx_blks_hit_total",
                      "Blocks of the index that were in the shared buffers.",
                      "idx_blks_hit")},
      .on = false,
  };
}

}  // namespace meshhook::collectors
