-- The fold: adds every fact to its workflow's lifetime totals, exactly once.
--
--   execution_time_statistics --take_facts('runs')--> workflow_run_metrics

-- Totals of the facts that retention has dropped, so that lifetime totals can
-- be checked and made anew: they are these and the facts that are left.
CREATE TABLE metrics.retired_run_metrics (LIKE metrics.workflow_run_metrics
                                          INCLUDING INDEXES);

-- The query that sums facts up, a row a workflow, as workflow_run_metrics has
-- it. `source` is SQL for the FROM clause that gives rows of the facts' type.
-- A workflow's totals are its own project's, whatever a run says: a tenant may
-- write a run of its project and of another's workflow.
CREATE FUNCTION metrics.run_totals_query(source text) RETURNS text
LANGUAGE sql STABLE AS $$
    SELECT format($sql$
        SELECT workflow_id,
               coalesce((SELECT d.project_id
                         FROM public.workflow_definitions AS d
                         WHERE d.id = facts.workflow_id),
                        (array_agg(project_id))[1]) AS project_id,
               count(*) FILTER (WHERE status = 'succeeded') AS success_count,
               count(*) FILTER (WHERE status = 'failed') AS failure_count,
               count(*) FILTER (WHERE status = 'canceled') AS canceled_count,
               coalesce(sum(ms), 0) AS duration_sum_ms,
               ARRAY[%s, count(ms)] AS duration_buckets,
               max(created_at) AS last_updated
        FROM (SELECT *, CASE WHEN status <> 'canceled'
                             THEN execution_time_ms END AS ms
              FROM %s) AS facts
        GROUP BY workflow_id $sql$,
        (SELECT string_agg(format('count(*) FILTER (WHERE ms <= %s)', bound),
                           ', ' ORDER BY bound)
         FROM unnest(metrics.duration_bounds_ms()) AS bound),
        source)
$$;

-- Adds facts to totals of the shape of workflow_run_metrics; returns how many.
-- In `source` (as above) $1 is `facts`.
CREATE FUNCTION metrics.add_run_totals(
    target regclass, source text,
    facts metrics.execution_time_statistics[] DEFAULT NULL)
RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp SET jit = off
AS $$
DECLARE
    buckets text := (SELECT string_agg(
                         format('t.duration_buckets[%s] '
                                '+ excluded.duration_buckets[%1$s]', i), ', '
                         ORDER BY i)
                     FROM generate_series(
                         1, cardinality(metrics.duration_bounds_ms()) + 1)
                         AS i);
    added   bigint;
BEGIN
    EXECUTE format($sql$
        WITH totals AS MATERIALIZED (%s), merged AS (
            INSERT INTO %s AS t
            SELECT * FROM totals
            ON CONFLICT (workflow_id) DO UPDATE
            SET success_count = t.success_count + excluded.success_count,
                failure_count = t.failure_count + excluded.failure_count,
                canceled_count = t.canceled_count + excluded.canceled_count,
                duration_sum_ms = t.duration_sum_ms + excluded.duration_sum_ms,
                duration_buckets = ARRAY[%s],
                last_updated = greatest(t.last_updated, excluded.last_updated)
        )
        SELECT coalesce(sum(success_count + failure_count + canceled_count), 0)
               ::bigint
        FROM totals $sql$, metrics.run_totals_query(source), target, buckets)
    INTO added USING facts;
    RETURN added;
END $$;

-- Folds up to about `max_facts` facts and returns how many it folded; NULL
-- when another session is folding. Call it again while it returns as many as
-- it was allowed.
CREATE OR REPLACE FUNCTION metrics.fold(max_facts int DEFAULT 200000)
RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    started_at timestamptz := clock_timestamp();
    folded     bigint := 0;
BEGIN
    IF NOT metrics.claim_stream('runs') THEN
        RETURN NULL;
    END IF;
    IF metrics.is_adopted() THEN
        folded := metrics.add_run_totals(
            'metrics.workflow_run_metrics',
            format('metrics.take_facts(''runs'', %L)', max_facts));
    ELSE
        PERFORM metrics.adopt_restored_facts();
    END IF;
    PERFORM metrics.record_task('fold', started_at, folded);
    RETURN folded;
END $$;

ALTER TABLE metrics.worker_tasks ADD COLUMN last_rows bigint;
INSERT INTO metrics.worker_tasks (task) VALUES ('trends'), ('steps');

-- Writes down that a task ran, and how it ended. Only of tasks there are, and
-- of no more than a day, whatever the caller says.
CREATE OR REPLACE FUNCTION metrics.record_task(
    task text, started_at timestamptz, rows bigint, sqlstate text DEFAULT NULL)
RETURNS void LANGUAGE sql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp AS $$
    WITH spent AS (
        SELECT at,
               round(extract(epoch FROM at - least(at, greatest(
                         at - interval '1 day',
                         coalesce(record_task.started_at, at))))::numeric
                     * 1000, 3) AS ms
        FROM clock_timestamp() AS at
    ), logged AS (
        INSERT INTO metrics.refresh_log
        SELECT at, t.task, ms, record_task.rows, left(record_task.sqlstate, 5)
        FROM spent, metrics.worker_tasks AS t
        WHERE t.task = record_task.task
    )
    UPDATE metrics.worker_tasks AS t
    SET last_attempt_at = spent.at,
        last_success_at = CASE WHEN record_task.sqlstate IS NULL
                               THEN spent.at ELSE t.last_success_at END,
        last_duration_ms = spent.ms,
        last_rows = CASE WHEN record_task.sqlstate IS NULL
                         THEN record_task.rows ELSE t.last_rows END,
        busy_ms_total = t.busy_ms_total + spent.ms,
        runs_total = t.runs_total + 1,
        failures_total = t.failures_total
                         + (record_task.sqlstate IS NOT NULL)::int
    FROM spent
    WHERE t.task = record_task.task
$$;

-- Not left to 0019: whoever may use the schema could call it until then.
REVOKE ALL ON ALL FUNCTIONS IN SCHEMA metrics FROM PUBLIC;
