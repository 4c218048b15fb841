-- Capture: the trigger that records each finish of a run, in the same
-- transaction. The only file that locks one of MeshHook's tables; the lock
-- lasts from CREATE TRIGGER to the end of this short transaction.
--
-- The function must not fail where MeshHook's own write succeeds: it runs with
-- its owner's rights, turns what is missing into something, and any month has
-- a partition to go to. It has no exception block, which would cost every run
-- a subtransaction.

CREATE FUNCTION metrics.record_finished_run() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
DECLARE
    nobody   CONSTANT uuid := '00000000-0000-0000-0000-000000000000';
    ended_at timestamptz := CASE WHEN isfinite(new.finished_at)
                                 THEN new.finished_at ELSE now() END;
BEGIN
    INSERT INTO metrics.execution_time_statistics
        (project_id, workflow_id, run_id, status, execution_time_ms,
         created_at)
    VALUES (coalesce(new.project_id, nobody),
            coalesce(new.workflow_id, nobody), new.id, new.status,
            metrics.run_duration_ms(
                coalesce(new.started_at, new.created_at), ended_at),
            ended_at);
    RETURN NULL;
END $$;

-- Every transition into a finished status counts, so a run that is replayed
-- and finishes again counts again.
CREATE TRIGGER metrics_record_finished_update
    AFTER UPDATE ON public.workflow_runs FOR EACH ROW
    WHEN (new.status IN ('succeeded', 'failed', 'canceled')
          AND old.status IS DISTINCT FROM new.status)
    EXECUTE FUNCTION metrics.record_finished_run();
CREATE TRIGGER metrics_record_finished_insert
    AFTER INSERT ON public.workflow_runs FOR EACH ROW
    WHEN (new.status IN ('succeeded', 'failed', 'canceled'))
    EXECUTE FUNCTION metrics.record_finished_run();

INSERT INTO metrics.backfill_state (installed_at) VALUES (clock_timestamp());

-- Holds what backfill() adds and the few facts whose clock ran behind; runs
-- that finish from now on never touch it.
DO $$
BEGIN
    EXECUTE format(
        'CREATE INDEX execution_time_statistics_backfilled '
        'ON metrics.execution_time_statistics (run_id) '
        'WHERE created_at < %L',
        (SELECT installed_at FROM metrics.backfill_state));
END $$;
