-- The stream of facts: several consumers, each of which gets every fact once.
--
--   runs    lifetime totals, each second             (0010)
--   trends  hours and days, a few times a minute     (0011)
--   steps   a run's events, once they have settled   (0012)
--
-- A consumer remembers which transactions it has seen: all below `next_xid`
-- save those `in_progress`. It then takes exactly the facts of the others that
-- are visible to it and stores its own view of the world, in one statement. So
-- a writer never waits, a late commit is never missed, and a crash takes all
-- that was made of the facts back with the memory of having taken them.

-- Whoever calls a run's duration immutable has it parsed and planned for every
-- run that finishes, as extract() of a timestamptz is only stable: inlined, the
-- trigger of 0007 takes 8 us in place of 20.
ALTER FUNCTION metrics.run_duration_ms(timestamptz, timestamptz) STABLE;

ALTER TABLE metrics.fold_state
    ADD COLUMN consumer text NOT NULL DEFAULT 'runs',
    ADD COLUMN target_next_xid    xid8,    -- where a consumer that lets facts
    ADD COLUMN target_in_progress xid8[],  -- settle may go to, and since when
    ADD COLUMN target_at          timestamptz,
    DROP COLUMN singleton,
    ADD PRIMARY KEY (consumer);
ALTER TABLE metrics.fold_state ALTER COLUMN consumer DROP DEFAULT;

-- Makes a consumer that begins with the oldest fact there is. Not before the
-- fold of 0003 has been replaced and ended: it takes this table for one row.
CREATE FUNCTION metrics.add_consumer(consumer_name text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM FROM metrics.fold_state FOR UPDATE;
    INSERT INTO metrics.fold_state (consumer, system_identifier, next_xid)
    SELECT consumer_name, system_identifier, '3'
    FROM metrics.fold_state WHERE consumer = 'runs';
END $$;

-- Transaction ids mean nothing in another cluster. After a dump was restored
-- there, this row says that facts which every consumer had taken already are
-- being moved out of the way of the new ids: those with an id of up to
-- `highest_id` and a transaction id of `first_xid` or more.
CREATE TABLE metrics.adoption (
    singleton  boolean PRIMARY KEY DEFAULT true CHECK (singleton),
    highest_id bigint NOT NULL,
    first_xid  xid8   NOT NULL
);

DROP FUNCTION metrics.adopt_restored_facts(metrics.fold_state);

-- Whether the stream's transaction ids are this cluster's. They are not after
-- a restore into another one, nor after ids went back.
CREATE FUNCTION metrics.is_adopted() RETURNS boolean
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT NOT EXISTS (SELECT FROM metrics.adoption)
           AND NOT EXISTS (
               SELECT FROM metrics.fold_state
               WHERE next_xid > pg_snapshot_xmax(pg_current_snapshot())
                  OR system_identifier <> (SELECT c.system_identifier
                                           FROM pg_control_system() AS c))
$$;

-- Makes the stream fit this cluster: every consumer will take exactly what it
-- had not taken in the old one. Facts that some have still to take get an id
-- from 4 to 10 that says who (3 and a bit for each), below all that a running
-- server gives out, and those consumers wait for that id. Facts that all have
-- taken and whose ids are still to come here get 3, about `batch` at a time.
-- Whoever calls it has the turn of `runs`, and calls it again until it returns
-- true.
CREATE FUNCTION metrics.adopt_restored_facts(batch int DEFAULT 200000)
RETURNS boolean LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp SET jit = off
SET plan_cache_mode = force_custom_plan
AS $$
DECLARE
    adopting metrics.adoption;
    first    xid8 := pg_snapshot_xmin(pg_current_snapshot());
    beyond   xid8;
    highest  bigint;
    lowest   xid8;
    open     xid8[];
BEGIN
    PERFORM FROM metrics.fold_state ORDER BY consumer FOR UPDATE;
    IF NOT EXISTS (SELECT FROM metrics.adoption) THEN
        SELECT max(highest_id),
               (array_agg(next_xid ORDER BY next_xid))[1],
               array(SELECT unnest(in_progress) FROM metrics.fold_state)
        INTO highest, lowest, open FROM metrics.fold_state;
        -- An id above the highest of the old cluster is a fact of this one.
        WITH bits AS (
            SELECT next_xid, in_progress,
                   1 << (row_number() OVER (ORDER BY consumer) - 1)::int AS bit
            FROM metrics.fold_state
        )
        UPDATE metrics.execution_time_statistics AS f
        SET xact_id = (SELECT (3 + sum(bit))::text::xid8 FROM bits
                       WHERE f.id > highest OR f.xact_id >= bits.next_xid
                          OR f.xact_id = ANY (bits.in_progress))
        WHERE f.id > highest OR f.xact_id >= lowest OR f.xact_id = ANY (open);

        WITH bits AS (
            SELECT consumer, count(*) OVER () AS consumers,
                   1 << (row_number() OVER (ORDER BY consumer) - 1)::int AS bit
            FROM metrics.fold_state
        )
        UPDATE metrics.fold_state AS s
        SET system_identifier = (SELECT c.system_identifier
                                 FROM pg_control_system() AS c),
            next_xid = first,
            in_progress = array(
                SELECT (3 + mask)::text::xid8
                FROM generate_series(1, (1 << consumers::int) - 1) AS mask
                WHERE mask & bit > 0),
            target_next_xid = NULL, target_in_progress = NULL, target_at = NULL
        FROM bits WHERE bits.consumer = s.consumer;
        INSERT INTO metrics.adoption (highest_id, first_xid)
        VALUES (highest, first);
    END IF;

    SELECT * INTO adopting FROM metrics.adoption;
    SELECT xact_id INTO beyond FROM metrics.execution_time_statistics
    WHERE xact_id >= adopting.first_xid AND id <= adopting.highest_id
    ORDER BY xact_id OFFSET batch LIMIT 1;
    UPDATE metrics.execution_time_statistics SET xact_id = '3'
    WHERE xact_id >= adopting.first_xid AND id <= adopting.highest_id
      AND (beyond IS NULL OR xact_id < beyond);
    IF beyond IS NULL THEN
        DELETE FROM metrics.adoption;
    END IF;
    RETURN beyond IS NULL;
END $$;

-- Takes a consumer's turn until the end of the transaction. False: another
-- session has it.
CREATE FUNCTION metrics.claim_stream(consumer_name text) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM FROM metrics.fold_state WHERE consumer = consumer_name
    FOR UPDATE SKIP LOCKED;
    RETURN FOUND;
END $$;

-- The next facts of a consumer whose turn it is, about `max_facts` of them: a
-- transaction is taken whole, so more where one wrote many. With `settle`, only
-- facts that have been visible for that long. Facts of this very transaction
-- come later, as it is not over yet.
CREATE FUNCTION metrics.take_facts(
    consumer_name text, max_facts int, settle interval DEFAULT '0')
RETURNS SETOF metrics.execution_time_statistics LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET plan_cache_mode = force_custom_plan  -- a generic plan would guess that a
SET enable_seqscan = off                 -- third of all facts are new
SET jit = off
SET work_mem = '32MB'
AS $$
DECLARE
    own     xid8 := pg_current_xact_id();
    state   metrics.fold_state;
    horizon xid8;  -- take no transaction from here on; NULL: take all
BEGIN
    SELECT * INTO STRICT state FROM metrics.fold_state
    WHERE consumer = consumer_name;

    IF settle <= interval '0' THEN
        state.target_next_xid := NULL;
        state.target_in_progress := NULL;
        -- This goes past where a patient caller may go to, or short of it.
        UPDATE metrics.fold_state SET target_at = NULL
        WHERE consumer = consumer_name AND target_at IS NOT NULL;
    ELSIF state.target_at IS NULL
          OR state.next_xid >= state.target_next_xid THEN
        UPDATE metrics.fold_state
        SET target_next_xid = pg_snapshot_xmax(pg_current_snapshot()),
            target_in_progress =
                own || array(SELECT pg_snapshot_xip(pg_current_snapshot())),
            target_at = clock_timestamp()
        WHERE consumer = consumer_name;
        RETURN;
    ELSIF state.target_at > clock_timestamp() - settle THEN
        RETURN;
    END IF;

    SELECT xact_id INTO horizon
    FROM metrics.execution_time_statistics
    WHERE xact_id >= state.next_xid
    ORDER BY xact_id
    OFFSET greatest(least(coalesce(max_facts, 200000), 1000000), 1) - 1
    LIMIT 1;
    SELECT xact_id INTO horizon
    FROM metrics.execution_time_statistics
    WHERE xact_id > horizon
    ORDER BY xact_id LIMIT 1;

    -- One statement, hence one snapshot: what it stores is what it saw.
    RETURN QUERY
    WITH seen AS MATERIALIZED (
        SELECT coalesce(state.target_next_xid, pg_snapshot_xmax(snapshot))
                   AS next_xid,
               coalesce(state.target_in_progress,
                        own || array(SELECT pg_snapshot_xip(snapshot)))
                   AS unfinished
        FROM pg_current_snapshot() AS snapshot
    ), view_of_world AS MATERIALIZED (
        SELECT least(coalesce(horizon, next_xid), next_xid) AS next_xid,
               unfinished
        FROM seen
    ), fresh AS (
        SELECT * FROM metrics.execution_time_statistics
        WHERE xact_id >= state.next_xid
          AND xact_id < (SELECT next_xid FROM view_of_world)
        UNION ALL
        SELECT * FROM metrics.execution_time_statistics
        WHERE xact_id = ANY (state.in_progress)
    ), facts AS MATERIALIZED (
        SELECT * FROM fresh
        WHERE xact_id <> ALL (array(SELECT unnest(unfinished)
                                    FROM view_of_world))
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
        WHERE s.consumer = consumer_name
    )
    SELECT * FROM facts;
END $$;

-- How many facts wait for a consumer, counted up to `most`.
CREATE FUNCTION metrics.pending_facts(consumer_name text, most int)
RETURNS bigint LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET plan_cache_mode = force_custom_plan
SET enable_seqscan = off
SET jit = off
AS $$
DECLARE
    state metrics.fold_state;
BEGIN
    SELECT * INTO state FROM metrics.fold_state
    WHERE consumer = consumer_name;
    RETURN (SELECT count(*) FROM (
        SELECT FROM metrics.execution_time_statistics
        WHERE xact_id >= state.next_xid OR xact_id = ANY (state.in_progress)
        LIMIT most) AS waiting);
END $$;

CREATE OR REPLACE FUNCTION metrics.pending_facts(most int DEFAULT 1000000)
RETURNS bigint LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$ SELECT metrics.pending_facts('runs', most) $$;

-- Not left to 0019: whoever may use the schema could call it until then.
REVOKE ALL ON ALL FUNCTIONS IN SCHEMA metrics FROM PUBLIC;
