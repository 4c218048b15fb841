-- What the API answers about thresholds (0027). These functions run with the
-- caller's rights, so that row security decides. What only operators may do is
-- raised as MH403 to those who see the threshold, but may not change it.

CREATE FUNCTION metrics.threshold_json(t metrics.alert_thresholds)
RETURNS jsonb LANGUAGE sql STABLE AS $$
    SELECT jsonb_build_object(
        'threshold_id', t.threshold_id, 'scope', t.scope,
        'project_id', t.project_id, 'workflow_id', t.workflow_id,
        'metric', t.metric, 'warning', t.warning, 'critical', t.critical,
        'window', t."window", 'enabled', t.enabled,
        'created_at', t.created_at, 'updated_at', t.updated_at,
        'updated_by', CASE WHEN t.scope <> 'global' OR metrics.is_operator()
                           THEN t.updated_by END)
$$;

-- In order of scope, ids and metric; a key of those is what a cursor holds.
CREATE FUNCTION metrics.api_alerts(request jsonb) RETURNS jsonb
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp SET timezone = 'UTC' SET jit = off
AS $$
DECLARE
    of_scope  text := metrics.asked_word(request, 'scope',
                                         '{global,project,workflow}');
    of_metric text := metrics.asked_word(
        request, 'metric',
        '{failure_ratio,p95_duration,minimum_runs,stuck_runs}');
    resolved  boolean := metrics.asked_boolean(request, 'resolved', false);
    most      int := metrics.asked_integer(request, 'limit', 1, 200, 50);
    after     text := metrics.asked_place(request, 'alerts') ->> 'w';
    project   uuid := metrics.asked_uuid(request, 'project_id');
    workflow  uuid := metrics.asked_uuid(request, 'workflow_id');
    scope     record := metrics.asked_scope(request);
BEGIN
    IF resolved AND workflow IS NULL THEN
        PERFORM metrics.refuse('workflow_id', 'is missing',
                               'the UUID of the workflow to resolve for');
    ELSIF NOT scope.known THEN
        RETURN NULL;
    END IF;
    RETURN (
        WITH held AS (
            SELECT DISTINCT ON (CASE WHEN resolved THEN t.metric
                                     ELSE t.threshold_id::text END)
                   t AS threshold,
                   concat(CASE t.scope WHEN 'global' THEN 0
                                       WHEN 'project' THEN 1 ELSE 2 END,
                          t.project_id, t.workflow_id, t.metric)
                       COLLATE "C" AS key
            FROM metrics.alert_thresholds AS t
            WHERE CASE WHEN resolved
                       THEN t.scope = 'global' OR t.workflow_id = workflow
                            OR (t.scope = 'project'
                                AND t.project_id = ANY (scope.projects))
                       ELSE (project IS NULL OR t.project_id = project)
                            AND (workflow IS NULL OR t.workflow_id = workflow)
                       END
            ORDER BY CASE WHEN resolved THEN t.metric
                          ELSE t.threshold_id::text END,
                     t.workflow_id IS NULL, t.project_id IS NULL
        ), placed AS (
            SELECT row_number() OVER (ORDER BY key) AS place, threshold, key
            FROM held
            WHERE (of_scope IS NULL OR (threshold).scope = of_scope)
              AND (of_metric IS NULL OR (threshold).metric = of_metric)
              AND (after IS NULL OR key > after COLLATE "C")
            ORDER BY key LIMIT most + 1
        )
        SELECT jsonb_build_object(
            'items', coalesce(jsonb_agg(metrics.threshold_json(threshold)
                                        ORDER BY place)
                              FILTER (WHERE place <= most), '[]'),
            'next_cursor',
            CASE WHEN count(*) > most
                 THEN metrics.new_cursor(request, 'alerts', jsonb_build_object(
                     'w', max(key) FILTER (WHERE place = most))) END)
        FROM placed);
END $$;

-- A value of a threshold, NULL where there is none.
CREATE FUNCTION metrics.asked_value(
    request jsonb, parameter text, metric text)
RETURNS float8 LANGUAGE plpgsql STABLE AS $$
DECLARE
    given jsonb := nullif(request -> parameter, 'null');
    value numeric := CASE WHEN jsonb_typeof(given) = 'number'
                          THEN given::text END;
BEGIN
    IF given IS NOT NULL AND NOT coalesce(
        CASE metric
            WHEN 'failure_ratio' THEN value BETWEEN 1e-12 AND 1
            WHEN 'p95_duration' THEN value BETWEEN 1e-6 AND 1e12
            ELSE value BETWEEN 1 AND 1e12 AND value = trunc(value) END,
        false)
    THEN
        PERFORM metrics.refuse(
            parameter, 'is not in range',
            CASE metric
                WHEN 'failure_ratio' THEN 'a ratio above 0 and up to 1'
                WHEN 'p95_duration'
                THEN 'milliseconds, above 0 and up to 1000000000000'
                ELSE 'a whole number of runs, 1 or more' END);
    END IF;
    RETURN value;
END $$;

CREATE FUNCTION metrics.api_set_alert(request jsonb) RETURNS jsonb
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp SET timezone = 'UTC'
AS $$
#variable_conflict use_column
DECLARE
    of_scope  text := metrics.asked_word(request, 'scope',
                                         '{global,project,workflow}');
    of_metric text := metrics.asked_word(
        request, 'metric',
        '{failure_ratio,p95_duration,minimum_runs,stuck_runs}');
    of_window text := metrics.asked_word(request, 'window', '{1h,24h,7d}',
                                         '1h');
    is_enabled boolean := metrics.asked_boolean(request, 'enabled', true);
    of_project  uuid := metrics.asked_uuid(request, 'project_id');
    of_workflow uuid := metrics.asked_uuid(request, 'workflow_id');
    warns       float8 := metrics.asked_value(request, 'warning', of_metric);
    is_critical float8 := metrics.asked_value(request, 'critical', of_metric);
    needed      text := of_scope || '_id';
    asked       record := metrics.asked_scope(request);
    written     metrics.alert_thresholds;
    name        text;
BEGIN
    FOREACH name IN ARRAY '{scope,metric}'::text[] LOOP
        IF request ->> name IS NULL THEN
            PERFORM metrics.refuse(name, 'is missing',
                                   'one of those there are');
        END IF;
    END LOOP;
    FOREACH name IN ARRAY '{project_id,workflow_id}'::text[] LOOP
        IF request ->> name IS NULL AND name = needed THEN
            PERFORM metrics.refuse(name, 'is missing', 'the UUID of the '
                                   || of_scope || ' that it is for');
        ELSIF request ->> name IS NOT NULL AND name <> needed THEN
            PERFORM metrics.refuse(name, 'is not for scope ' || of_scope,
                                   'leave it out, or another scope');
        END IF;
    END LOOP;
    IF is_enabled AND warns IS NULL AND is_critical IS NULL THEN
        PERFORM metrics.refuse('warning', 'is missing, as is critical',
                               'at least one of the two');
    ELSIF (CASE of_metric WHEN 'minimum_runs' THEN is_critical > warns
                          ELSE is_critical < warns END) THEN
        PERFORM metrics.refuse('critical', 'is milder than warning',
            CASE of_metric WHEN 'minimum_runs' THEN 'at most that of warning'
                           ELSE 'at least that of warning' END);
    ELSIF of_scope = 'global' AND NOT metrics.is_operator() THEN
        RAISE EXCEPTION 'only operators set global thresholds'
            USING ERRCODE = 'MH403';
    ELSIF NOT asked.known THEN
        RETURN NULL;
    END IF;
    INSERT INTO metrics.alert_thresholds AS t
        (scope, project_id, workflow_id, metric, warning, critical, "window",
         enabled)
    VALUES (of_scope, of_project, of_workflow, of_metric, warns, is_critical,
            of_window, is_enabled)
    ON CONFLICT (scope, metric,
                 coalesce(workflow_id, project_id,
                          '00000000-0000-0000-0000-000000000000'))
    DO UPDATE SET warning = excluded.warning, critical = excluded.critical,
                  "window" = excluded."window", enabled = excluded.enabled
    RETURNING t.* INTO written;
    RETURN metrics.threshold_json(written);
END $$;

CREATE FUNCTION metrics.api_remove_alert(request jsonb) RETURNS jsonb
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp SET timezone = 'UTC'
AS $$
DECLARE
    which uuid := metrics.asked_uuid(request, 'threshold_id');
BEGIN
    IF which IS NULL THEN
        PERFORM metrics.refuse('threshold_id', 'is missing',
                               'the threshold_id of the threshold');
    END IF;
    DELETE FROM metrics.alert_thresholds AS t WHERE t.threshold_id = which;
    IF FOUND THEN
        RETURN '{}';
    ELSIF EXISTS (SELECT FROM metrics.alert_thresholds AS t
                  WHERE t.threshold_id = which AND t.scope = 'global') THEN
        RAISE EXCEPTION 'only operators remove global thresholds'
            USING ERRCODE = 'MH403';
    END IF;
    RETURN NULL;
END $$;

-- Refused unless granted here, whatever default privileges gave to whom.
SELECT metrics.revoke_all(name)
FROM unnest('{alert_thresholds,alert_threshold_changes,
              resolved_alert_thresholds}'::text[]) AS name;
SELECT metrics.revoke_functions(
    'caller', 'complete_threshold', 'note_threshold_change', 'threshold_json',
    'asked_value', 'api_alerts', 'api_set_alert', 'api_remove_alert');

GRANT SELECT ON metrics.resolved_alert_thresholds TO meshhook_exporter;
GRANT SELECT ON metrics.alert_threshold_changes TO meshhook_operator;
DO $$
DECLARE
    caller text;
BEGIN
    FOR caller IN
        SELECT rolname FROM pg_roles
        WHERE rolname IN ('authenticated', 'meshhook_operator')
    LOOP
        EXECUTE format($sql$
            GRANT SELECT, DELETE,
                INSERT (scope, project_id, workflow_id, metric, warning,
                        critical, "window", enabled),
                UPDATE (warning, critical, "window", enabled)
                ON metrics.alert_thresholds TO %1$I;
            GRANT EXECUTE ON FUNCTION
                metrics.api_alerts(jsonb), metrics.api_set_alert(jsonb),
                metrics.api_remove_alert(jsonb),
                metrics.is_operator(), metrics.my_projects(),
                metrics.threshold_json(metrics.alert_thresholds),
                metrics.asked_value(jsonb, text, text),
                metrics.refuse(text, text, text),
                metrics.asked_uuid(jsonb, text),
                metrics.asked_time(jsonb, text),
                metrics.asked_word(jsonb, text, text[], text),
                metrics.asked_integer(jsonb, text, int, int, int),
                metrics.asked_boolean(jsonb, text, boolean),
                metrics.asked_scope(jsonb), metrics.question(jsonb, text),
                metrics.new_cursor(jsonb, text, jsonb),
                metrics.asked_place(jsonb, text)
                TO %1$I $sql$, caller);
    END LOOP;
END $$;
