-- Backfill: brings in the runs that finished before the trigger (0007) was
-- there, exactly once, in batches that each commit alone, while MeshHook goes
-- on. Interrupt it where you like and call it again.

CREATE TABLE metrics.backfill_state (
    singleton    boolean PRIMARY KEY DEFAULT true CHECK (singleton),
    installed_at timestamptz NOT NULL,  -- when the trigger began to record
    last_run_id  uuid   NOT NULL DEFAULT '00000000-0000-0000-0000-000000000000',
    runs_added   bigint NOT NULL DEFAULT 0,
    finished_at  timestamptz            -- NULL: there is more to do
);

-- Takes the next `batch_size` runs in the order of their ids; returns how many
-- runs it looked at, 0 once there are none left. What finished since the
-- trigger was there has a fact, by the same transaction; so a finished run that
-- has none finished before, whatever its clock says. Two questions, as each has
-- its own index: the partial one of 0007, and the one on created_at.
CREATE FUNCTION metrics.backfill(batch_size int DEFAULT 10000) RETURNS int
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = '' SET plan_cache_mode = force_custom_plan SET jit = off
AS $$
DECLARE
    state   metrics.backfill_state;
    seen    int;
    added   int;
    last_id uuid;
BEGIN
    SELECT * INTO STRICT state FROM metrics.backfill_state FOR UPDATE;
    IF state.finished_at IS NOT NULL THEN
        RETURN 0;
    END IF;
    WITH batch AS MATERIALIZED (
        SELECT id, project_id, workflow_id, status,
               coalesce(started_at, created_at) AS began_at,
               coalesce(finished_at, updated_at, created_at) AS ended_at
        FROM public.workflow_runs
        WHERE id > state.last_run_id
        ORDER BY id LIMIT batch_size
    ), facts AS (
        INSERT INTO metrics.execution_time_statistics
            (project_id, workflow_id, run_id, status, execution_time_ms,
             created_at)
        SELECT coalesce(project_id, '00000000-0000-0000-0000-000000000000'),
               coalesce(workflow_id, '00000000-0000-0000-0000-000000000000'),
               id, status, metrics.run_duration_ms(began_at, ended_at),
               ended_at
        FROM batch
        WHERE status IN ('succeeded', 'failed', 'canceled')
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
    UPDATE metrics.backfill_state
    SET last_run_id = coalesce(last_id, last_run_id),
        runs_added = runs_added + added,
        finished_at = CASE WHEN seen = 0 THEN clock_timestamp() END;
    RETURN seen;
END $$;
