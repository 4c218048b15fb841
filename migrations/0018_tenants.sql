-- What tenants see: security-barrier views and functions that give the rows of
-- the caller's own projects, by MeshHook's user_project_ids(), and no others.
-- MeshHook's API sets request.jwt.claims and becomes `authenticated` first.

-- MeshHook's function names its tables without a schema, so it is told where
-- they are: in a caller's own temporary table of that name anyone would own
-- every project.
CREATE FUNCTION metrics.my_projects() RETURNS uuid[]
LANGUAGE sql STABLE SET search_path = pg_catalog, public, pg_temp AS $$
    SELECT array(SELECT public.user_project_ids())
$$;

CREATE VIEW metrics.my_workflow_metrics WITH (security_barrier) AS
SELECT * FROM metrics.mv_workflow_metrics
WHERE project_id = ANY ((SELECT metrics.my_projects())::uuid[]);

CREATE VIEW metrics.my_step_latency WITH (security_barrier) AS
SELECT * FROM metrics.mv_step_latency
WHERE project_id = ANY ((SELECT metrics.my_projects())::uuid[]);

CREATE VIEW metrics.my_failure_hotspots WITH (security_barrier) AS
SELECT * FROM metrics.mv_failure_hotspots
WHERE project_id = ANY ((SELECT metrics.my_projects())::uuid[]);

-- The rows of the trend tables that make up [since, until), widened to whole
-- hours: whole days, and hours at both ends; of projects where there is no
-- workflow.
CREATE FUNCTION metrics.trend_pieces(
    projects uuid[], workflow uuid, since timestamptz, until timestamptz)
RETURNS TABLE (success_count bigint, failure_count bigint,
               canceled_count bigint, duration_sum_ms numeric,
               duration_min_ms bigint, duration_max_ms bigint,
               durations metrics.sketch)
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET plan_cache_mode = force_custom_plan SET jit = off
AS $$
#variable_conflict use_column
DECLARE
    first_day timestamptz := metrics.ceil_time('day', since);
    last_day  timestamptz := CASE WHEN until > now() THEN 'infinity'
                                  ELSE date_trunc('day', until, 'UTC') END;
BEGIN
    IF first_day >= last_day THEN
        first_day := until;
        last_day := until;
    END IF;
    RETURN QUERY EXECUTE format($sql$
        SELECT success_count, failure_count, canceled_count, duration_sum_ms,
               duration_min_ms, duration_max_ms, durations
        FROM metrics.%1$s_hourly
        WHERE project_id = ANY ($1) AND %2$s
          AND ((bucket_start >= date_trunc('hour', $3, 'UTC')
                AND bucket_start < $5)
               OR (bucket_start >= $6 AND bucket_start < $4))
        UNION ALL
        SELECT success_count, failure_count, canceled_count, duration_sum_ms,
               duration_min_ms, duration_max_ms, durations
        FROM metrics.%1$s_daily
        WHERE project_id = ANY ($1) AND %2$s
          AND bucket_start >= $5 AND bucket_start < $6 $sql$,
        CASE WHEN workflow IS NULL THEN 'project_metrics'
             ELSE 'workflow_metrics' END,
        CASE WHEN workflow IS NULL THEN 'true' ELSE 'workflow_id = $2' END)
    USING projects, workflow, since, until, first_day, last_day;
END $$;

-- The beginning of the first hour or day, in UTC, that is not before.
CREATE FUNCTION metrics.ceil_time(unit text, at timestamptz)
RETURNS timestamptz LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN date_trunc(unit, at, 'UTC') = at THEN at
                ELSE date_trunc(unit, at, 'UTC') + ('1 ' || unit)::interval END
$$;

-- How many runs of the caller's finished in [start_date, end_date), widened to
-- whole hours, and how long they took, in ms. No dates: all there is; no
-- workflow: all of the caller's. Percentiles are within 1 %.
CREATE FUNCTION metrics.my_execution_times(
    workflow_id uuid DEFAULT NULL, start_date timestamptz DEFAULT NULL,
    end_date timestamptz DEFAULT NULL)
RETURNS TABLE (execution_count bigint, success_count bigint,
               failure_count bigint, canceled_count bigint, success_rate numeric,
               failure_rate numeric, average_duration numeric,
               min_duration bigint, median_duration float8, p95_duration float8,
               p99_duration float8, max_duration bigint)
LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp SET jit = off
AS $$
    WITH pieces AS MATERIALIZED (
        SELECT p.*
        FROM metrics.trend_pieces(
            metrics.my_projects(),
            my_execution_times.workflow_id,
            coalesce(start_date, '-infinity'),
            coalesce(metrics.ceil_time('hour', end_date), 'infinity')) AS p
    ), merged AS (
        SELECT ROW(array_agg(bucket ORDER BY bucket),
                   array_agg(n ORDER BY bucket))::metrics.sketch AS durations
        FROM (SELECT bucket, sum(n)::bigint AS n
              FROM pieces, unnest((durations).buckets, (durations).counts)
                               AS one (bucket, n)
              GROUP BY bucket) AS cells
    ), summed AS (
        SELECT coalesce(sum(success_count), 0) AS succeeded,
               coalesce(sum(failure_count), 0) AS failed,
               coalesce(sum(canceled_count), 0) AS canceled,
               sum(duration_sum_ms) AS total,
               min(duration_min_ms) AS fastest, max(duration_max_ms) AS slowest
        FROM pieces
    )
    SELECT (succeeded + failed + canceled)::bigint, succeeded::bigint,
           failed::bigint, canceled::bigint,
           succeeded / nullif(succeeded + failed, 0),
           failed / nullif(succeeded + failed, 0),
           total / nullif(succeeded + failed, 0), fastest,
           least(greatest(ranks[1], fastest), slowest),
           least(greatest(ranks[2], fastest), slowest),
           least(greatest(ranks[3], fastest), slowest), slowest
    FROM summed, merged,
         LATERAL (SELECT metrics.sketch_percentiles(
                      durations, '{0.5,0.95,0.99}') AS ranks) AS r
$$;

-- The same counts and rates by hour or day (in UTC) over a range; buckets
-- without a run are left out.
CREATE FUNCTION metrics.my_trend(
    bucket text, start_date timestamptz, end_date timestamptz,
    workflow_id uuid DEFAULT NULL)
RETURNS TABLE (bucket_start timestamptz, execution_count bigint,
               success_count bigint, failure_count bigint, canceled_count bigint,
               success_rate numeric, failure_rate numeric,
               average_duration numeric)
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET plan_cache_mode = force_custom_plan SET jit = off
AS $$
DECLARE
    projects uuid[] := metrics.my_projects();
BEGIN
    IF bucket IS NULL OR bucket NOT IN ('hour', 'day') THEN
        RAISE EXCEPTION 'bucket is %, and must be hour or day',
                        coalesce(quote_literal(bucket), 'NULL')
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    RETURN QUERY EXECUTE format($sql$
        SELECT bucket_start, (succeeded + failed + canceled)::bigint,
               succeeded::bigint, failed::bigint, canceled::bigint,
               succeeded / nullif(succeeded + failed, 0),
               failed / nullif(succeeded + failed, 0),
               total / nullif(succeeded + failed, 0)
        FROM (SELECT bucket_start, sum(success_count) AS succeeded,
                     sum(failure_count) AS failed,
                     sum(canceled_count) AS canceled,
                     sum(duration_sum_ms) AS total
              FROM metrics.%I
              WHERE project_id = ANY ($1) AND %s
                AND bucket_start >= date_trunc($3, $4, 'UTC')
                AND bucket_start < $5
              GROUP BY bucket_start) AS sums
        ORDER BY bucket_start $sql$,
        CASE WHEN workflow_id IS NULL THEN 'project_metrics_'
             ELSE 'workflow_metrics_' END
        || CASE bucket WHEN 'hour' THEN 'hourly' ELSE 'daily' END,
        CASE WHEN workflow_id IS NULL THEN 'true'
             ELSE 'workflow_id = $2' END)
    USING projects, workflow_id, bucket, start_date, end_date;
END $$;

-- All of the caller's projects together: workflows, lifetime counts, and how
-- the last 24 hours went.
CREATE FUNCTION metrics.my_overview()
RETURNS TABLE (workflow_count bigint, execution_count numeric,
               success_count numeric, failure_count numeric,
               canceled_count numeric, success_rate numeric,
               failure_rate numeric, resource_consumption numeric,
               execution_count_24h bigint, failure_rate_24h numeric,
               median_duration_24h float8, p95_duration_24h float8,
               p99_duration_24h float8, last_updated timestamptz)
LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp SET jit = off
AS $$
    SELECT l.workflows, succeeded + failed + canceled, succeeded, failed,
           canceled, succeeded / nullif(succeeded + failed, 0),
           failed / nullif(succeeded + failed, 0), total / 1000,
           d.execution_count, d.failure_rate, d.median_duration,
           d.p95_duration, d.p99_duration, latest
    FROM (SELECT count(*) AS workflows,
                 coalesce(sum(success_count), 0) AS succeeded,
                 coalesce(sum(failure_count), 0) AS failed,
                 coalesce(sum(canceled_count), 0) AS canceled,
                 coalesce(sum(duration_sum_ms), 0) AS total,
                 max(last_updated) AS latest
          FROM metrics.workflow_run_metrics
          WHERE project_id = ANY ((SELECT metrics.my_projects())::uuid[])) AS l,
         metrics.my_execution_times(
             start_date => now() - interval '24 hours') AS d
$$;

-- Live counts for MeshHook's console, where Supabase Realtime is: it sends each
-- listener the rows that this policy shows.
CREATE INDEX workflow_run_metrics_project_id
    ON metrics.workflow_run_metrics (project_id);
ALTER TABLE metrics.workflow_run_metrics ENABLE ROW LEVEL SECURITY;
CREATE POLICY own_projects ON metrics.workflow_run_metrics FOR SELECT
    USING (project_id = ANY ((SELECT metrics.my_projects())::uuid[]));
DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_publication
               WHERE pubname = 'supabase_realtime' AND NOT puballtables) THEN
        ALTER PUBLICATION supabase_realtime
            ADD TABLE metrics.workflow_run_metrics;
    END IF;
EXCEPTION WHEN insufficient_privilege THEN
    RAISE WARNING 'workflow_run_metrics could not join supabase_realtime, so '
                  'there are no live counts'
        USING HINT = 'as the publication''s owner run: ALTER PUBLICATION '
                     'supabase_realtime ADD TABLE metrics.workflow_run_metrics';
END $$;

-- Not left to 0019: whoever may use the schema could call it until then.
REVOKE ALL ON ALL FUNCTIONS IN SCHEMA metrics FROM PUBLIC;
