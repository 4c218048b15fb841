// SPDX-License-Identifier: MIT
// Blocks of indexes read and hit, of the greatest by the catalogue's pages.
#include "collectors/all.h"
#include "collectors/metric.h"
#include "collectors/relations.h"

namespace meshhook::collectors {

Collector StatioUserIndexes() {
  return {
      .name = "statio_user_indexes",
      .summary = "blocks of indexes read and hit",
      .query = "WITH " + kLocked + ", " + kIndexes + R"(
        SELECT current_database() AS datname, i.schemaname, i.relname,
               i.indexrelname, pages, idx_blks_read, idx_blks_hit
        FROM indexes AS i
        LEFT JOIN (SELECT * FROM pg_statio_user_indexes
                   WHERE indexrelid = ANY (ARRAY(
                       SELECT indexrelid FROM indexes
                       WHERE place <= @most_rows@))) AS s USING (indexrelid))",
      .labels = {"datname", "schemaname", "relname", "indexrelname"},
      .metrics = {Counter("pg_statio_user_indexes_idx_blks_read_total",
                          "Blocks of the index that were read.",
                          "idx_blks_read"),
                  Counter(
                      "pg_statio_user_indexes_idx_blks_hit_total",
                      "Blocks of the index that were in the shared buffers.",
                      "idx_blks_hit")},
      .scope = Scope::kDatabase,
      .limit = {.rows = 1000, .rank = "pages"},
      .on = false,
  };
}

}  // namespace meshhook::collectors
