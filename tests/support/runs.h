// SPDX-License-Identifier: MIT
// Runs to count, and whether they were counted.
#pragma once

namespace test {

// One project with one workflow.
inline constexpr auto kOneWorkflow = R"(
    INSERT INTO public.projects (id, owner, name)
    VALUES ('00000000-0000-0000-0000-00000000000a', gen_random_uuid(), 'P');
    INSERT INTO public.workflow_definitions (project_id, slug, name)
    VALUES ('00000000-0000-0000-0000-00000000000a', 'w', 'w'))";

// One project with five workflows.
inline constexpr auto kWorkflows = R"(
    INSERT INTO public.projects (id, owner, name)
    VALUES ('00000000-0000-0000-0000-00000000000a', gen_random_uuid(), 'P');
    INSERT INTO public.workflow_definitions (project_id, slug, name, status)
    SELECT '00000000-0000-0000-0000-00000000000a', 'w' || i, 'w' || i,
           'published'
    FROM generate_series(1, 5) AS i)";

// A run of some workflow that begins and ends at once.
inline constexpr auto kRun = R"(
    INSERT INTO public.workflow_runs
        (project_id, workflow_id, status, started_at, finished_at)
    SELECT project_id, id,
           (ARRAY['succeeded', 'failed', 'canceled'])[1 + floor(random() * 3)],
           now() - random() * interval '20 minutes', now()
    FROM public.workflow_definitions ORDER BY random() LIMIT 1)";

inline constexpr auto kFinishedRuns =
    "SELECT count(*) FROM public.workflow_runs "
    "WHERE status IN ('succeeded', 'failed', 'canceled')";

// Each view once, as those that were never refreshed come first.
inline constexpr auto kRefreshAll =
    "SELECT metrics.refresh_if_due() FROM pg_matviews "
    "WHERE schemaname = 'metrics';";

inline constexpr auto kCounted =
    "SELECT coalesce(sum(success_count + failure_count + canceled_count), 0) "
    "FROM metrics.workflow_run_metrics";

// Workflows whose totals differ from the runs they count, in any column.
inline constexpr auto kDifferences = R"(
    SELECT count(*)
    FROM (SELECT workflow_id,
                 count(*) FILTER (WHERE status = 'succeeded') AS succeeded,
                 count(*) FILTER (WHERE status = 'failed') AS failed,
                 count(*) FILTER (WHERE status = 'canceled') AS canceled,
                 coalesce(sum(metrics.run_duration_ms(started_at, finished_at))
                          FILTER (WHERE status <> 'canceled'), 0) AS ms
          FROM public.workflow_runs WHERE finished_at IS NOT NULL GROUP BY 1)
         AS runs
    FULL JOIN metrics.workflow_run_metrics AS m USING (workflow_id)
    WHERE (runs.succeeded, runs.failed, runs.canceled, runs.ms,
           runs.succeeded + runs.failed)
          IS DISTINCT FROM
          (m.success_count, m.failure_count, m.canceled_count,
           m.duration_sum_ms, m.duration_buckets[10]))";

}  // namespace test
