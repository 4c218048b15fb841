-- Who may do what, all of it, after the files before. Refused unless granted
-- here, whatever default privileges gave to whom:
--
--   anon               nothing
--   authenticated      views and functions named my_…, and the live counts
--   meshhook_api       may become authenticated
--   meshhook_exporter  reads aggregates, calls the worker's functions
--
-- Every SECURITY DEFINER function looks for names in pg_catalog first; left to
-- the default, a caller's temporary table or type of that name comes before.

ALTER FUNCTION metrics.record_finished_run()
    SET search_path = pg_catalog, pg_temp;

DO $$
DECLARE
    held record;
BEGIN
    FOR held IN
        SELECT DISTINCT kind, object, grantee
        FROM (SELECT CASE WHEN relkind = 'S' THEN 'SEQUENCE' ELSE 'TABLE' END
                         AS kind,
                     c.oid::regclass::text AS object, relowner AS owner,
                     a.grantee
              FROM pg_class AS c, aclexplode(relacl) AS a
              WHERE relnamespace = 'metrics'::regnamespace
                AND relkind IN ('r', 'p', 'v', 'm', 'S')
              UNION ALL
              SELECT 'FUNCTION', p.oid::regprocedure::text, proowner, a.grantee
              FROM pg_proc AS p,
                   aclexplode(coalesce(proacl, acldefault('f', proowner))) AS a
              WHERE pronamespace = 'metrics'::regnamespace
              UNION ALL
              SELECT 'SCHEMA', nspname, nspowner, a.grantee
              FROM pg_namespace, aclexplode(nspacl) AS a
              WHERE nspname = 'metrics') AS all_of_them
        WHERE grantee <> owner
    LOOP
        EXECUTE format('REVOKE ALL ON %s %s FROM %s', held.kind, held.object,
                       CASE WHEN held.grantee = 0 THEN 'PUBLIC'
                            ELSE held.grantee::regrole::text END);
    END LOOP;
END $$;

GRANT USAGE ON SCHEMA metrics TO meshhook_exporter;
GRANT SELECT ON metrics.schema_migrations, metrics.workflow_counters,
    metrics.workflow_names, metrics.active_runs, metrics.step_metrics,
    metrics.step_totals, metrics.mv_workflow_metrics, metrics.mv_step_latency,
    metrics.mv_failure_hotspots, metrics.fold_state, metrics.worker_tasks,
    metrics.refresh_log, metrics.backfill_state, metrics.retention
    TO meshhook_exporter;
GRANT EXECUTE ON FUNCTION metrics.duration_bounds_ms(),
    metrics.pending_facts(int), metrics.pending_facts(text, int),
    metrics.fold(int), metrics.fold_trends(int),
    metrics.fold_steps(int, interval),
    metrics.refresh_if_due(float8, interval), metrics.maintain(),
    metrics.record_task(text, timestamptz, bigint, text)
    TO meshhook_exporter;

DO $$
BEGIN
    IF to_regrole('authenticated') IS NULL THEN
        RETURN;  -- no Supabase, hence no tenants to serve
    END IF;
    GRANT USAGE ON SCHEMA metrics TO authenticated;
    GRANT SELECT ON metrics.workflow_run_metrics, metrics.my_workflow_metrics,
        metrics.my_step_latency, metrics.my_failure_hotspots TO authenticated;
    GRANT EXECUTE ON FUNCTION metrics.my_projects(), metrics.my_overview(),
        metrics.my_execution_times(uuid, timestamptz, timestamptz),
        metrics.my_trend(text, timestamptz, timestamptz, uuid)
        TO authenticated;
END $$;

DO $$
BEGIN
    IF to_regrole('authenticated') IS NOT NULL
       AND NOT pg_has_role('meshhook_api', 'authenticated', 'MEMBER')
    THEN
        GRANT authenticated TO meshhook_api;
    END IF;
EXCEPTION WHEN insufficient_privilege THEN
    RAISE WARNING 'meshhook_api may not become authenticated, so it cannot '
                  'serve tenants'
        USING HINT = 'as an administrator run: '
                     'GRANT authenticated TO meshhook_api';
END $$;
