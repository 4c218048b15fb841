-- The fold: adds every fact to the aggregates exactly once.
--
--   execution_time_statistics --fold()--> workflow_run_metrics
--
-- A fold keeps, in one row, which transactions it has seen: all below
-- `next_xid` save those `in_progress`. The next fold reads exactly the facts
-- of the others that are visible to it, adds them up and stores its own view
-- of the world, all in one transaction. So a writer never waits, a late
-- commit is never missed, and a crash takes the whole fold back.

CREATE TABLE metrics.fold_state (
    singleton         boolean PRIMARY KEY DEFAULT true CHECK (singleton),
    system_identifier bigint  NOT NULL,  -- of the cluster the xids belong to
    next_xid          xid8    NOT NULL,
    in_progress       xid8[]  NOT NULL DEFAULT '{}',
    highest_id        bigint  NOT NULL DEFAULT 0,  -- of all facts folded
    facts_total       bigint  NOT NULL DEFAULT 0
) WITH (fillfactor = 20);
INSERT INTO metrics.fold_state (system_identifier, next_xid)
SELECT system_identifier, '3' FROM pg_control_system();

-- Upper bounds of the duration histogram, in milliseconds; the last bucket,
-- without a bound, is the count. A workflow's series are these and six more.
CREATE FUNCTION metrics.duration_bounds_ms() RETURNS bigint[]
LANGUAGE sql IMMUTABLE AS $$
    SELECT '{100,500,1000,2500,5000,10000,30000,120000,600000}'::bigint[]
$$;

CREATE FUNCTION metrics.array_add(a bigint[], b bigint[]) RETURNS bigint[]
LANGUAGE sql IMMUTABLE STRICT AS $$
    SELECT array_agg(x + y ORDER BY i)
    FROM unnest(a, b) WITH ORDINALITY AS t (x, y, i)
$$;

-- Lifetime totals, a row a workflow. They never shrink: not when a run, a
-- workflow or a month of facts is deleted. Sums are exact, because a float
-- sum can shrink when reordered and a counter that shrinks reads as a restart.
CREATE TABLE metrics.workflow_run_metrics (
    workflow_id      uuid        PRIMARY KEY,
    project_id       uuid        NOT NULL,
    success_count    bigint      NOT NULL,
    failure_count    bigint      NOT NULL,
    canceled_count   bigint      NOT NULL,
    duration_sum_ms  numeric     NOT NULL,  -- of succeeded and failed runs
    duration_buckets bigint[]    NOT NULL,  -- of the same: runs up to a bound
    last_updated     timestamptz NOT NULL   -- when its latest run finished
) WITH (fillfactor = 50);

-- What the worker (or pg_cron) did: how it stands, and a log of each time.
CREATE TABLE metrics.worker_tasks (
    task             text PRIMARY KEY,
    last_attempt_at  timestamptz,
    last_success_at  timestamptz,
    last_duration_ms numeric NOT NULL DEFAULT 0,
    busy_ms_total    numeric NOT NULL DEFAULT 0,
    runs_total       bigint  NOT NULL DEFAULT 0,
    failures_total   bigint  NOT NULL DEFAULT 0
) WITH (fillfactor = 20);
INSERT INTO metrics.worker_tasks (task)
VALUES ('fold'), ('maintenance'), ('mv_workflow_metrics');

CREATE TABLE metrics.refresh_log (
    at          timestamptz NOT NULL,
    task        text        NOT NULL,
    duration_ms numeric     NOT NULL,
    rows        bigint,   -- facts folded, rows refreshed, partitions made
    sqlstate    text      -- NULL: it worked
);
CREATE INDEX refresh_log_at ON metrics.refresh_log USING brin (at);

CREATE FUNCTION metrics.record_task(
    task text, started_at timestamptz, rows bigint, sqlstate text DEFAULT NULL)
RETURNS void LANGUAGE sql SECURITY DEFINER SET search_path = '' AS $$
    WITH spent AS (
        SELECT clock_timestamp() AS at,
               round(extract(epoch FROM clock_timestamp()
                                        - record_task.started_at)::numeric
                     * 1000, 3) AS ms
    ), logged AS (
        INSERT INTO metrics.refresh_log
        SELECT at, record_task.task, ms, record_task.rows,
               record_task.sqlstate
        FROM spent
    )
    UPDATE metrics.worker_tasks AS t
    SET last_attempt_at = spent.at,
        last_success_at = CASE WHEN record_task.sqlstate IS NULL
                               THEN spent.at ELSE t.last_success_at END,
        last_duration_ms = spent.ms,
        busy_ms_total = t.busy_ms_total + spent.ms,
        runs_total = t.runs_total + 1,
        failures_total = t.failures_total
                         + (record_task.sqlstate IS NOT NULL)::int
    FROM spent
    WHERE t.task = record_task.task
$$;

-- Transaction ids mean nothing in another cluster. After a dump was restored
-- (or the ids went back), rewrites them so that the next fold takes exactly
-- what was not folded yet: facts above `highest_id`, and those below it that
-- the last fold of the old cluster could not see. Everything else gets an id
-- below all others.
CREATE FUNCTION metrics.adopt_restored_facts(state metrics.fold_state)
RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
DECLARE
    own       xid8 := pg_current_xact_id();
    first_xid xid8 := pg_snapshot_xmin(pg_current_snapshot());
BEGIN
    UPDATE metrics.execution_time_statistics
    SET xact_id = CASE WHEN id > state.highest_id
                            OR xact_id >= state.next_xid
                            OR xact_id = ANY (state.in_progress)
                       THEN own ELSE '3' END;
    UPDATE metrics.fold_state
    SET system_identifier = (SELECT c.system_identifier
                             FROM pg_control_system() AS c),
        next_xid = first_xid, in_progress = '{}';
END $$;

-- Folds up to about `max_facts` facts and returns how many it folded; NULL
-- when another session is folding. Call it again while it returns as many as
-- it was allowed.
CREATE FUNCTION metrics.fold(max_facts int DEFAULT 200000) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = ''
SET plan_cache_mode = force_custom_plan  -- a generic plan would guess that a
SET enable_seqscan = off                 -- third of all facts are new
SET jit = off
AS $$
DECLARE
    started_at timestamptz := clock_timestamp();
    own        xid8 := pg_current_xact_id();
    bounds     bigint[] := metrics.duration_bounds_ms();
    state      metrics.fold_state;
    horizon    xid8;  -- fold no transaction from here on; NULL: fold all
    folded     bigint;
BEGIN
    SELECT * INTO state FROM metrics.fold_state FOR UPDATE SKIP LOCKED;
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;

    IF pg_snapshot_xmax(pg_current_snapshot()) < state.next_xid
       OR state.system_identifier <> (SELECT system_identifier
                                      FROM pg_control_system()) THEN
        PERFORM metrics.adopt_restored_facts(state);
        PERFORM metrics.record_task('fold', started_at, 0);
        RETURN 0;
    END IF;

    SELECT xact_id INTO horizon
    FROM metrics.execution_time_statistics
    WHERE xact_id >= state.next_xid
    ORDER BY xact_id OFFSET max_facts LIMIT 1;

    -- One statement, hence one snapshot: what it stores is what it saw. Facts
    -- of this very transaction wait for the next fold, as it is not over yet.
    WITH view_of_world AS MATERIALIZED (
        SELECT least(coalesce(horizon, pg_snapshot_xmax(snapshot)),
                     pg_snapshot_xmax(snapshot)) AS next_xid,
               own || array(SELECT pg_snapshot_xip(snapshot)) AS unfinished
        FROM pg_current_snapshot() AS snapshot
    ), fresh AS (
        SELECT * FROM metrics.execution_time_statistics
        WHERE xact_id >= state.next_xid
          AND xact_id < (SELECT next_xid FROM view_of_world)
        UNION ALL
        SELECT * FROM metrics.execution_time_statistics
        WHERE xact_id = ANY (state.in_progress)
    ), facts AS MATERIALIZED (
        SELECT id, project_id, workflow_id, status, created_at,
               CASE WHEN status <> 'canceled' THEN execution_time_ms END AS ms
        FROM fresh WHERE xact_id <> own
    ), totals AS (
        INSERT INTO metrics.workflow_run_metrics AS t
        SELECT workflow_id,
               (array_agg(project_id))[1],
               count(*) FILTER (WHERE status = 'succeeded'),
               count(*) FILTER (WHERE status = 'failed'),
               count(*) FILTER (WHERE status = 'canceled'),
               coalesce(sum(ms), 0),
               ARRAY[count(*) FILTER (WHERE ms <= bounds[1]),
                     count(*) FILTER (WHERE ms <= bounds[2]),
                     count(*) FILTER (WHERE ms <= bounds[3]),
                     count(*) FILTER (WHERE ms <= bounds[4]),
                     count(*) FILTER (WHERE ms <= bounds[5]),
                     count(*) FILTER (WHERE ms <= bounds[6]),
                     count(*) FILTER (WHERE ms <= bounds[7]),
                     count(*) FILTER (WHERE ms <= bounds[8]),
                     count(*) FILTER (WHERE ms <= bounds[9]),
                     count(ms)],
               max(created_at)
        FROM facts
        GROUP BY workflow_id
        ON CONFLICT (workflow_id) DO UPDATE
        SET success_count = t.success_count + excluded.success_count,
            failure_count = t.failure_count + excluded.failure_count,
            canceled_count = t.canceled_count + excluded.canceled_count,
            duration_sum_ms = t.duration_sum_ms + excluded.duration_sum_ms,
            duration_buckets = metrics.array_add(t.duration_buckets,
                                                 excluded.duration_buckets),
            last_updated = greatest(t.last_updated, excluded.last_updated)
    ), counted AS (
        SELECT count(*) AS facts, max(id) AS highest_id FROM facts
    ), remembered AS (
        UPDATE metrics.fold_state AS s
        SET next_xid = w.next_xid,
            in_progress = array(SELECT xid FROM unnest(w.unfinished) AS xid
                                WHERE xid < w.next_xid),
            highest_id = greatest(s.highest_id, c.highest_id),
            facts_total = s.facts_total + c.facts
        FROM view_of_world AS w, counted AS c
    )
    SELECT facts INTO folded FROM counted;

    PERFORM metrics.record_task('fold', started_at, folded);
    RETURN folded;
END $$;

-- How many facts wait to be folded, counted up to `most`.
CREATE FUNCTION metrics.pending_facts(most int DEFAULT 1000000)
RETURNS bigint LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = ''
SET plan_cache_mode = force_custom_plan
SET enable_seqscan = off
SET jit = off
AS $$
DECLARE
    state metrics.fold_state;
BEGIN
    SELECT * INTO state FROM metrics.fold_state;
    RETURN (SELECT count(*) FROM (
        SELECT FROM metrics.execution_time_statistics
        WHERE xact_id >= state.next_xid OR xact_id = ANY (state.in_progress)
        LIMIT most) AS waiting);
END $$;
