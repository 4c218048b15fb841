-- Facts: one row for each time a run finished, appended by a trigger (0007),
-- folded into aggregates (0003) and kept for a while.
--
-- No primary key and no foreign key: a unique index on a random run id would
-- cost every run of MeshHook's, and a fact outlives its run. The order of
-- `id` is the order of insertion, not of commit; `xact_id` is what a fold
-- goes by.

CREATE TABLE metrics.execution_time_statistics (
    id                bigint      GENERATED ALWAYS AS IDENTITY,
    project_id        uuid        NOT NULL,
    workflow_id       uuid        NOT NULL,
    run_id            uuid        NOT NULL,
    status            text        NOT NULL,  -- succeeded, failed or canceled
    execution_time_ms bigint      NOT NULL,  -- 0 where it cannot be known
    created_at        timestamptz NOT NULL,  -- when the run finished
    xact_id           xid8        NOT NULL DEFAULT pg_current_xact_id()
) PARTITION BY RANGE (created_at);

CREATE INDEX execution_time_statistics_xact_id
    ON metrics.execution_time_statistics (xact_id);
-- Facts arrive in the order of time, so a block range index finds a window
-- for next to nothing.
CREATE INDEX execution_time_statistics_created_at
    ON metrics.execution_time_statistics USING brin (created_at)
    WITH (pages_per_range = 32);

-- Takes any month that has no partition of its own, so that recording a run
-- can never fail for want of one.
CREATE TABLE metrics.execution_time_statistics_default
    PARTITION OF metrics.execution_time_statistics DEFAULT;

-- Makes the partitions of this month and of those ahead; returns how many it
-- made. A partition is built apart and then attached, which does not hold up
-- writers; a month that already has rows in the default partition is left
-- there.
CREATE FUNCTION metrics.ensure_partitions(months_ahead int DEFAULT 2)
RETURNS int LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
DECLARE
    this_month  timestamp := date_trunc('month', now() AT TIME ZONE 'UTC');
    month_start timestamptz;
    month_end   timestamptz;
    partition   text;
    made        int := 0;
BEGIN
    FOR offset_months IN 0 .. months_ahead LOOP
        month_start := (this_month + make_interval(months => offset_months))
                       AT TIME ZONE 'UTC';
        month_end := (this_month + make_interval(months => offset_months + 1))
                     AT TIME ZONE 'UTC';
        partition := to_char(month_start AT TIME ZONE 'UTC',
                             '"execution_time_statistics_y"YYYY"m"MM');
        CONTINUE WHEN to_regclass('metrics.' || partition) IS NOT NULL;
        CONTINUE WHEN EXISTS (
            SELECT FROM metrics.execution_time_statistics_default
            WHERE created_at >= month_start AND created_at < month_end);
        EXECUTE format('CREATE TABLE metrics.%I (LIKE '
                       'metrics.execution_time_statistics INCLUDING DEFAULTS)',
                       partition);
        EXECUTE format('ALTER TABLE metrics.execution_time_statistics '
                       'ATTACH PARTITION metrics.%I '
                       'FOR VALUES FROM (%L) TO (%L)',
                       partition, month_start, month_end);
        made := made + 1;
    END LOOP;
    RETURN made;
END $$;

SELECT metrics.ensure_partitions();

-- A run's duration in milliseconds. Never fails and never negative, whatever
-- the clocks said: a missing or infinite time makes it 0. (The difference of
-- two far timestamps is itself an error on PostgreSQL 18; that of two numbers
-- is not.)
CREATE FUNCTION metrics.run_duration_ms(
    started_at timestamptz, finished_at timestamptz)
RETURNS bigint LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE
        WHEN isfinite(started_at) AND isfinite(finished_at)
        THEN greatest((extract(epoch FROM finished_at)
                       - extract(epoch FROM started_at)) * 1000, 0)::bigint
        ELSE 0
    END
$$;
