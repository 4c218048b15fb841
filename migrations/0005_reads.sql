-- What the exporter's collectors read. These views run with their owner's
-- rights, so the exporter's role needs none on MeshHook's tables and sees of
-- them just these columns.

-- Every known workflow, from its first moment, at zero.
CREATE VIEW metrics.workflow_counters AS
SELECT coalesce(m.project_id, d.project_id) AS project_id,
       coalesce(m.workflow_id, d.id) AS workflow_id,
       coalesce(m.success_count, 0) AS success_count,
       coalesce(m.failure_count, 0) AS failure_count,
       coalesce(m.canceled_count, 0) AS canceled_count,
       coalesce(m.duration_sum_ms, 0) AS duration_sum_ms,
       coalesce(m.duration_buckets,
                array_fill(0::bigint, ARRAY[
                    cardinality(metrics.duration_bounds_ms()) + 1]))
           AS duration_buckets
FROM metrics.workflow_run_metrics AS m
FULL JOIN public.workflow_definitions AS d ON d.id = m.workflow_id;

CREATE VIEW metrics.workflow_names AS
SELECT d.project_id, d.id AS workflow_id, p.name AS project,
       d.name AS workflow, d.version
FROM public.workflow_definitions AS d
JOIN public.projects AS p ON p.id = d.project_id;

-- Runs that have not finished, by workflow.
CREATE VIEW metrics.active_runs AS
SELECT project_id, workflow_id, status, count(*) AS runs,
       greatest(extract(epoch FROM
                        now() - min(coalesce(started_at, created_at))), 0)
           AS oldest_age_seconds
FROM public.workflow_runs
WHERE status IN ('running', 'paused')
GROUP BY project_id, workflow_id, status;
