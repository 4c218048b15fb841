-- What makes the numbers exact for the past, and proves that they are: runs
-- from before the installation, a check against the facts, and a rebuild.

-- Adds the runs that finished before the trigger (0007) was there, in batches
-- that each commit alone, while MeshHook goes on: looks at the next
-- `batch_size` runs in the order of their ids and returns how many it looked
-- at, 0 once there are none left. What finished since the trigger was there has
-- a fact, by the same transaction; so a finished run that has none finished
-- before, whatever its clock says. Such a fact has the id 0. Two questions, as
-- each has its own index: the partial one of 0007, and the one on created_at.
-- A run that was taken up again before its turn came is found by what was noted
-- of that (0017), in the end. What finished since, in a month whose facts have
-- been dropped, had a fact.
CREATE OR REPLACE FUNCTION metrics.backfill(batch_size int DEFAULT 10000)
RETURNS int LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET plan_cache_mode = force_custom_plan SET jit = off
AS $$
DECLARE
    state   metrics.backfill_state;
    dropped timestamptz := (SELECT dropped_before FROM metrics.retention
                            WHERE table_name = 'execution_time_statistics');
    seen    int;
    added   int;
    last_id uuid;
BEGIN
    SELECT * INTO STRICT state FROM metrics.backfill_state FOR UPDATE;
    IF state.finished_at IS NOT NULL THEN
        RETURN 0;
    END IF;
    IF NOT metrics.is_adopted() THEN
        RAISE EXCEPTION 'the data layer was restored from another cluster and '
                        'must be adopted first'
            USING ERRCODE = 'object_not_in_prerequisite_state',
                  HINT = 'call metrics.fold() until it finds facts, then this '
                         'again';
    END IF;
    IF state.last_run_id = '00000000-0000-0000-0000-000000000000' THEN
        PERFORM metrics.ensure_partitions(
            2, (SELECT greatest(coalesce(min(finished_at), now()),
                                now() - interval '5 years')
                FROM public.workflow_runs WHERE isfinite(finished_at)));
    END IF;
    WITH batch AS MATERIALIZED (
        SELECT id, project_id, workflow_id, status,
               coalesce(started_at, created_at) AS began_at,
               coalesce(CASE WHEN isfinite(finished_at) THEN finished_at END,
                        updated_at, created_at) AS ended_at
        FROM public.workflow_runs
        WHERE id > state.last_run_id
        ORDER BY id LIMIT batch_size
    ), facts AS (
        INSERT INTO metrics.execution_time_statistics
            (id, project_id, workflow_id, run_id, status, execution_time_ms,
             created_at)
        OVERRIDING SYSTEM VALUE
        SELECT 0, coalesce(project_id, '00000000-0000-0000-0000-000000000000'),
               coalesce(workflow_id, '00000000-0000-0000-0000-000000000000'),
               id, status, metrics.run_duration_ms(began_at, ended_at),
               ended_at
        FROM batch
        WHERE status IN ('succeeded', 'failed', 'canceled')
          AND (ended_at < state.installed_at OR ended_at >= dropped)
          AND NOT EXISTS (
              SELECT FROM metrics.execution_time_statistics AS known
              WHERE known.run_id = batch.id
                AND known.created_at < state.installed_at)
          AND NOT EXISTS (
              SELECT FROM metrics.execution_time_statistics AS known
              WHERE known.run_id = batch.id
                AND known.created_at >= state.installed_at)
        RETURNING 1
    )
    SELECT (SELECT count(*) FROM batch), (SELECT count(*) FROM facts),
           (SELECT id FROM batch ORDER BY id DESC LIMIT 1)
    INTO seen, added, last_id;

    IF seen = 0 THEN
        WITH facts AS (
            INSERT INTO metrics.execution_time_statistics
                (id, project_id, workflow_id, run_id, status,
                 execution_time_ms, created_at)
            OVERRIDING SYSTEM VALUE
            SELECT DISTINCT ON (run_id)
                   0, project_id, workflow_id, run_id, status,
                   execution_time_ms, finished_at
            FROM metrics.run_reopenings AS r
            WHERE (r.finished_at < state.installed_at
                   OR r.finished_at >= dropped)
              AND NOT EXISTS (
                SELECT FROM metrics.execution_time_statistics AS known
                WHERE known.run_id = r.run_id AND known.id <= r.id)
            ORDER BY run_id, id
            RETURNING 1
        )
        SELECT count(*) INTO added FROM facts;
    END IF;

    UPDATE metrics.backfill_state
    SET last_run_id = coalesce(last_id, last_run_id),
        runs_added = runs_added + added,
        finished_at = CASE WHEN seen = 0 THEN clock_timestamp() END;
    RETURN seen;
END $$;

-- The facts that a consumer has taken, from months that were taken off too.
CREATE FUNCTION metrics.taken_facts(consumer_name text)
RETURNS SETOF metrics.execution_time_statistics
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp SET work_mem = '32MB'
AS $$
DECLARE
    source text;
BEGIN
    FOR source IN
        SELECT 'execution_time_statistics'
        UNION ALL
        SELECT partition FROM metrics.detached_partitions
        WHERE table_name = 'execution_time_statistics'
    LOOP
        RETURN QUERY EXECUTE format(
            'SELECT f.* FROM metrics.%I AS f, metrics.fold_state AS s '
            'WHERE s.consumer = $1 AND f.xact_id < s.next_xid '
            'AND f.xact_id <> ALL (s.in_progress)', source)
        USING consumer_name;
    END LOOP;
END $$;

-- From when on every fact that is in a trend table is still there: earlier
-- months may have lost their facts, or the table its buckets.
CREATE FUNCTION metrics.complete_since(trend_table text) RETURNS timestamptz
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT max(dropped_before) FROM metrics.retention
    WHERE table_name IN ('execution_time_statistics', trend_table)
$$;

-- Compares every aggregate of runs with the facts it was made of, and returns a
-- row for each figure that differs: none means that all is right. For an
-- operator; it reads all facts, some seconds for a million.
CREATE FUNCTION metrics.verify()
RETURNS TABLE (aggregate text, id uuid, bucket_start timestamptz, figure text,
               expected numeric, found numeric)
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp SET datestyle = 'ISO'
SET work_mem = '64MB' SET jit = off
AS $$
DECLARE
    trend metrics.trend_tables;
BEGIN
    IF NOT metrics.is_adopted() THEN
        RAISE EXCEPTION 'the data layer was restored from another cluster and '
                        'must be adopted first'
            USING ERRCODE = 'object_not_in_prerequisite_state',
                  HINT = 'call metrics.fold() until it finds facts, then this '
                         'again';
    END IF;
    RETURN QUERY EXECUTE format($sql$
        WITH expected AS (
            SELECT workflow_id, sum(success_count) AS success_count,
                   sum(failure_count) AS failure_count,
                   sum(canceled_count) AS canceled_count,
                   sum(duration_sum_ms) AS duration_sum_ms,
                   %s AS duration_buckets
            FROM (%s UNION ALL SELECT * FROM metrics.retired_run_metrics)
                AS parts
            GROUP BY workflow_id
        )
        SELECT 'workflow_run_metrics', workflow_id, NULL::timestamptz, f.*
        FROM expected AS e
        FULL JOIN metrics.workflow_run_metrics AS t USING (workflow_id),
        LATERAL (
            VALUES ('success_count', e.success_count, t.success_count::numeric),
                   ('failure_count', e.failure_count, t.failure_count),
                   ('canceled_count', e.canceled_count, t.canceled_count),
                   ('duration_sum_ms', e.duration_sum_ms, t.duration_sum_ms)
            UNION ALL
            SELECT format('duration_buckets[%%s]', i), x, y
            FROM unnest(e.duration_buckets, t.duration_buckets)
                 WITH ORDINALITY AS b (x, y, i)) AS f (figure, expected, found)
        WHERE f.expected IS DISTINCT FROM f.found $sql$,
        (SELECT 'ARRAY[' || string_agg(format('sum(duration_buckets[%s])', i),
                                       ', ' ORDER BY i) || ']'
         FROM generate_series(1, cardinality(metrics.duration_bounds_ms()) + 1)
              AS i),
        metrics.run_totals_query('metrics.taken_facts(''runs'')'));

    FOR trend IN SELECT * FROM metrics.trend_tables LOOP
        RETURN QUERY EXECUTE format($sql$
            SELECT %1$L, %2$s, bucket_start, f.*
            FROM (%3$s) AS e
            FULL JOIN (SELECT * FROM metrics.%1$I WHERE bucket_start >= %4$L)
                AS t USING (%2$s, bucket_start),
            LATERAL (VALUES
                ('success_count', e.success_count::numeric,
                 t.success_count::numeric),
                ('failure_count', e.failure_count, t.failure_count),
                ('canceled_count', e.canceled_count, t.canceled_count),
                ('duration_sum_ms', e.duration_sum_ms, t.duration_sum_ms),
                ('duration_min_ms', e.duration_min_ms, t.duration_min_ms),
                ('duration_max_ms', e.duration_max_ms, t.duration_max_ms),
                ('buckets of durations that differ', 0,
                 CASE WHEN e.durations IS DISTINCT FROM t.durations THEN
                     (SELECT count(*)
                      FROM unnest((e.durations).buckets, (e.durations).counts)
                               AS x (bucket, n)
                      FULL JOIN unnest((t.durations).buckets,
                                       (t.durations).counts)
                               AS y (bucket, n) USING (bucket)
                      WHERE x.n IS DISTINCT FROM y.n) ELSE 0 END))
                AS f (figure, expected, found)
            WHERE f.expected IS DISTINCT FROM f.found $sql$,
            trend.name, trend.key,
            metrics.trend_rows_query(trend, '(' || metrics.trend_cells_query(
                'metrics.taken_facts(''trends'')',
                metrics.complete_since(trend.name)) || ')'),
            metrics.complete_since(trend.name));
    END LOOP;
END $$;

-- Makes the aggregates of runs anew from the facts, in one transaction: readers
-- see the old figures until it ends. For an operator, after verify() found
-- something. Buckets of months that have lost their facts stay as they are.
-- Returns the number of finishes that the totals now contain.
CREATE FUNCTION metrics.rebuild() RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp SET datestyle = 'ISO'
AS $$
DECLARE
    since  timestamptz := (SELECT dropped_before FROM metrics.retention
                           WHERE table_name = 'execution_time_statistics');
    trend  metrics.trend_tables;
    before bigint;
    after  bigint;
BEGIN
    PERFORM FROM metrics.fold_state WHERE consumer IN ('runs', 'trends')
    ORDER BY consumer FOR UPDATE;
    IF NOT metrics.is_adopted() THEN
        RAISE EXCEPTION 'the data layer was restored from another cluster and '
                        'must be adopted first'
            USING ERRCODE = 'object_not_in_prerequisite_state',
                  HINT = 'call metrics.fold() until it finds facts, then this '
                         'again';
    END IF;
    PERFORM metrics.drop_detached_partitions();
    -- No row is deleted that comes again: Realtime would tell everybody.
    UPDATE metrics.workflow_run_metrics
    SET success_count = 0, failure_count = 0, canceled_count = 0,
        duration_sum_ms = 0, last_updated = '-infinity',
        duration_buckets = array_fill(0::bigint, ARRAY[
            cardinality(metrics.duration_bounds_ms()) + 1]);
    INSERT INTO metrics.workflow_run_metrics
    SELECT * FROM metrics.retired_run_metrics
    ON CONFLICT (workflow_id) DO UPDATE
    SET success_count = excluded.success_count,
        failure_count = excluded.failure_count,
        canceled_count = excluded.canceled_count,
        duration_sum_ms = excluded.duration_sum_ms,
        duration_buckets = excluded.duration_buckets,
        last_updated = excluded.last_updated;
    FOR trend IN SELECT * FROM metrics.trend_tables LOOP
        EXECUTE format('DELETE FROM metrics.%I WHERE bucket_start >= %L',
                       trend.name, since);
    END LOOP;
    UPDATE metrics.fold_state
    SET next_xid = '3', in_progress = '{}',
        facts_total = (SELECT coalesce(sum(success_count + failure_count
                                           + canceled_count), 0)
                       FROM metrics.retired_run_metrics)
    WHERE consumer IN ('runs', 'trends');
    LOOP
        SELECT sum(facts_total) INTO before FROM metrics.fold_state
        WHERE consumer <> 'steps';
        PERFORM metrics.add_run_totals('metrics.workflow_run_metrics',
                                       'metrics.take_facts(''runs'', 200000)');
        PERFORM metrics.add_trends('metrics.take_facts(''trends'', 200000)',
                                   since);
        SELECT sum(facts_total) INTO after FROM metrics.fold_state
        WHERE consumer <> 'steps';
        EXIT WHEN after = before;
    END LOOP;
    DELETE FROM metrics.workflow_run_metrics
    WHERE success_count + failure_count + canceled_count = 0;
    RETURN (SELECT facts_total FROM metrics.fold_state WHERE consumer = 'runs');
END $$;

-- Not left to 0019: whoever may use the schema could call it until then.
REVOKE ALL ON ALL FUNCTIONS IN SCHEMA metrics FROM PUBLIC;
