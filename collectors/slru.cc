// SPDX-License-Identifier: MIT
// The small caches for transaction states and the like, which are slow once
// they miss. Under the names of PostgreSQL 17 on all servers.
#include "collectors/all.h"
#include "collectors/metric.h"

namespace meshhook::collectors {

Collector Slru() {
  return {
      .name = "slru",
      .summary = "caches of transaction states",
      .query = R"(
        SELECT coalesce(newer, name) AS cache, blks_hit, blks_read, blks_written,
               blks_zeroed, blks_exists, flushes, truncates
        FROM pg_stat_slru
        LEFT JOIN (VALUES ('CommitTs', 'commit_timestamp'),
                          ('MultiXactMember', 'multixact_member'),
                          ('MultiXactOffset', 'multixact_offset'),
                          ('Notify', 'notify'), ('Serial', 'serializable'),
                          ('Subtrans', 'subtransaction'), ('Xact', 'transaction'))
                  AS names (name, newer) USING (name))",
      .labels = {"cache"},
      .metrics = {Counter("meshhook_slru_hit_blocks_total",
                          "Blocks found in the cache.", "blks_hit"),
                  Counter("meshhook_slru_read_blocks_total",
                          "Blocks read from disk.", "blks_read"),
                  Counter("meshhook_slru_written_blocks_total",
                          "Blocks written to disk.", "blks_written"),
                  Counter("meshhook_slru_zeroed_blocks_total",
                          "Blocks made anew.", "blks_zeroed"),
                  Counter("meshhook_slru_checked_blocks_total",
                          "Blocks looked for on disk.", "blks_exists"),
                  Counter("meshhook_slru_flushes_total",
                          "Times all changed blocks were written.", "flushes"),
                  Counter("meshhook_slru_truncates_total",
                          "Times old blocks were dropped.", "truncates")},
  };
}

}  // namespace meshhook::collectors
