-- The fold of steps: adds the events of each finished run to the tables of
-- steps (0012), each event once.

-- The kind of a step's failure, from the shape of its message.
CREATE FUNCTION metrics.error_class(message text, node_type text)
RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE substring(message FROM
                    '(?i)\m(?:http|status).{0,20}?\m([45])\d\d\M')
        WHEN '4' THEN 'http_4xx'
        WHEN '5' THEN 'http_5xx'
        ELSE CASE
            WHEN message ~* 'timed?[ _-]?out|deadline exceeded|AbortError'
            THEN 'timeout'
            WHEN message ~* ('ECONN|ENOTFOUND|EAI_AGAIN|EPIPE|EHOSTUNREACH|'
                             'ENETUNREACH|socket|connect|fetch failed|network|'
                             'getaddrinfo|\mdns\M|\mtls\M|\mssl\M|certificate')
            THEN 'connection'
            WHEN node_type = 'transform'
                 OR message ~* 'transform|jsonata|expression'
            THEN 'transform'
            ELSE 'other' END
        END
$$;

-- Facts, as far as their events are concerned.
CREATE TYPE metrics.finish AS (
    fact_id bigint, run_id uuid, workflow_id uuid, project_id uuid,
    status text, finished_at timestamptz, began_at timestamptz);

-- One step that was carried through, with its retries, or the failed attempts
-- of one that was not.
CREATE TYPE metrics.step AS (
    workflow_id uuid, project_id uuid, finished_at timestamptz, node_id text,
    node_type text, succeeded boolean, duration_ms bigint,
    failure_count bigint, failures_http_4xx bigint, failures_http_5xx bigint,
    failures_timeout bigint, failures_connection bigint,
    failures_transform bigint, failures_other bigint,
    http_1xx bigint, http_2xx bigint, http_3xx bigint, http_4xx bigint,
    http_5xx bigint, http_other bigint,
    event_count bigint, event_bytes bigint,
    fact_id bigint, run_id uuid, last_event_id bigint);

-- The steps of those finishes. Nothing in an event can make it fail: what is
-- missing or malformed is read as unknown. Reopenings and events are read by
-- one statement, hence one snapshot: whoever sees the events of a replay sees
-- that it is one. Events are found by `run_id` alone: in a month that is too
-- young for statistics the planner would believe in the primary key (hence
-- id + 0) or in two indexes at once, and read a whole index for each run.
CREATE FUNCTION metrics.steps_of(finishes metrics.finish[])
RETURNS SETOF metrics.step LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET plan_cache_mode = force_custom_plan
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off
SET enable_bitmapscan = off SET jit = off SET work_mem = '32MB'
AS $$
DECLARE
    earliest timestamptz := (SELECT min(began_at) FROM unnest(finishes));
BEGIN
    RETURN QUERY
    WITH bounded AS MATERIALIZED (
        SELECT f.*,
               -- Where the finish before was counted to, else where it ended.
               coalesce((SELECT c.last_event_id
                         FROM metrics.counted_events AS c
                         WHERE c.run_id = f.run_id AND c.fact_id < f.fact_id
                           AND (SELECT count(*)
                                FROM metrics.run_reopenings AS r
                                WHERE r.run_id = f.run_id
                                  AND r.id >= c.fact_id
                                  AND r.id < f.fact_id) <= 1
                         ORDER BY c.fact_id DESC LIMIT 1),
                        (SELECT max(r.last_event_id)
                         FROM metrics.run_reopenings AS r
                         WHERE r.run_id = f.run_id AND r.id < f.fact_id), 0)
                   AS after_event,
               coalesce((SELECT min(r.last_event_id)
                         FROM metrics.run_reopenings AS r
                         WHERE r.run_id = f.run_id AND r.id >= f.fact_id),
                        9223372036854775807) AS last_event
        FROM unnest(finishes) AS f
    ), events AS (
        SELECT f.fact_id, f.run_id AS run, f.workflow_id, f.project_id,
               f.finished_at, e.id, e.ts, e.type,
               left(coalesce(e.node ->> 'id', ''), 100) AS node,
               CASE WHEN e.kind IN ('transform', 'http_call', 'branch',
                                    'delay', 'terminate')
                    THEN e.kind ELSE 'other' END AS kind,
               CASE WHEN e.type <> 'http_attempted' THEN NULL
                    WHEN e.payload ->> 'status' ~ '^[1-5]\d\d$'
                    THEN left(e.payload ->> 'status', 1)
                    ELSE 'other' END AS answer,
               CASE WHEN e.type = 'step_failed'
                    THEN coalesce(left(e.payload ->> 'error', 300), '') END
                   AS error,
               pg_column_size(e.payload) AS bytes
        FROM bounded AS f,
        LATERAL (
            SELECT w.id, w.ts, w.type, w.payload, w.payload -> 'node' AS node,
                   w.payload #>> '{node,type}' AS kind
            FROM public.workflow_events AS w
            WHERE w.run_id = f.run_id
              AND w.ts >= earliest - interval '1 day'  -- for clocks that differ
              AND w.id + 0 > f.after_event AND w.id + 0 <= f.last_event
              AND w.type IN ('step_started', 'http_attempted',
                             'step_succeeded', 'step_failed')
            OFFSET 0) AS e  -- so that each is taken out but once
    ), visits AS (
        -- A node that comes by again after it succeeded is another step.
        SELECT *, count(*) FILTER (WHERE type = 'step_succeeded')
                      OVER (PARTITION BY fact_id, run, node ORDER BY id
                            ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)
                      AS visit,
               CASE WHEN error IS NOT NULL
                    THEN metrics.error_class(error, kind) END AS failure
        FROM events
    )
    SELECT v.workflow_id, v.project_id,
           v.finished_at, v.node, max(v.kind),
           bool_or(type = 'step_succeeded'),
           -- NULL unless it was seen to start and to succeed.
           CASE WHEN bool_or(type = 'step_started')
                     AND bool_or(type = 'step_succeeded')
                THEN greatest(extract(epoch FROM
                         max(ts) FILTER (WHERE type = 'step_succeeded')
                         - min(ts) FILTER (WHERE type = 'step_started')) * 1000,
                         0)::bigint END,
           count(failure),
           count(*) FILTER (WHERE failure = 'http_4xx'),
           count(*) FILTER (WHERE failure = 'http_5xx'),
           count(*) FILTER (WHERE failure = 'timeout'),
           count(*) FILTER (WHERE failure = 'connection'),
           count(*) FILTER (WHERE failure = 'transform'),
           count(*) FILTER (WHERE failure = 'other'),
           count(*) FILTER (WHERE answer = '1'),
           count(*) FILTER (WHERE answer = '2'),
           count(*) FILTER (WHERE answer = '3'),
           count(*) FILTER (WHERE answer = '4'),
           count(*) FILTER (WHERE answer = '5'),
           count(*) FILTER (WHERE answer = 'other'),
           count(*), sum(bytes), fact_id, run, max(id)
    FROM visits AS v
    GROUP BY fact_id, run, v.workflow_id, v.project_id, v.finished_at, v.node,
             visit;
END $$;

-- Adds steps to every table of steps.
CREATE FUNCTION metrics.add_steps(steps metrics.step[]) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp SET jit = off SET work_mem = '32MB'
AS $$
DECLARE
    bounds         bigint[] := metrics.duration_bounds_ms();
    hours_since    timestamptz := metrics.kept_since('step_metrics_hourly');
    failures_since timestamptz := metrics.kept_since('step_failures');
BEGIN
    INSERT INTO metrics.step_metrics AS t
    SELECT workflow_id, node_id, (array_agg(project_id))[1], max(node_type),
           count(*) FILTER (WHERE succeeded), sum(failure_count),
           sum(failures_http_4xx), sum(failures_http_5xx),
           sum(failures_timeout), sum(failures_connection),
           sum(failures_transform), sum(failures_other),
           sum(http_1xx), sum(http_2xx), sum(http_3xx), sum(http_4xx),
           sum(http_5xx), sum(http_other),
           coalesce(sum(duration_ms), 0),
           ARRAY[count(*) FILTER (WHERE duration_ms <= bounds[1]),
                 count(*) FILTER (WHERE duration_ms <= bounds[2]),
                 count(*) FILTER (WHERE duration_ms <= bounds[3]),
                 count(*) FILTER (WHERE duration_ms <= bounds[4]),
                 count(*) FILTER (WHERE duration_ms <= bounds[5]),
                 count(*) FILTER (WHERE duration_ms <= bounds[6]),
                 count(*) FILTER (WHERE duration_ms <= bounds[7]),
                 count(*) FILTER (WHERE duration_ms <= bounds[8]),
                 count(*) FILTER (WHERE duration_ms <= bounds[9]),
                 count(duration_ms)],
           sum(event_count), sum(event_bytes), max(finished_at)
    FROM unnest(steps)
    GROUP BY workflow_id, node_id
    ON CONFLICT (workflow_id, node_id) DO UPDATE
    SET success_count = t.success_count + excluded.success_count,
        failure_count = t.failure_count + excluded.failure_count,
        failures_http_4xx = t.failures_http_4xx + excluded.failures_http_4xx,
        failures_http_5xx = t.failures_http_5xx + excluded.failures_http_5xx,
        failures_timeout = t.failures_timeout + excluded.failures_timeout,
        failures_connection = t.failures_connection
                              + excluded.failures_connection,
        failures_transform = t.failures_transform
                             + excluded.failures_transform,
        failures_other = t.failures_other + excluded.failures_other,
        http_1xx = t.http_1xx + excluded.http_1xx,
        http_2xx = t.http_2xx + excluded.http_2xx,
        http_3xx = t.http_3xx + excluded.http_3xx,
        http_4xx = t.http_4xx + excluded.http_4xx,
        http_5xx = t.http_5xx + excluded.http_5xx,
        http_other = t.http_other + excluded.http_other,
        duration_sum_ms = t.duration_sum_ms + excluded.duration_sum_ms,
        duration_buckets = ARRAY[
            t.duration_buckets[1] + excluded.duration_buckets[1],
            t.duration_buckets[2] + excluded.duration_buckets[2],
            t.duration_buckets[3] + excluded.duration_buckets[3],
            t.duration_buckets[4] + excluded.duration_buckets[4],
            t.duration_buckets[5] + excluded.duration_buckets[5],
            t.duration_buckets[6] + excluded.duration_buckets[6],
            t.duration_buckets[7] + excluded.duration_buckets[7],
            t.duration_buckets[8] + excluded.duration_buckets[8],
            t.duration_buckets[9] + excluded.duration_buckets[9],
            t.duration_buckets[10] + excluded.duration_buckets[10]],
        event_count = t.event_count + excluded.event_count,
        event_bytes = t.event_bytes + excluded.event_bytes,
        last_updated = greatest(t.last_updated, excluded.last_updated);

    INSERT INTO metrics.step_metrics_hourly AS t
    SELECT workflow_id, node_id, bucket_start, (array_agg(project))[1],
           max(kind), sum(succeeded), sum(failed), sum(sum_ms), min(min_ms),
           max(max_ms),
           ROW(coalesce(array_agg(bucket ORDER BY bucket)
                        FILTER (WHERE bucket IS NOT NULL), '{}'),
               coalesce(array_agg(timed ORDER BY bucket)
                        FILTER (WHERE bucket IS NOT NULL), '{}')
           )::metrics.sketch
    FROM (SELECT workflow_id, node_id,
                 date_trunc('hour', finished_at, 'UTC') AS bucket_start,
                 metrics.sketch_bucket(duration_ms) AS bucket,
                 (array_agg(project_id))[1] AS project, max(node_type) AS kind,
                 count(*) FILTER (WHERE succeeded) AS succeeded,
                 sum(failure_count) AS failed,
                 coalesce(sum(duration_ms), 0) AS sum_ms,
                 min(duration_ms) AS min_ms, max(duration_ms) AS max_ms,
                 count(duration_ms) AS timed
          FROM unnest(steps)
          WHERE finished_at >= hours_since
          GROUP BY 1, 2, 3, 4) AS by_bucket
    GROUP BY workflow_id, node_id, bucket_start
    ON CONFLICT (workflow_id, node_id, bucket_start) DO UPDATE
    SET success_count = t.success_count + excluded.success_count,
        failure_count = t.failure_count + excluded.failure_count,
        duration_sum_ms = t.duration_sum_ms + excluded.duration_sum_ms,
        duration_min_ms = least(t.duration_min_ms, excluded.duration_min_ms),
        duration_max_ms = greatest(t.duration_max_ms,
                                   excluded.duration_max_ms),
        durations = metrics.sketch_add(t.durations, excluded.durations);

    INSERT INTO metrics.step_failures AS t
    SELECT workflow_id, node_id, class,
           slot_start, (array_agg(project_id))[1], sum(failures)
    FROM (SELECT *, to_timestamp(floor(extract(epoch FROM finished_at) / 300)
                                 * 300) AS slot_start
          FROM unnest(steps)
          WHERE failure_count > 0
            AND finished_at >= failures_since) AS failed,
         LATERAL (VALUES ('http_4xx', failures_http_4xx),
                         ('http_5xx', failures_http_5xx),
                         ('timeout', failures_timeout),
                         ('connection', failures_connection),
                         ('transform', failures_transform),
                         ('other', failures_other)) AS c (class, failures)
    WHERE failures > 0
    GROUP BY workflow_id, node_id, class, slot_start
    ON CONFLICT (workflow_id, node_id, error_class, slot) DO UPDATE
    SET failures = t.failures + excluded.failures;
END $$;

-- Counts the steps of up to about `max_runs` runs that finished at least
-- `settle` ago; returns how many runs, or NULL when another session does.
CREATE FUNCTION metrics.fold_steps(
    max_runs int DEFAULT 2000, settle interval DEFAULT '5 seconds')
RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    started_at timestamptz := clock_timestamp();
    finishes   metrics.finish[];
    piece      metrics.finish[];
    steps      metrics.step[];
BEGIN
    IF NOT metrics.claim_stream('steps') OR NOT metrics.is_adopted() THEN
        RETURN NULL;
    END IF;
    -- A beginning only has to be early enough, and must not be out of range.
    SELECT array_agg(ROW(
               f.id, f.run_id, f.workflow_id,
               coalesce((SELECT d.project_id
                         FROM public.workflow_definitions AS d
                         WHERE d.id = f.workflow_id), f.project_id),
               f.status,
               f.created_at,
               greatest(f.created_at, timestamptz '2000-01-01 00:00+00')
               - make_interval(secs =>
                     least(f.execution_time_ms, 315360000000) / 1000.0)
               )::metrics.finish)
    INTO finishes
    FROM metrics.take_facts('steps', least(coalesce(max_runs, 2000), 50000),
                            settle) AS f;
    -- A piece at a time: one transaction may have finished any number of runs.
    FOR i IN 1 .. coalesce(cardinality(finishes), 0) BY 2000 LOOP
        piece := finishes[i : i + 1999];
        steps := array(SELECT s FROM metrics.steps_of(piece) AS s);
        PERFORM metrics.add_steps(steps);
        INSERT INTO metrics.counted_events
        SELECT run_id, fact_id, max(s.last_event_id), max(s.finished_at)
        FROM unnest(steps) AS s JOIN unnest(piece) AS f
            USING (run_id, fact_id)
        WHERE f.status <> 'succeeded'
        GROUP BY run_id, fact_id
        ON CONFLICT DO NOTHING;
    END LOOP;
    PERFORM metrics.record_task('steps', started_at,
                                coalesce(cardinality(finishes), 0));
    RETURN coalesce(cardinality(finishes), 0);
END $$;

SELECT metrics.add_consumer('steps');

-- Not left to 0019: whoever may use the schema could call it until then.
REVOKE ALL ON ALL FUNCTIONS IN SCHEMA metrics FROM PUBLIC;
