// SPDX-License-Identifier: MIT
// What the index that a foreign key lacks would take, by the extension hypopg:
// it is made in this session's memory, asked for its size, and dropped at once.
// Nothing is written, and no statement of anybody is planned.
//
// Off unless asked for. Left out are tables that are locked, that are
// partitioned, for which hypopg makes none, and those in a schema that this
// role may not use.
#include "collectors/all.h"
#include "collectors/metric.h"
#include "collectors/relations.h"

namespace meshhook::collectors {

Collector HypotheticalIndexes() {
  Metric bytes = Gauge("meshhook_hypothetical_index_bytes",
                       "What the index that this foreign key lacks would "
                       "take, estimated by hypopg.",
                       "bytes");
  bytes.additive = true;
  return {
      .name = "hypothetical_indexes",
      .summary = "what indexes that foreign keys lack would take",
      .query = "WITH " + kLocked + ", " + kUnindexedKeys + R"(,
        keys AS MATERIALIZED (
            SELECT schemaname, relname, conname, relpages,
                   format('CREATE INDEX ON %I.%I (%s)', schemaname, relname,
                          (SELECT string_agg(quote_ident(attname), ', '
                                             ORDER BY place)
                           FROM unnest(conkey) WITH ORDINALITY
                                AS k (attnum, place)
                           JOIN pg_attribute AS a USING (attnum)
                           WHERE attrelid = conrelid)) AS statement
            FROM unindexed
            WHERE relkind = 'r' AND relpages > 0
              AND conrelid NOT IN (TABLE locked)
              AND has_schema_privilege(relnamespace, 'USAGE')
            ORDER BY relpages DESC LIMIT @most_rows@)
        SELECT current_database() AS datname, schemaname, relname, conname,
               relpages,
               CASE WHEN @extschema@.hypopg_drop_index(indexrelid)
                    THEN size END AS bytes
        FROM keys,
        LATERAL (SELECT indexrelid,
                        @extschema@.hypopg_relation_size(indexrelid) AS size
                 FROM @extschema@.hypopg_create_index(statement)
                 OFFSET 0) AS made)",
      .labels = {"datname", "schemaname", "relname", "conname"},
      .metrics = {bytes},
      .extension = "hypopg",
      .needs = {"EXISTS (SELECT FROM pg_extension WHERE extname = 'hypopg')",
                "extension hypopg is not installed"},
      .scope = Scope::kDatabase,
      .limit = {.rows = 20, .rank = "relpages"},
      .interval = std::chrono::minutes(15),
      .on = false,
  };
}

}  // namespace meshhook::collectors
