-- The materialized views, and the refresh that paces itself.
--
--   mv_workflow_metrics   how a workflow does: lifetime, 1 h, 24 h, 7 d
--   mv_step_latency       how long a node's steps take: 24 h
--   mv_failure_hotspots   where steps fail, and of what: 1 h, 24 h
--
-- Durations are milliseconds, rates are ratios of succeeded + failed (canceled
-- runs are on neither side), and NULL means that nothing ran. Percentiles are
-- within 1 %; all else is exact.

-- What each workflow did since then. Whole days and hours come from the
-- trends, and only the rest of the first hour from facts, so the cost does not
-- grow with the number of runs in the window.
CREATE FUNCTION metrics.workflows_since(since timestamptz)
RETURNS TABLE (workflow_id uuid, runs bigint, failure_rate numeric,
               min_ms bigint, max_ms bigint, percentiles float8[])
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET plan_cache_mode = force_custom_plan SET jit = off SET work_mem = '32MB'
AS $$
#variable_conflict use_column
DECLARE
    first_hour timestamptz := date_trunc('hour', since, 'UTC')
                              + interval '1 hour';
    first_day  timestamptz := date_trunc('day', first_hour - interval '1 us',
                                         'UTC') + interval '1 day';
BEGIN
    RETURN QUERY
    WITH pieces AS MATERIALIZED (
        SELECT workflow_id, success_count, failure_count, canceled_count,
               duration_min_ms, duration_max_ms, (durations).buckets,
               (durations).counts
        FROM metrics.workflow_metrics_daily WHERE bucket_start >= first_day
        UNION ALL
        SELECT workflow_id, success_count, failure_count, canceled_count,
               duration_min_ms, duration_max_ms, (durations).buckets,
               (durations).counts
        FROM metrics.workflow_metrics_hourly
        WHERE bucket_start >= first_hour AND bucket_start < first_day
        UNION ALL
        SELECT workflow_id, sum(succeeded)::bigint, sum(failed)::bigint,
               sum(canceled)::bigint, min(fastest), max(slowest),
               array_agg(bucket) FILTER (WHERE bucket IS NOT NULL),
               array_agg(succeeded + failed) FILTER (WHERE bucket IS NOT NULL)
        FROM (SELECT workflow_id, metrics.sketch_bucket(ms) AS bucket,
                     count(*) FILTER (WHERE status = 'succeeded') AS succeeded,
                     count(*) FILTER (WHERE status = 'failed') AS failed,
                     count(*) FILTER (WHERE status = 'canceled') AS canceled,
                     min(ms) AS fastest, max(ms) AS slowest
              FROM (SELECT workflow_id, status,
                           CASE WHEN status <> 'canceled'
                                THEN execution_time_ms END AS ms
                    FROM metrics.execution_time_statistics
                    WHERE created_at >= since AND created_at < first_hour)
                   AS facts
              GROUP BY 1, 2) AS cells
        GROUP BY 1
    ), running AS (
        SELECT workflow_id, bucket,
               sum(n) OVER (PARTITION BY workflow_id ORDER BY bucket) AS up_to,
               sum(n) OVER (PARTITION BY workflow_id) AS total
        FROM (SELECT workflow_id, bucket, sum(n) AS n
              FROM pieces, unnest(buckets, counts) AS one (bucket, n)
              GROUP BY 1, 2) AS cells
    ), ranked AS (
        SELECT workflow_id,
               ARRAY[metrics.sketch_value(min(bucket)
                         FILTER (WHERE up_to >= 0.5 * total)),
                     metrics.sketch_value(min(bucket)
                         FILTER (WHERE up_to >= 0.95 * total)),
                     metrics.sketch_value(min(bucket)
                         FILTER (WHERE up_to >= 0.99 * total))]
                   AS percentiles
        FROM running GROUP BY 1
    ), summed AS (
        SELECT workflow_id, sum(success_count) AS succeeded,
               sum(failure_count) AS failed, sum(canceled_count) AS canceled,
               min(duration_min_ms) AS min_ms, max(duration_max_ms) AS max_ms
        FROM pieces GROUP BY 1
    )
    SELECT workflow_id, (succeeded + failed + canceled)::bigint,
           failed / nullif(succeeded + failed, 0), min_ms, max_ms,
           ARRAY[least(greatest(percentiles[1], min_ms), max_ms),
                 least(greatest(percentiles[2], min_ms), max_ms),
                 least(greatest(percentiles[3], min_ms), max_ms)]
    FROM summed LEFT JOIN ranked USING (workflow_id);
END $$;

DROP MATERIALIZED VIEW metrics.mv_workflow_metrics;
CREATE MATERIALIZED VIEW metrics.mv_workflow_metrics AS
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
       coalesce(s.step_count, 0) AS step_count,
       coalesce(s.attempt_count, 0) AS attempt_count,
       coalesce(s.event_bytes, 0) AS event_bytes,
       m.last_updated,
       d7.min_ms AS min_duration,
       d7.percentiles[1] AS median_duration,
       d7.percentiles[2] AS p95_duration,
       d7.percentiles[3] AS p99_duration,
       d7.max_ms AS max_duration,
       coalesce(h1.runs, 0) AS execution_count_1h,
       1 - h1.failure_rate AS success_rate_1h,
       h1.failure_rate AS failure_rate_1h,
       h1.percentiles[1] AS median_duration_1h,
       h1.percentiles[2] AS p95_duration_1h,
       h1.percentiles[3] AS p99_duration_1h,
       coalesce(h24.runs, 0) AS execution_count_24h,
       1 - h24.failure_rate AS success_rate_24h,
       h24.failure_rate AS failure_rate_24h,
       h24.percentiles[1] AS median_duration_24h,
       h24.percentiles[2] AS p95_duration_24h,
       h24.percentiles[3] AS p99_duration_24h,
       coalesce(d7.runs, 0) AS execution_count_7d,
       1 - d7.failure_rate AS success_rate_7d,
       d7.failure_rate AS failure_rate_7d,
       d7.percentiles[1] AS median_duration_7d,
       d7.percentiles[2] AS p95_duration_7d,
       d7.percentiles[3] AS p99_duration_7d
FROM metrics.workflow_run_metrics AS m
LEFT JOIN metrics.workflows_since(now() - interval '1 hour') AS h1
    USING (workflow_id)
LEFT JOIN metrics.workflows_since(now() - interval '24 hours') AS h24
    USING (workflow_id)
LEFT JOIN metrics.workflows_since(now() - interval '7 days') AS d7
    USING (workflow_id)
LEFT JOIN (SELECT workflow_id, sum(success_count) AS step_count,
                  sum(success_count + failure_count) AS attempt_count,
                  sum(event_bytes) AS event_bytes
           FROM metrics.step_metrics GROUP BY workflow_id) AS s
    USING (workflow_id);

-- A unique index is what `refresh concurrently` needs, which never blocks a
-- reader.
CREATE UNIQUE INDEX mv_workflow_metrics_workflow_id
    ON metrics.mv_workflow_metrics (workflow_id);
CREATE INDEX mv_workflow_metrics_project_id
    ON metrics.mv_workflow_metrics (project_id);
CREATE INDEX mv_workflow_metrics_last_updated
    ON metrics.mv_workflow_metrics (last_updated);
GRANT SELECT ON metrics.mv_workflow_metrics TO meshhook_exporter;

-- The last 24 whole hours and the current one.
CREATE MATERIALIZED VIEW metrics.mv_step_latency AS
WITH hours AS MATERIALIZED (
    SELECT * FROM metrics.step_metrics_hourly
    WHERE bucket_start >= date_trunc('hour', now() - interval '24 hours', 'UTC')
), running AS (
    SELECT workflow_id, node_id, bucket,
           sum(n) OVER (PARTITION BY workflow_id, node_id ORDER BY bucket)
               AS up_to,
           sum(n) OVER (PARTITION BY workflow_id, node_id) AS total
    FROM (SELECT workflow_id, node_id, bucket, sum(n) AS n
          FROM hours, unnest((durations).buckets, (durations).counts)
                          AS one (bucket, n)
          GROUP BY 1, 2, 3) AS cells
), ranked AS (
    SELECT workflow_id, node_id,
           metrics.sketch_value(min(bucket)
               FILTER (WHERE up_to >= 0.5 * total))
               AS median_duration,
           metrics.sketch_value(min(bucket)
               FILTER (WHERE up_to >= 0.95 * total))
               AS p95_duration,
           metrics.sketch_value(min(bucket)
               FILTER (WHERE up_to >= 0.99 * total))
               AS p99_duration,
           max(total) AS timed
    FROM running GROUP BY 1, 2
), summed AS (
    SELECT workflow_id, node_id, (array_agg(project_id))[1] AS project_id,
           max(node_type) AS node_type, sum(success_count) AS step_count,
           sum(failure_count) AS failure_count,
           sum(duration_sum_ms) AS duration_sum,
           min(duration_min_ms) AS min_duration,
           max(duration_max_ms) AS max_duration
    FROM hours GROUP BY 1, 2
)
SELECT workflow_id, node_id, project_id, node_type, step_count,
       step_count + failure_count AS attempt_count, failure_count,
       duration_sum / timed AS average_duration, min_duration,
       least(greatest(median_duration, min_duration), max_duration)
           AS median_duration,
       least(greatest(p95_duration, min_duration), max_duration)
           AS p95_duration,
       least(greatest(p99_duration, min_duration), max_duration)
           AS p99_duration,
       max_duration
FROM summed LEFT JOIN ranked USING (workflow_id, node_id);

CREATE UNIQUE INDEX mv_step_latency_node
    ON metrics.mv_step_latency (workflow_id, node_id);
CREATE INDEX mv_step_latency_project_id
    ON metrics.mv_step_latency (project_id);

-- By slots of five minutes. `share` is that of all failed attempts of the
-- workflow in 24 h.
CREATE MATERIALIZED VIEW metrics.mv_failure_hotspots AS
SELECT workflow_id, node_id, error_class,
       (array_agg(project_id))[1] AS project_id,
       coalesce(sum(failures) FILTER (
           WHERE slot >= now() - interval '1 hour'), 0) AS failures_1h,
       sum(failures) AS failures_24h,
       sum(failures) / sum(sum(failures)) OVER (PARTITION BY workflow_id)
           AS share
FROM metrics.step_failures
WHERE slot >= now() - interval '24 hours'
GROUP BY workflow_id, node_id, error_class;

CREATE UNIQUE INDEX mv_failure_hotspots_class
    ON metrics.mv_failure_hotspots (workflow_id, node_id, error_class);
CREATE INDEX mv_failure_hotspots_project_id
    ON metrics.mv_failure_hotspots (project_id);

-- Steps of all workflows by node type: a handful of rows, for the exporter.
CREATE VIEW metrics.step_totals AS
SELECT node_type, sum(success_count) AS success_count,
       sum(failure_count) AS failure_count,
       sum(failures_http_4xx) AS failures_http_4xx,
       sum(failures_http_5xx) AS failures_http_5xx,
       sum(failures_timeout) AS failures_timeout,
       sum(failures_connection) AS failures_connection,
       sum(failures_transform) AS failures_transform,
       sum(failures_other) AS failures_other,
       sum(http_1xx) AS http_1xx, sum(http_2xx) AS http_2xx,
       sum(http_3xx) AS http_3xx, sum(http_4xx) AS http_4xx,
       sum(http_5xx) AS http_5xx, sum(http_other) AS http_other,
       sum(duration_sum_ms) AS duration_sum_ms,
       ARRAY[sum(duration_buckets[1]), sum(duration_buckets[2]),
             sum(duration_buckets[3]), sum(duration_buckets[4]),
             sum(duration_buckets[5]), sum(duration_buckets[6]),
             sum(duration_buckets[7]), sum(duration_buckets[8]),
             sum(duration_buckets[9]), sum(duration_buckets[10])]::bigint[]
           AS duration_buckets,
       sum(event_count) AS event_count, sum(event_bytes) AS event_bytes
FROM metrics.step_metrics
GROUP BY node_type;

-- Refreshes the view that is due for longest and returns its name, or NULL when
-- none is. All views together take no more than `max_duty` of the time: each
-- waits, after it took a while, for its share of that, and no less than 15
-- seconds; but none gets older than `max_staleness`. A view that another
-- session refreshes is passed over. A failure is recorded, warned of, and tried
-- again at the same pace.
CREATE OR REPLACE FUNCTION metrics.refresh_if_due(
    max_duty float8 DEFAULT 0.05,
    max_staleness interval DEFAULT '15 minutes')
RETURNS text LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp SET jit = off
AS $$
DECLARE
    due        text;
    started_at timestamptz := clock_timestamp();
    populated  boolean;
    refreshed  bigint;
BEGIN
    -- Nobody makes it refresh all the time.
    max_duty := greatest(least(coalesce(max_duty, 0.05), 1), 0.001);
    max_staleness := greatest(max_staleness, interval '15 seconds');

    SELECT task INTO due FROM metrics.worker_tasks
    WHERE task LIKE 'mv\_%'
      AND (last_attempt_at IS NULL
           OR started_at - last_attempt_at
              >= least(greatest(interval '15 seconds',
                                make_interval(secs =>
                                    last_duration_ms / 1000.0
                                    * ((SELECT count(*)
                                        FROM metrics.worker_tasks
                                        WHERE task LIKE 'mv\_%') / max_duty
                                       - 1))),
                       max_staleness))
    ORDER BY last_attempt_at NULLS FIRST, task DESC LIMIT 1
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

INSERT INTO metrics.worker_tasks (task)
VALUES ('mv_step_latency'), ('mv_failure_hotspots');

-- Not left to 0019: whoever may use the schema could call it until then.
REVOKE ALL ON ALL FUNCTIONS IN SCHEMA metrics FROM PUBLIC;
