-- What the API's reads answer: a function for each operation of
-- exporter/api/openapi.json, which says what each member means. They run with
-- their owner's rights and give rows of the caller's projects only; NULL means
-- that there is no such thing, or that it is not the caller's.

-- A ratio to six digits, and a duration in ms to three; NULL of nothing.
CREATE FUNCTION metrics.ratio(part numeric, whole numeric) RETURNS numeric
LANGUAGE sql IMMUTABLE AS $$
    SELECT trim_scale(round(part / nullif(whole, 0), 6))
$$;

CREATE FUNCTION metrics.milliseconds(duration numeric) RETURNS numeric
LANGUAGE sql IMMUTABLE AS $$ SELECT trim_scale(round(duration, 3)) $$;

-- The document's Lifetime, Sums and RecentWindow; where there is no row, of
-- nothing.
CREATE FUNCTION metrics.lifetime_json(
    succeeded numeric, failed numeric, canceled numeric, total_ms numeric)
RETURNS json LANGUAGE sql STABLE AS $$
    SELECT json_build_object(
        'execution_count', coalesce(succeeded + failed + canceled, 0),
        'success_count', coalesce(succeeded, 0),
        'failure_count', coalesce(failed, 0),
        'canceled_count', coalesce(canceled, 0),
        'success_rate', metrics.ratio(succeeded, succeeded + failed),
        'failure_rate', metrics.ratio(failed, succeeded + failed),
        'average_duration', metrics.milliseconds(
            total_ms / nullif(succeeded + failed, 0)),
        'resource_consumption', trim_scale(coalesce(total_ms / 1000, 0)))
$$;

CREATE FUNCTION metrics.sums_json(
    succeeded numeric, failed numeric, canceled numeric, total_ms numeric,
    min_ms bigint, max_ms bigint)
RETURNS json LANGUAGE sql STABLE AS $$
    SELECT json_build_object(
        'execution_count', coalesce(succeeded + failed + canceled, 0),
        'success_count', coalesce(succeeded, 0),
        'failure_count', coalesce(failed, 0),
        'canceled_count', coalesce(canceled, 0),
        'success_rate', metrics.ratio(succeeded, succeeded + failed),
        'failure_rate', metrics.ratio(failed, succeeded + failed),
        'average_duration', metrics.milliseconds(
            total_ms / nullif(succeeded + failed, 0)),
        'min_duration', min_ms, 'max_duration', max_ms)
$$;

CREATE FUNCTION metrics.window_json(
    runs bigint, failure_rate numeric, median float8, p95 float8, p99 float8)
RETURNS json LANGUAGE sql STABLE AS $$
    SELECT json_build_object(
        'execution_count', coalesce(runs, 0),
        'success_rate', trim_scale(round(1 - failure_rate, 6)),
        'failure_rate', trim_scale(round(failure_rate, 6)),
        'median_duration', metrics.milliseconds(median::numeric),
        'p95_duration', metrics.milliseconds(p95::numeric),
        'p99_duration', metrics.milliseconds(p99::numeric))
$$;

CREATE FUNCTION metrics.recent_json(v metrics.mv_workflow_metrics)
RETURNS json LANGUAGE sql STABLE AS $$
    SELECT json_build_object(
        '1h', metrics.window_json(
            v.execution_count_1h, v.failure_rate_1h, v.median_duration_1h,
            v.p95_duration_1h, v.p99_duration_1h),
        '24h', metrics.window_json(
            v.execution_count_24h, v.failure_rate_24h, v.median_duration_24h,
            v.p95_duration_24h, v.p99_duration_24h),
        '7d', metrics.window_json(
            v.execution_count_7d, v.failure_rate_7d, v.median_duration_7d,
            v.p95_duration_7d, v.p99_duration_7d))
$$;

CREATE FUNCTION metrics.workflow_json(d public.workflow_definitions)
RETURNS json LANGUAGE sql STABLE AS $$
    SELECT json_build_object(
        'workflow_id', d.id, 'project_id', d.project_id, 'name', d.name,
        'slug', d.slug, 'version', d.version, 'status', d.status)
$$;

CREATE FUNCTION metrics.range_json(since timestamptz, until timestamptz)
RETURNS json LANGUAGE sql STABLE AS $$
    SELECT json_build_object('start_date', since, 'end_date', until)
$$;

-- The document's Period of those projects, or of one workflow of theirs. Each
-- duration's bucket is counted over all hours and days by two unnest() side by
-- side, which take a quarter of the time of one in FROM.
CREATE FUNCTION metrics.period_json(
    projects uuid[], workflow uuid, since timestamptz, until timestamptz)
RETURNS json LANGUAGE plpgsql STABLE
SET plan_cache_mode = force_generic_plan SET jit = off
AS $$
DECLARE
    parts metrics.range_parts := metrics.parts_of_range(since, until);
BEGIN
    RETURN (
    WITH pieces AS MATERIALIZED (
        SELECT success_count, failure_count, canceled_count, duration_sum_ms,
               duration_min_ms, duration_max_ms, durations
        FROM metrics.rows_of_projects(projects, parts)
        WHERE workflow IS NULL
        UNION ALL
        SELECT success_count, failure_count, canceled_count, duration_sum_ms,
               duration_min_ms, duration_max_ms, durations
        FROM metrics.rows_of_workflows(ARRAY[workflow], projects, parts)
        WHERE workflow IS NOT NULL
    ), running AS (
        SELECT bucket, sum(n) OVER (ORDER BY bucket) AS up_to,
               sum(n) OVER () AS total
        FROM (SELECT bucket, sum(n) AS n
              FROM (SELECT unnest((durations).buckets) AS bucket,
                           unnest((durations).counts) AS n
                    FROM pieces) AS cells
              GROUP BY bucket) AS merged
    ), ranked AS (
        SELECT metrics.sketch_value(min(bucket)
                   FILTER (WHERE up_to >= 0.5 * total)) AS median,
               metrics.sketch_value(min(bucket)
                   FILTER (WHERE up_to >= 0.95 * total)) AS p95,
               metrics.sketch_value(min(bucket)
                   FILTER (WHERE up_to >= 0.99 * total)) AS p99
        FROM running
    ), summed AS (
        SELECT coalesce(sum(success_count), 0) AS succeeded,
               coalesce(sum(failure_count), 0) AS failed,
               coalesce(sum(canceled_count), 0) AS canceled,
               sum(duration_sum_ms) AS total, min(duration_min_ms) AS fastest,
               max(duration_max_ms) AS slowest
        FROM pieces
    )
    SELECT json_build_object(
        'execution_count', succeeded + failed + canceled,
        'success_count', succeeded, 'failure_count', failed,
        'canceled_count', canceled,
        'success_rate', metrics.ratio(succeeded, succeeded + failed),
        'failure_rate', metrics.ratio(failed, succeeded + failed),
        'average_duration', metrics.milliseconds(
            total / nullif(succeeded + failed, 0)),
        'min_duration', fastest,
        'median_duration', metrics.milliseconds(
            least(greatest(median, fastest), slowest)::numeric),
        'p95_duration', metrics.milliseconds(
            least(greatest(p95, fastest), slowest)::numeric),
        'p99_duration', metrics.milliseconds(
            least(greatest(p99, fastest), slowest)::numeric),
        'max_duration', slowest)
    FROM summed, ranked);
END $$;

CREATE FUNCTION metrics.api_execution_times(request jsonb) RETURNS json
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp SET timezone = 'UTC'
AS $$
DECLARE
    scope record := metrics.asked_scope(request);
    range record := metrics.asked_range(
        metrics.asked_time(request, 'start_date'),
        coalesce(metrics.asked_time(request, 'end_date'), now()), 'hour');
BEGIN
    IF NOT scope.known THEN
        RETURN NULL;
    END IF;
    RETURN json_build_object(
        'range', metrics.range_json(range.since, range.until),
        'period', metrics.period_json(scope.projects, scope.workflow,
                                      range.since, range.until));
END $$;

CREATE FUNCTION metrics.api_overview(request jsonb) RETURNS json
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp SET timezone = 'UTC'
SET plan_cache_mode = force_generic_plan SET jit = off
AS $$
DECLARE
    scope record := metrics.asked_scope(request - 'workflow_id');
    range record := metrics.asked_range(
        metrics.asked_time(request, 'start_date'),
        coalesce(metrics.asked_time(request, 'end_date'), now()), 'hour');
    period json;
BEGIN
    IF NOT scope.known THEN
        RETURN NULL;
    END IF;
    period := metrics.period_json(scope.projects, NULL, range.since,
                                  range.until);
    RETURN (
        SELECT json_build_object(
            'project_count', cardinality(scope.projects),
            'workflow_count',
            (SELECT count(*) FROM public.workflow_definitions AS d
             WHERE d.project_id = ANY (scope.projects)),
            'lifetime', metrics.lifetime_json(
                sum(success_count), sum(failure_count), sum(canceled_count),
                sum(duration_sum_ms)),
            'range', metrics.range_json(range.since, range.until),
            'period', period, 'last_updated', max(last_updated))
        FROM metrics.workflow_run_metrics
        WHERE project_id = ANY (scope.projects));
END $$;

CREATE FUNCTION metrics.api_workflow(request jsonb) RETURNS json
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp SET timezone = 'UTC'
SET plan_cache_mode = force_generic_plan SET jit = off
AS $$
DECLARE
    scope record := metrics.asked_scope(request);
    range record := metrics.asked_range(
        metrics.asked_time(request, 'start_date'),
        coalesce(metrics.asked_time(request, 'end_date'), now()), 'hour');
BEGIN
    IF scope.workflow IS NULL THEN
        PERFORM metrics.refuse('workflow_id', 'is missing',
                               'the UUID of a workflow');
    ELSIF NOT scope.known THEN
        RETURN NULL;
    END IF;
    RETURN (
        SELECT json_build_object(
            'workflow', metrics.workflow_json(d),
            'lifetime', metrics.lifetime_json(
                t.success_count, t.failure_count, t.canceled_count,
                t.duration_sum_ms),
            'range', metrics.range_json(range.since, range.until),
            'period', metrics.period_json(scope.projects, scope.workflow,
                                          range.since, range.until),
            'recent', metrics.recent_json(v),
            'steps', (
                SELECT coalesce(json_agg(json_build_object(
                    'node_id', node_id, 'node_type', nullif(node_type, ''),
                    'step_count', step_count, 'attempt_count', attempt_count,
                    'failure_count', failure_count,
                    'average_duration',
                    metrics.milliseconds(average_duration),
                    'median_duration',
                    metrics.milliseconds(median_duration::numeric),
                    'p95_duration',
                    metrics.milliseconds(p95_duration::numeric),
                    'p99_duration',
                    metrics.milliseconds(p99_duration::numeric))
                    ORDER BY attempt_count DESC, node_id), '[]')
                FROM (SELECT * FROM metrics.mv_step_latency
                      WHERE workflow_id = d.id AND project_id = d.project_id
                      ORDER BY attempt_count DESC, node_id LIMIT 100) AS s),
            'failures', (
                SELECT coalesce(json_agg(json_build_object(
                    'node_id', node_id, 'error_class', error_class,
                    'failures_1h', failures_1h, 'failures_24h', failures_24h,
                    'share', metrics.ratio(share, 1))
                    ORDER BY failures_24h DESC, node_id, error_class), '[]')
                FROM (SELECT * FROM metrics.mv_failure_hotspots
                      WHERE workflow_id = d.id AND project_id = d.project_id
                      ORDER BY failures_24h DESC, node_id, error_class
                      LIMIT 100) AS f),
            'last_updated', t.last_updated)
        FROM public.workflow_definitions AS d
        LEFT JOIN metrics.workflow_run_metrics AS t
            ON t.workflow_id = d.id AND (t.project_id = d.project_id) IS TRUE
        LEFT JOIN metrics.mv_workflow_metrics AS v
            ON v.workflow_id = d.id AND (v.project_id = d.project_id) IS TRUE
        WHERE d.id = scope.workflow AND d.project_id = ANY (scope.projects));
END $$;

-- Refused unless granted here, whatever default privileges gave to whom.
SELECT metrics.revoke_functions(
    'ratio', 'milliseconds', 'sums_json', 'lifetime_json',
    'window_json', 'recent_json', 'workflow_json', 'range_json', 'period_json',
    'api_execution_times', 'api_overview', 'api_workflow');
GRANT EXECUTE ON FUNCTION metrics.api_execution_times(jsonb),
    metrics.api_overview(jsonb), metrics.api_workflow(jsonb)
    TO meshhook_operator;
DO $$
BEGIN
    IF to_regrole('authenticated') IS NOT NULL THEN
        GRANT EXECUTE ON FUNCTION metrics.api_execution_times(jsonb),
            metrics.api_overview(jsonb), metrics.api_workflow(jsonb)
            TO authenticated;
    END IF;
END $$;
