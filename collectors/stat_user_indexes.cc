// SPDX-License-Identifier: MIT
// Use and size of each index, the greatest by the catalogue's pages. Which of
// them are of no use is the matter of index_advice.
#include "collectors/all.h"
#include "collectors/metric.h"
#include "collectors/relations.h"

namespace meshhook::collectors {

namespace {

std::string IndexQuery(const std::string& last_scan) {
  return "WITH " + kLocked + ", " + kIndexes + R"(
        SELECT current_database() AS datname, i.schemaname, i.relname,
               i.indexrelname, pages, idx_scan, idx_tup_read, idx_tup_fetch,
               )" +
         last_scan + R"( AS last_scan,
               CASE WHEN place <= @most_rows@ AND NOT locked
                    THEN pg_relation_size(indexrelid)
                    ELSE )" +
         Bytes("pages") + R"( END AS size
        FROM indexes AS i
        LEFT JOIN (SELECT * FROM pg_stat_user_indexes
                   WHERE indexrelid = ANY (ARRAY(
                       SELECT indexrelid FROM indexes
                       WHERE place <= @most_rows@))) AS s USING (indexrelid))";
}

}  // namespace

Collector StatUserIndexes() {
  Metric size = Gauge("meshhook_index_size_bytes",
                      "Size of the index; as of the last vacuum or analyze "
                      "while it is locked.",
                      "size");
  size.additive = true;
  return {
      .name = "stat_user_indexes",
      .summary = "use and size of each index",
      .query = IndexQuery("NULL::float8"),
      .labels = {"datname", "schemaname", "relname", "indexrelname"},
      .metrics = {Counter("meshhook_index_scans_total", "Scans of the index.",
                          "idx_scan"),
                  Counter("meshhook_index_read_entries_total",
                          "Entries that scans of the index returned.",
                          "idx_tup_read"),
                  Counter("meshhook_index_fetched_rows_total",
                          "Rows of the table that its scans fetched.",
                          "idx_tup_fetch"),
                  Gauge("meshhook_index_last_scan_timestamp_seconds",
                        "When the index was last scanned, as Unix time; "
                        "PostgreSQL 16 and newer.",
                        "last_scan"),
                  size},
      .variants = {{160000, IndexQuery("extract(epoch FROM last_idx_scan)")}},
      .scope = Scope::kDatabase,
      .limit = {.rows = 500, .rank = "pages"},
      .interval = std::chrono::minutes(1),
  };
}

}  // namespace meshhook::collectors
