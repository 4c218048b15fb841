-- What OpenMetrics says of runs beyond counting them: since when, and which
-- were slow.

-- No run is older than its workflow, so all its counters were 0 when that was
-- made. Unknown for a workflow that is gone, and where the time cannot be one.
CREATE OR REPLACE VIEW metrics.workflow_counters AS
SELECT coalesce(m.project_id, d.project_id) AS project_id,
       coalesce(m.workflow_id, d.id) AS workflow_id,
       coalesce(m.success_count, 0) AS success_count,
       coalesce(m.failure_count, 0) AS failure_count,
       coalesce(m.canceled_count, 0) AS canceled_count,
       coalesce(m.duration_sum_ms, 0) AS duration_sum_ms,
       coalesce(m.duration_buckets,
                array_fill(0::bigint, ARRAY[
                    cardinality(metrics.duration_bounds_ms()) + 1]))
           AS duration_buckets,
       CASE WHEN d.created_at > '-infinity' AND d.created_at <= now()
            THEN d.created_at END AS created_at
FROM metrics.workflow_run_metrics AS m
FULL JOIN public.workflow_definitions AS d ON d.id = m.workflow_id;

-- The newest run of each workflow in each bucket beyond one second, of the
-- `newest` facts and of no more than an hour. Costs the same however many facts
-- there are: it reads that many from the end of an index, whatever the planner
-- would rather do.
CREATE FUNCTION metrics.slow_runs(newest int DEFAULT 2000)
RETURNS TABLE (workflow_id uuid, run_id uuid, duration_ms bigint,
               finished_at timestamptz)
LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off
SET enable_sort = off
SET jit = off
AS $$
    SELECT DISTINCT ON (f.workflow_id, bucket)
           f.workflow_id, f.run_id, f.execution_time_ms, f.created_at
    FROM (SELECT * FROM metrics.execution_time_statistics
          ORDER BY xact_id DESC
          LIMIT least(greatest(newest, 0), 100000)) AS f,
         width_bucket(f.execution_time_ms - 1, metrics.duration_bounds_ms())
             AS bucket
    WHERE f.status <> 'canceled' AND f.execution_time_ms > 1000
      AND f.created_at BETWEEN now() - interval '1 hour' AND now()
    ORDER BY f.workflow_id, bucket, f.created_at DESC
$$;

-- Refused unless granted here, whatever default privileges gave to whom.
DO $$
DECLARE
    grantee text;
BEGIN
    FOR grantee IN
        SELECT CASE WHEN a.grantee = 0 THEN 'PUBLIC'
                    ELSE a.grantee::regrole::text END
        FROM pg_proc AS p,
             aclexplode(coalesce(proacl, acldefault('f', proowner))) AS a
        WHERE p.oid = 'metrics.slow_runs(int)'::regprocedure
          AND a.grantee <> proowner
    LOOP
        EXECUTE format('REVOKE ALL ON FUNCTION metrics.slow_runs(int) FROM %s',
                       grantee);
    END LOOP;
END $$;
GRANT EXECUTE ON FUNCTION metrics.slow_runs(int) TO meshhook_exporter;
