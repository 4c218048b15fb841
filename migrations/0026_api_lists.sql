-- What the API's lists answer, page by page, and what the live stream is made
-- of; see 0025 for what holds for all of these functions.

-- Those workflows' sums of a range.
CREATE FUNCTION metrics.workflow_sums(
    workflows uuid[], projects uuid[], since timestamptz, until timestamptz)
RETURNS TABLE (workflow_id uuid, succeeded numeric, failed numeric,
               canceled numeric, total_ms numeric, min_ms bigint, max_ms bigint)
LANGUAGE plpgsql STABLE
SET plan_cache_mode = force_generic_plan SET jit = off
AS $$
#variable_conflict use_column
DECLARE
    parts metrics.range_parts := metrics.parts_of_range(since, until);
BEGIN
    RETURN QUERY
    SELECT workflow_id, sum(success_count), sum(failure_count),
           sum(canceled_count), sum(duration_sum_ms), min(duration_min_ms),
           max(duration_max_ms)
    FROM metrics.rows_of_workflows(workflows, projects, parts)
    GROUP BY workflow_id;
END $$;

-- What a workflow is sorted by: a number, whose sign is that of the order, or a
-- name.
CREATE TYPE metrics.sort_key AS (id uuid, n numeric, w text);

-- By which of those comes next after a place, if there is one, as many as
-- asked for. Without a value comes last.
CREATE FUNCTION metrics.next_keys(
    keys metrics.sort_key[], after metrics.sort_key, sign int, most int)
RETURNS metrics.sort_key[] LANGUAGE sql STABLE AS $$
    SELECT array(
        SELECT ROW(id, n, w)::metrics.sort_key FROM unnest(keys)
        WHERE CASE
            WHEN (after).id IS NULL THEN true
            WHEN (after).w IS NOT NULL
            THEN (w = (after).w AND id > (after).id)
                 OR CASE WHEN sign > 0 THEN w > (after).w COLLATE "C"
                         ELSE w < (after).w COLLATE "C" END
            WHEN (after).n IS NULL THEN n IS NULL AND id > (after).id
            ELSE n IS NULL OR n > (after).n
                 OR (n = (after).n AND id > (after).id) END
        ORDER BY n NULLS LAST, CASE WHEN sign > 0 THEN w END COLLATE "C",
                 CASE WHEN sign < 0 THEN w END COLLATE "C" DESC, id
        LIMIT most)
$$;

-- Names are compared by their first 80 characters, so that a cursor has a
-- length.
CREATE FUNCTION metrics.api_summary(request jsonb) RETURNS json
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp SET timezone = 'UTC'
SET plan_cache_mode = force_generic_plan SET jit = off
AS $$
DECLARE
    scope     record := metrics.asked_scope(request);
    sort      text := metrics.asked_word(
        request, 'sort', '{name,execution_count,failure_count,failure_rate,'
                         'average_duration,p95_duration,last_updated}',
        'execution_count');
    sign      int := CASE metrics.asked_word(request, 'order', '{asc,desc}',
                                             'desc')
                     WHEN 'desc' THEN -1 ELSE 1 END;
    most      int := metrics.asked_integer(request, 'limit', 1, 200, 50);
    wanted    text := metrics.asked_word(request, 'status',
                                         '{draft,published,archived}');
    place     jsonb := metrics.asked_place(request, 'summary');
    ended     timestamptz := coalesce(
        (place ->> 'u')::timestamptz, metrics.asked_time(request, 'end_date'),
        now());
    range     record := metrics.asked_range(
        metrics.asked_time(request, 'start_date'), ended, 'hour');
    workflows uuid[];
    keys      metrics.sort_key[];
BEGIN
    IF NOT scope.known THEN
        RETURN NULL;
    END IF;
    workflows := array(
        SELECT d.id FROM public.workflow_definitions AS d
        WHERE d.project_id = ANY (scope.projects)
          AND (scope.workflow IS NULL OR d.id = scope.workflow)
          AND (wanted IS NULL OR d.status = wanted));
    -- The range's sums of all are made only where they are the order.
    IF sort IN ('name', 'p95_duration', 'last_updated') THEN
        keys := array(
            SELECT ROW(d.id, sign * CASE sort
                           WHEN 'p95_duration' THEN v.p95_duration_24h::numeric
                           WHEN 'last_updated'
                           THEN extract(epoch FROM t.last_updated)::numeric END,
                       CASE WHEN sort = 'name'
                            THEN left(lower(d.name), 80) END
                   )::metrics.sort_key
            FROM public.workflow_definitions AS d
            LEFT JOIN metrics.workflow_run_metrics AS t
                ON t.workflow_id = d.id
                AND (t.project_id = d.project_id) IS TRUE
            LEFT JOIN metrics.mv_workflow_metrics AS v
                ON v.workflow_id = d.id
                AND (v.project_id = d.project_id) IS TRUE
            WHERE d.id = ANY (workflows));
    ELSE
        keys := array(
            SELECT ROW(w.id, sign * CASE sort
                           WHEN 'execution_count'
                           THEN coalesce(succeeded + failed + canceled, 0)
                           WHEN 'failure_count' THEN coalesce(failed, 0)
                           WHEN 'failure_rate'
                           THEN failed / nullif(succeeded + failed, 0)
                           ELSE total_ms / nullif(succeeded + failed, 0) END,
                       NULL)::metrics.sort_key
            FROM unnest(workflows) AS w (id)
            LEFT JOIN metrics.workflow_sums(workflows, scope.projects,
                                            range.since, range.until) AS s
                ON s.workflow_id = w.id);
    END IF;
    keys := metrics.next_keys(
        keys, ROW(place ->> 'i', place ->> 'n', place ->> 'w')
              ::metrics.sort_key, sign, most + 1);
    RETURN (
        SELECT json_build_object(
            'range', metrics.range_json(range.since, range.until),
            'items', coalesce(json_agg(json_build_object(
                'workflow', metrics.workflow_json(d),
                'lifetime', metrics.lifetime_json(
                    t.success_count, t.failure_count, t.canceled_count,
                    t.duration_sum_ms),
                'period', metrics.sums_json(s.succeeded, s.failed, s.canceled,
                                            s.total_ms, s.min_ms, s.max_ms),
                'recent', metrics.recent_json(v),
                'last_updated', t.last_updated) ORDER BY k.place), '[]'),
            'next_cursor',
            CASE WHEN cardinality(keys) > most
                 THEN metrics.new_cursor(request, 'summary', jsonb_build_object(
                     'u', ended, 'i', keys[most].id, 'n', keys[most].n::text,
                     'w', keys[most].w)) END)
        FROM unnest(keys[:most]) WITH ORDINALITY AS k (id, n, w, place)
        JOIN public.workflow_definitions AS d ON d.id = k.id
        LEFT JOIN metrics.workflow_sums(
            array(SELECT id FROM unnest(keys[:most])), scope.projects,
            range.since, range.until) AS s ON s.workflow_id = k.id
        LEFT JOIN metrics.workflow_run_metrics AS t
            ON t.workflow_id = k.id AND (t.project_id = d.project_id) IS TRUE
        LEFT JOIN metrics.mv_workflow_metrics AS v
            ON v.workflow_id = k.id AND (v.project_id = d.project_id) IS TRUE);
END $$;

-- Buckets in order of time. Those of one page are looked for as far as a page
-- reaches where none is empty; where some are, in all of the range.
CREATE FUNCTION metrics.api_trend(request jsonb) RETURNS json
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp SET timezone = 'UTC'
SET plan_cache_mode = force_generic_plan SET jit = off
AS $$
DECLARE
    scope  record := metrics.asked_scope(request);
    bucket text := metrics.asked_word(request, 'bucket', '{hour,day}', 'day');
    most   int := metrics.asked_integer(request, 'limit', 1, 1000, 1000);
    after  jsonb := metrics.asked_place(request, 'trend');
    ended  timestamptz := coalesce(
        (after ->> 'u')::timestamptz, metrics.asked_time(request, 'end_date'),
        now());
    range  record := metrics.asked_range(
        metrics.asked_time(request, 'start_date'), ended, bucket);
    length interval := ('1 ' || bucket)::interval;
    since  timestamptz := greatest(
        range.since, (after ->> 'b')::timestamptz + length);
    reach  timestamptz := least(range.until, since + (most + 1) * length);
    found  bigint;
    answer json;
BEGIN
    IF NOT scope.known THEN
        RETURN NULL;
    END IF;
    LOOP
        WITH buckets AS (
            SELECT bucket_start, sum(success_count) AS succeeded,
                   sum(failure_count) AS failed,
                   sum(canceled_count) AS canceled,
                   sum(duration_sum_ms) AS total_ms,
                   min(duration_min_ms) AS min_ms,
                   max(duration_max_ms) AS max_ms
            FROM (SELECT bucket_start, success_count, failure_count,
                         canceled_count, duration_sum_ms, duration_min_ms,
                         duration_max_ms
                  FROM metrics.project_metrics_daily
                  WHERE scope.workflow IS NULL AND bucket = 'day'
                    AND project_id = ANY (scope.projects)
                    AND bucket_start >= since AND bucket_start < reach
                  UNION ALL
                  SELECT bucket_start, success_count, failure_count,
                         canceled_count, duration_sum_ms, duration_min_ms,
                         duration_max_ms
                  FROM metrics.project_metrics_hourly
                  WHERE scope.workflow IS NULL AND bucket = 'hour'
                    AND project_id = ANY (scope.projects)
                    AND bucket_start >= since AND bucket_start < reach
                  UNION ALL
                  SELECT bucket_start, success_count, failure_count,
                         canceled_count, duration_sum_ms, duration_min_ms,
                         duration_max_ms
                  FROM metrics.workflow_metrics_daily
                  WHERE bucket = 'day' AND workflow_id = scope.workflow
                    AND (project_id = ANY (scope.projects)) IS TRUE
                    AND bucket_start >= since AND bucket_start < reach
                  UNION ALL
                  SELECT bucket_start, success_count, failure_count,
                         canceled_count, duration_sum_ms, duration_min_ms,
                         duration_max_ms
                  FROM metrics.workflow_metrics_hourly
                  WHERE bucket = 'hour' AND workflow_id = scope.workflow
                    AND (project_id = ANY (scope.projects)) IS TRUE
                    AND bucket_start >= since AND bucket_start < reach)
                 AS rows
            GROUP BY bucket_start
            ORDER BY bucket_start LIMIT most + 1
        ), placed AS (
            SELECT row_number() OVER (ORDER BY bucket_start) AS place,
                   count(*) OVER () AS found, *
            FROM buckets
        )
        SELECT coalesce(max(p.found), 0), json_build_object(
            'bucket', bucket,
            'range', metrics.range_json(range.since, range.until),
            'items', coalesce(json_agg(json_build_object(
                'bucket_start', bucket_start,
                'sums', metrics.sums_json(succeeded, failed, canceled,
                                          total_ms, min_ms, max_ms))
                ORDER BY place) FILTER (WHERE place <= most), '[]'),
            'next_cursor',
            CASE WHEN max(p.found) > most
                 THEN metrics.new_cursor(request, 'trend', jsonb_build_object(
                     'u', ended,
                     'b', max(bucket_start) FILTER (WHERE place = most))) END)
        INTO found, answer
        FROM placed AS p;
        EXIT WHEN found > most OR reach >= range.until;
        reach := range.until;
    END LOOP;
    RETURN answer;
END $$;

-- Every queue there is: pgmq's, and pg-boss's by the states of its jobs. For
-- operators.
CREATE FUNCTION metrics.api_queue_depth(request jsonb) RETURNS jsonb
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    items jsonb := '[]';
BEGIN
    IF to_regclass('pgmq.meta') IS NOT NULL THEN
        items := (
            SELECT coalesce(jsonb_agg(jsonb_build_object(
                'queue_name', queue_name, 'visible_count', visible_count,
                'in_flight_count', in_flight_count,
                'delayed_count', delayed_count,
                'is_lower_bound', is_lower_bound,
                'oldest_age', metrics.milliseconds(
                    oldest_age_seconds::numeric * 1000))
                ORDER BY queue_name), '[]')
            FROM metrics.queues());
    END IF;
    RETURN jsonb_build_object('items', items || (
        SELECT coalesce(jsonb_agg(jsonb_build_object(
            'queue_name', queue_name, 'visible_count', waiting,
            'in_flight_count', active, 'delayed_count', 0,
            'is_lower_bound', is_lower_bound,
            'oldest_age', metrics.milliseconds(oldest::numeric * 1000))
            ORDER BY queue_name), '[]')
        FROM (SELECT queue_name, bool_or(is_lower_bound) AS is_lower_bound,
                     coalesce(sum(job_count) FILTER (
                         WHERE state IN ('created', 'retry')), 0) AS waiting,
                     coalesce(sum(job_count) FILTER (
                         WHERE state = 'active'), 0) AS active,
                     max(oldest_age_seconds) AS oldest
              FROM metrics.boss_jobs() GROUP BY queue_name) AS jobs));
END $$;

-- The caller's projects, as the stream must know them; JSON's null for an
-- operator, which means all.
CREATE FUNCTION metrics.api_projects() RETURNS jsonb
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN CASE WHEN metrics.is_operator() THEN 'null'::jsonb
                ELSE to_jsonb(metrics.seen_projects()) END;
END $$;

-- Which workflows' counts have changed since `seen`, what a call before gave:
-- {"seen": "…", "changes": [{"workflow_id": …}, …]}. The first call asks with
-- NULL and is given no changes. Each change is given once, however long its
-- transaction took to commit: what is remembered is a snapshot, as by a fold.
--
-- A time would not do. last_updated is when the workflow's latest run finished,
-- by MeshHook's clock: the count of a run that ended earlier, but was committed
-- or folded later, changes the row and leaves last_updated as it was.
--
-- A row's xmin has no epoch: it is that of the last transaction id with the
-- same 32 bits. A row that has not been touched for four billion transactions
-- may be given once more than it should. Fold() has no subtransactions, whose
-- ids a snapshot would not tell apart.
CREATE FUNCTION metrics.api_changes(seen text) RETURNS jsonb
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp SET timezone = 'UTC' SET jit = off
AS $$
DECLARE
    before   pg_snapshot := seen;
    now_seen pg_snapshot := pg_current_snapshot();
    next     bigint := pg_snapshot_xmax(now_seen)::text::bigint;
    oldest   bigint := pg_snapshot_xmin(before)::text::bigint;
BEGIN
    RETURN jsonb_build_object('seen', now_seen, 'changes', (
        SELECT coalesce(jsonb_agg(jsonb_build_object(
            'workflow_id', workflow_id, 'project_id', project_id,
            'execution_count', success_count + failure_count + canceled_count,
            'success_count', success_count, 'failure_count', failure_count,
            'canceled_count', canceled_count, 'last_updated', last_updated)),
            '[]')
        FROM (SELECT *, next - 1 - ((next - 1 - xmin::text::bigint)
                                    & 4294967295) AS changed_by
              FROM metrics.workflow_run_metrics OFFSET 0) AS t
        WHERE changed_by >= oldest
          AND NOT pg_visible_in_snapshot(changed_by::text::xid8, before)));
END $$;

-- Refused unless granted here, whatever default privileges gave to whom.
SELECT metrics.revoke_functions(
    'workflow_sums', 'next_keys', 'api_summary', 'api_trend', 'api_queue_depth',
    'api_projects', 'api_changes');
GRANT EXECUTE ON FUNCTION metrics.api_summary(jsonb), metrics.api_trend(jsonb),
    metrics.api_queue_depth(jsonb), metrics.api_projects(),
    metrics.api_changes(text) TO meshhook_operator;
DO $$
BEGIN
    IF to_regrole('authenticated') IS NOT NULL THEN
        GRANT EXECUTE ON FUNCTION metrics.api_summary(jsonb),
            metrics.api_trend(jsonb), metrics.api_projects() TO authenticated;
    END IF;
END $$;
