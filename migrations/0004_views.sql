-- The materialized view that answers "how does this workflow do?", and the
-- refresh that paces itself.
--
-- Counts, rates and the average are lifetime figures from
-- workflow_run_metrics. Minimum, maximum and percentiles describe the last
-- 7 days. A suffix _1h, _24h, _7d restricts a figure to that window. Durations
-- are milliseconds, rates are ratios of succeeded + failed (canceled runs are
-- on neither side), and NULL means that nothing ran.

CREATE MATERIALIZED VIEW metrics.mv_workflow_metrics AS
WITH facts AS (
    SELECT workflow_id, status, created_at,
           CASE WHEN status <> 'canceled' THEN execution_time_ms END AS ms,
           created_at >= now() - interval '1 hour' AS in_1h,
           created_at >= now() - interval '24 hours' AS in_24h
    FROM metrics.execution_time_statistics
    WHERE created_at >= now() - interval '7 days'
), recent AS (
    SELECT workflow_id,
           min(ms) AS min_duration,
           max(ms) AS max_duration,
           count(*) FILTER (WHERE in_1h) AS execution_count_1h,
           count(*) FILTER (WHERE in_24h) AS execution_count_24h,
           count(*) AS execution_count_7d,
           avg((status = 'failed')::int)
               FILTER (WHERE in_1h AND ms IS NOT NULL) AS failure_rate_1h,
           avg((status = 'failed')::int)
               FILTER (WHERE in_24h AND ms IS NOT NULL) AS failure_rate_24h,
           avg((status = 'failed')::int)
               FILTER (WHERE ms IS NOT NULL) AS failure_rate_7d,
           percentile_cont('{0.5,0.95,0.99}'::float8[])
               WITHIN GROUP (ORDER BY ms) FILTER (WHERE in_1h) AS q_1h,
           percentile_cont('{0.5,0.95,0.99}'::float8[])
               WITHIN GROUP (ORDER BY ms) FILTER (WHERE in_24h) AS q_24h,
           percentile_cont('{0.5,0.95,0.99}'::float8[])
               WITHIN GROUP (ORDER BY ms) AS q_7d
    FROM facts
    GROUP BY workflow_id
)
SELECT m.workflow_id,
       m.project_id,
       m.success_count + m.failure_count + m.canceled_count AS execution_count,
       m.duration_sum_ms / nullif(m.success_count + m.failure_count, 0)
           AS average_duration,
       m.success_count::numeric
           / nullif(m.success_count + m.failure_count, 0) AS success_rate,
       m.failure_count::numeric
           / nullif(m.success_count + m.failure_count, 0) AS failure_rate,
       m.duration_sum_ms / 1000 AS resource_consumption,  -- run-seconds used
       m.last_updated,
       r.min_duration,
       r.q_7d[1] AS median_duration,
       r.q_7d[2] AS p95_duration,
       r.q_7d[3] AS p99_duration,
       r.max_duration,
       coalesce(r.execution_count_1h, 0) AS execution_count_1h,
       1 - r.failure_rate_1h AS success_rate_1h,
       r.failure_rate_1h,
       r.q_1h[1] AS median_duration_1h,
       r.q_1h[2] AS p95_duration_1h,
       r.q_1h[3] AS p99_duration_1h,
       coalesce(r.execution_count_24h, 0) AS execution_count_24h,
       1 - r.failure_rate_24h AS success_rate_24h,
       r.failure_rate_24h,
       r.q_24h[1] AS median_duration_24h,
       r.q_24h[2] AS p95_duration_24h,
       r.q_24h[3] AS p99_duration_24h,
       coalesce(r.execution_count_7d, 0) AS execution_count_7d,
       1 - r.failure_rate_7d AS success_rate_7d,
       r.failure_rate_7d,
       r.q_7d[1] AS median_duration_7d,
       r.q_7d[2] AS p95_duration_7d,
       r.q_7d[3] AS p99_duration_7d
FROM metrics.workflow_run_metrics AS m
LEFT JOIN recent AS r USING (workflow_id);

-- What `refresh concurrently` needs: it never blocks a reader.
CREATE UNIQUE INDEX mv_workflow_metrics_workflow_id
    ON metrics.mv_workflow_metrics (workflow_id);
CREATE INDEX mv_workflow_metrics_project_id
    ON metrics.mv_workflow_metrics (project_id);
CREATE INDEX mv_workflow_metrics_last_updated
    ON metrics.mv_workflow_metrics (last_updated);

-- Refreshes the view that is due for longest and returns its name, or NULL when
-- none is. Due means: the last refresh cost no more than `max_duty` of the
-- time since it ended, and that was at least 15 seconds ago; or it is older
-- than `max_staleness`. A view that another session refreshes is passed over.
-- A failure is recorded, warned of, and tried again at the same pace.
CREATE FUNCTION metrics.refresh_if_due(
    max_duty float8 DEFAULT 0.05,
    max_staleness interval DEFAULT '15 minutes')
RETURNS text LANGUAGE plpgsql SECURITY DEFINER
SET search_path = '' SET jit = off
AS $$
DECLARE
    due        text;
    started_at timestamptz := clock_timestamp();
    populated  boolean;
    refreshed  bigint;
BEGIN
    SELECT task INTO due FROM metrics.worker_tasks
    WHERE task LIKE 'mv\_%'
      AND (last_attempt_at IS NULL
           OR started_at - last_attempt_at
              >= least(greatest(interval '15 seconds',
                                make_interval(secs =>
                                    last_duration_ms / 1000.0
                                    * (1 / max_duty - 1))),
                       max_staleness))
    ORDER BY last_attempt_at NULLS FIRST LIMIT 1
    FOR UPDATE SKIP LOCKED;
    IF due IS NULL THEN
        RETURN NULL;
    END IF;

    BEGIN
        SELECT ispopulated INTO STRICT populated FROM pg_matviews
        WHERE schemaname = 'metrics' AND matviewname = due;
        EXECUTE format('REFRESH MATERIALIZED VIEW %s metrics.%I',
                       CASE WHEN populated THEN 'CONCURRENTLY' ELSE '' END,
                       due);
        EXECUTE format('SELECT count(*) FROM metrics.%I', due) INTO refreshed;
        PERFORM metrics.record_task(due, started_at, refreshed);
    EXCEPTION WHEN query_canceled OR OTHERS THEN
        PERFORM metrics.record_task(due, started_at, NULL, SQLSTATE);
        RAISE WARNING 'refresh of metrics.% failed: %', due, SQLERRM;
    END;
    RETURN due;
END $$;

-- Hourly housekeeping: partitions ahead, and a log of no more than a week.
CREATE FUNCTION metrics.maintain() RETURNS int
LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
DECLARE
    started_at timestamptz := clock_timestamp();
    made       int;
BEGIN
    made := metrics.ensure_partitions();
    DELETE FROM metrics.refresh_log WHERE at < now() - interval '7 days';
    PERFORM metrics.record_task('maintenance', started_at, made);
    RETURN made;
END $$;
