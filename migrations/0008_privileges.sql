-- Privileges, all of them, so that who may do what is one page to review.
-- Refused unless granted here: functions lose the EXECUTE that PUBLIC has by
-- default, and Supabase's tenant roles get nothing at all.

REVOKE ALL ON SCHEMA metrics FROM PUBLIC;
REVOKE ALL ON ALL TABLES IN SCHEMA metrics FROM PUBLIC;
REVOKE ALL ON ALL FUNCTIONS IN SCHEMA metrics FROM PUBLIC;

DO $$
DECLARE
    tenant_role text;
BEGIN
    FOR tenant_role IN
        SELECT rolname FROM pg_roles
        WHERE rolname IN ('anon', 'authenticated', 'service_role')
    LOOP
        EXECUTE format('REVOKE ALL ON SCHEMA metrics FROM %1$I;'
                       'REVOKE ALL ON ALL TABLES IN SCHEMA metrics FROM %1$I;'
                       'REVOKE ALL ON ALL FUNCTIONS IN SCHEMA metrics FROM %1$I',
                       tenant_role);
    END LOOP;
END $$;

-- meshhook_exporter reads aggregates and calls the worker's functions.
GRANT USAGE ON SCHEMA metrics TO meshhook_exporter;
GRANT SELECT ON metrics.schema_migrations, metrics.workflow_counters,
    metrics.workflow_names, metrics.active_runs, metrics.mv_workflow_metrics,
    metrics.fold_state, metrics.worker_tasks, metrics.refresh_log,
    metrics.backfill_state
    TO meshhook_exporter;
GRANT EXECUTE ON FUNCTION metrics.duration_bounds_ms(),
    metrics.pending_facts(int), metrics.fold(int),
    metrics.refresh_if_due(float8, interval), metrics.maintain(),
    metrics.record_task(text, timestamptz, bigint, text)
    TO meshhook_exporter;

-- Where Supabase keeps pg_stat_statements in a schema of its own, the role
-- needs to look into that schema. A warning, as workflow metrics do without.
DO $$
DECLARE
    extension_schema text;
BEGIN
    SELECT nspname INTO extension_schema
    FROM pg_extension JOIN pg_namespace AS n ON n.oid = extnamespace
    WHERE extname = 'pg_stat_statements';
    IF NOT has_schema_privilege('meshhook_exporter', extension_schema, 'USAGE')
    THEN
        EXECUTE format('GRANT USAGE ON SCHEMA %I TO meshhook_exporter',
                       extension_schema);
    END IF;
EXCEPTION WHEN insufficient_privilege THEN
    RAISE WARNING 'meshhook_exporter may not use schema %', extension_schema
        USING HINT = format('as its owner run: GRANT USAGE ON SCHEMA %I '
                            'TO meshhook_exporter', extension_schema);
END $$;
