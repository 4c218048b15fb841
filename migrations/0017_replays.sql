-- Replays: a trigger that notes when a finished run is taken up again, so that
-- the events of each finish are told apart (0012) and none is lost to a
-- backfill that had not come to it yet (0016). It locks workflow_runs for as
-- long as this short transaction lasts; runs that just finish never fire it.
--
-- It must not fail where MeshHook's own write succeeds, so whatever goes wrong
-- in it becomes a warning. That costs a subtransaction, but only a replay. It
-- asks for the highest id + 0, as that of the id would be looked for from the
-- end of the primary key, past all that other runs did since.
--
-- Its name sorts before that of the trigger of 0007: where a run goes from one
-- finish straight to another, this is noted first.

CREATE FUNCTION metrics.note_reopened_run() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    nobody   CONSTANT uuid := '00000000-0000-0000-0000-000000000000';
    ended_at timestamptz := coalesce(
        CASE WHEN isfinite(old.finished_at) THEN old.finished_at END,
        old.updated_at, old.created_at, now());
    -- Straight from one finish to the next, events since belong to the next.
    until    timestamptz := CASE
        WHEN new.status IN ('succeeded', 'failed', 'canceled')
        THEN ended_at + interval '5 seconds' ELSE 'infinity' END;
BEGIN
    INSERT INTO metrics.run_reopenings
    SELECT nextval('metrics.execution_time_statistics_id_seq'), old.id,
           coalesce((SELECT max(e.id + 0) FROM public.workflow_events AS e
                     WHERE e.run_id = old.id AND e.ts <= until), 0),
           coalesce(old.project_id, nobody), coalesce(old.workflow_id, nobody),
           old.status,
           metrics.run_duration_ms(coalesce(old.started_at, old.created_at),
                                   ended_at),
           ended_at;
    RETURN NULL;
EXCEPTION WHEN OTHERS THEN
    RAISE WARNING 'metrics: a replay was not noted: %', SQLERRM;
    RETURN NULL;
END $$;

CREATE TRIGGER metrics_note_reopened
    AFTER UPDATE ON public.workflow_runs FOR EACH ROW
    WHEN (old.status IN ('succeeded', 'failed', 'canceled')
          AND old.status IS DISTINCT FROM new.status)
    EXECUTE FUNCTION metrics.note_reopened_run();

-- Not left to 0019: whoever may use the schema could call it until then.
REVOKE ALL ON ALL FUNCTIONS IN SCHEMA metrics FROM PUBLIC;
