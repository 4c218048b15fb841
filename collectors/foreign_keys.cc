// SPDX-License-Identifier: MIT
// Foreign keys that no index serves: deleting a row that is referred to, or
// changing its key, reads the whole table that refers. The greatest tables by
// name, all of them counted; tables that are empty do not count.
//
// A partial index serves where it leaves out nothing but NULLs. A partitioned
// table's key counts once, with the size of all partitions.
#include "collectors/all.h"
#include "collectors/metric.h"
#include "collectors/relations.h"

namespace meshhook::collectors {

Collector ForeignKeys() {
  Metric bytes = Gauge("meshhook_unindexed_foreign_key_table_bytes",
                       "Size of a table that has no index on the columns of "
                       "this foreign key, as of its last vacuum or analyze.",
                       "bytes");
  bytes.additive = true;
  return {
      .name = "foreign_keys",
      .summary = "foreign keys that no index serves",
      .query = "WITH " + kUnindexedKeys + R"(,
        sized AS MATERIALIZED (
            SELECT k.*, (WITH RECURSIVE parts AS (
                             SELECT conrelid AS oid
                             UNION ALL
                             SELECT inhrelid FROM parts
                             JOIN pg_inherits ON inhparent = parts.oid)
                         SELECT sum(greatest(relpages, 0))
                         FROM parts JOIN pg_class USING (oid)) AS pages
            FROM unindexed AS k)
        SELECT current_database() AS datname, schemaname, relname, conname,
               (pages * current_setting('block_size')::int)::float8 AS bytes,
               pages::float8 AS rank, NULL::bigint AS found
        FROM sized WHERE pages > 0
        UNION ALL
        SELECT current_database(), NULL, NULL, NULL, NULL, 'infinity', count(*)
        FROM sized WHERE pages > 0)",
      .labels = {"datname", "schemaname", "relname", "conname"},
      .metrics =
          {bytes,
           By({"datname"},
              Gauge("meshhook_unindexed_foreign_keys",
                    "Foreign keys of tables with rows that no index serves.",
                    "found"))},
      .scope = Scope::kDatabase,
      .limit = {.rows = 100, .rank = "rank"},
      .interval = std::chrono::minutes(5),
  };
}

}  // namespace meshhook::collectors
