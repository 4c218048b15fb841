// SPDX-License-Identifier: MIT
// Partitions of workflow_events, which has no default: MeshHook's insert of an
// event fails in a month that has none, and with it the run. The catalogue says
// it all but the sizes, which are not asked of what is locked.
#include "collectors/all.h"
#include "collectors/metric.h"
#include "collectors/relations.h"

namespace meshhook::collectors {

Collector EventPartitions() {
  return {
      .name = "event_partitions",
      .summary = "how far workflow_events reaches, and its months' sizes",
      // Bounds are read without a lock, as they name no column.
      .query = "WITH " + kLocked + R"(,
        bounds AS MATERIALIZED (
            SELECT c.oid, relname, reltuples, pg_get_expr(relpartbound, 0)
                       AS bound
            FROM pg_inherits AS i JOIN pg_class AS c ON c.oid = inhrelid
            WHERE inhparent = (
                      SELECT oid FROM pg_class
                      WHERE relname = 'workflow_events'
                        AND relnamespace = to_regnamespace('public'))
              AND to_jsonb(i) ->> 'inhdetachpending' IS DISTINCT FROM 'true'
        ), months AS MATERIALIZED (
            SELECT *, coalesce(substring(bound FROM 'FROM \(''([^'']*)''\)')
                                   ::timestamptz, '-infinity') AS since,
                   coalesce(substring(bound FROM 'TO \(''([^'']*)''\)')
                                ::timestamptz, 'infinity') AS until
            FROM bounds
        ), reach AS (  -- where the months that follow upon now end
            SELECT CASE WHEN now() < ALL (SELECT since FROM months
                                          WHERE until > now()) THEN now()
                        ELSE min(until) END AS until
            FROM months AS m
            WHERE until > now()
              AND NOT EXISTS (SELECT FROM months AS n
                              WHERE n.since <= m.until AND n.until > m.until)
        )
        SELECT NULL AS partition, NULL::bigint AS bytes, NULL::real AS rows,
               CASE WHEN until = 'infinity' THEN 'Infinity'
                    ELSE extract(epoch FROM until - now()) END::float8
                   AS covered,
               CASE WHEN until = 'infinity' THEN 'Infinity'
                    ELSE greatest(12 * (extract(year FROM ends)
                                        - extract(year FROM today))
                                  + extract(month FROM ends)
                                  - extract(month FROM today) - 1, 0)
               END::float8 AS months_ahead
        FROM reach,  -- a month may begin by the clock of any time zone
             LATERAL (SELECT (until + interval '14 hours') AT TIME ZONE 'UTC',
                             now() AT TIME ZONE 'UTC') AS t (ends, today)
        UNION ALL
        (SELECT relname::text,
                CASE WHEN NOT EXISTS (
                              SELECT FROM locked
                              WHERE relation = m.oid
                                 OR relation IN (SELECT indexrelid
                                                 FROM pg_index
                                                 WHERE indrelid = m.oid))
                     THEN pg_total_relation_size(m.oid) END,
                CASE WHEN reltuples >= 0 THEN reltuples END, NULL, NULL
         FROM months AS m ORDER BY until DESC LIMIT 36))",
      .labels = {"partition"},
      .metrics = {By({}, Gauge("meshhook_event_partitions_ahead_months",
                               "Months after the current one that have a "
                               "partition without a gap; inserts will fail "
                               "after the last.",
                               "months_ahead")),
                  By({}, Gauge("meshhook_event_partitions_ahead_seconds",
                               "Time until inserts of events fail for want of "
                               "a partition; 0 when they do now.",
                               "covered")),
                  Gauge("meshhook_event_partition_size_bytes",
                        "Size of the partition with indexes and TOAST, of the "
                        "last 36.",
                        "bytes"),
                  Gauge("meshhook_event_partition_rows",
                        "Events in the partition, as of its last analyze.",
                        "rows")},
      .needs = {"EXISTS (SELECT FROM pg_class "
                "WHERE relname = 'workflow_events' AND relkind = 'p' "
                "AND relnamespace = to_regnamespace('public'))",
                "public.workflow_events is no partitioned table"},
      .interval = std::chrono::minutes(1),
  };
}

}  // namespace meshhook::collectors
