-- 29 whole days of each workflow and project, up to yesterday, added up: what
-- a question about the last month would otherwise merge out of thirty rows of
-- each. A cache: made anew by maintain() once a day, thrown away by whoever
-- changes a day in it, and then questions are answered from the days.

CREATE TABLE metrics.recent_days (  -- no row: there is nothing to go by
    singleton boolean     PRIMARY KEY DEFAULT true CHECK (singleton),
    since     timestamptz NOT NULL,
    until     timestamptz NOT NULL
);

-- The sketches are stored apart, as most questions do not need them.
CREATE TABLE metrics.workflow_recent_days (
    workflow_id     uuid           NOT NULL,
    project_id      uuid           NOT NULL,  -- it may have been in another
    success_count   bigint         NOT NULL,
    failure_count   bigint         NOT NULL,
    canceled_count  bigint         NOT NULL,
    duration_sum_ms numeric        NOT NULL,
    duration_min_ms bigint,
    duration_max_ms bigint,
    durations       metrics.sketch NOT NULL,
    PRIMARY KEY (workflow_id, project_id)
) WITH (toast_tuple_target = 128);
ALTER TABLE metrics.workflow_recent_days
    ALTER COLUMN durations SET STORAGE EXTERNAL;

CREATE TABLE metrics.project_recent_days (
    project_id      uuid           PRIMARY KEY,
    success_count   bigint         NOT NULL,
    failure_count   bigint         NOT NULL,
    canceled_count  bigint         NOT NULL,
    duration_sum_ms numeric        NOT NULL,
    duration_min_ms bigint,
    duration_max_ms bigint,
    durations       metrics.sketch NOT NULL
) WITH (toast_tuple_target = 128);
ALTER TABLE metrics.project_recent_days
    ALTER COLUMN durations SET STORAGE EXTERNAL;

-- Adds those days up where that is due; returns whether it did. It has the turn
-- of the trends meanwhile, so no day changes. A day is left alone for an hour
-- after its end, as runs that ended in it may be counted a little later.
CREATE FUNCTION metrics.add_up_recent_days() RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp SET timezone = 'UTC'
SET jit = off SET work_mem = '32MB'
AS $$
DECLARE
    ends    timestamptz := date_trunc('day', now() - interval '1 hour', 'UTC');
    begins  timestamptz := ends - interval '29 days';
    project uuid;
BEGIN
    IF EXISTS (SELECT FROM metrics.recent_days AS r WHERE r.until = ends)
       OR NOT metrics.claim_stream('trends') THEN
        RETURN false;
    END IF;
    DELETE FROM metrics.recent_days;
    DELETE FROM metrics.workflow_recent_days;
    DELETE FROM metrics.project_recent_days;
    -- One by one, for the sake of memory.
    FOR project IN
        SELECT DISTINCT d.project_id FROM metrics.project_metrics_daily AS d
        WHERE d.bucket_start >= begins AND d.bucket_start < ends
        UNION
        SELECT DISTINCT d.project_id FROM metrics.workflow_metrics_daily AS d
        WHERE d.bucket_start >= begins AND d.bucket_start < ends
    LOOP
        WITH days AS MATERIALIZED (
            SELECT * FROM metrics.workflow_metrics_daily
            WHERE project_id = project
              AND bucket_start >= begins AND bucket_start < ends
        ), cells AS (
            SELECT workflow_id, bucket, sum(n)::bigint AS n
            FROM (SELECT workflow_id, unnest((durations).buckets) AS bucket,
                         unnest((durations).counts) AS n
                  FROM days) AS all_days
            GROUP BY workflow_id, bucket
        ), sketches AS (
            SELECT workflow_id,
                   ROW(array_agg(bucket ORDER BY bucket),
                       array_agg(n ORDER BY bucket))::metrics.sketch
                       AS durations
            FROM cells GROUP BY workflow_id
        )
        INSERT INTO metrics.workflow_recent_days
        SELECT workflow_id, project, sum(success_count), sum(failure_count),
               sum(canceled_count), sum(duration_sum_ms), min(duration_min_ms),
               max(duration_max_ms),
               coalesce((SELECT s.durations FROM sketches AS s
                         WHERE s.workflow_id = days.workflow_id),
                        '({},{})')
        FROM days GROUP BY workflow_id;

        WITH days AS MATERIALIZED (
            SELECT * FROM metrics.project_metrics_daily
            WHERE project_id = project
              AND bucket_start >= begins AND bucket_start < ends
        ), cells AS (
            SELECT bucket, sum(n)::bigint AS n
            FROM (SELECT unnest((durations).buckets) AS bucket,
                         unnest((durations).counts) AS n
                  FROM days) AS all_days
            GROUP BY bucket
        )
        INSERT INTO metrics.project_recent_days
        SELECT project, sum(success_count), sum(failure_count),
               sum(canceled_count), sum(duration_sum_ms), min(duration_min_ms),
               max(duration_max_ms),
               (SELECT ROW(coalesce(array_agg(bucket ORDER BY bucket), '{}'),
                           coalesce(array_agg(n ORDER BY bucket), '{}')
                       )::metrics.sketch FROM cells)
        FROM days HAVING count(*) > 0;
    END LOOP;
    INSERT INTO metrics.recent_days (since, until) VALUES (begins, ends);
    RETURN true;
END $$;

-- Adds facts that finished at or after `since` to every trend table; returns
-- how many there were.
CREATE OR REPLACE FUNCTION metrics.add_trends(
    source text, since timestamptz DEFAULT '-infinity')
RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp SET datestyle = 'ISO'
SET jit = off SET work_mem = '32MB'
AS $$
DECLARE
    cells metrics.trend_cell[];
    trend metrics.trend_tables;
BEGIN
    EXECUTE format('SELECT array_agg(ROW(cells.*)::metrics.trend_cell) '
                   'FROM (%s) AS cells',
                   metrics.trend_cells_query(source, since))
    INTO cells;
    IF EXISTS (SELECT FROM unnest(cells)
               WHERE hour < (SELECT r.until FROM metrics.recent_days AS r)) THEN
        DELETE FROM metrics.recent_days;
    END IF;
    FOR trend IN SELECT * FROM metrics.trend_tables LOOP
        EXECUTE format($sql$
            INSERT INTO metrics.%I AS t
                (%s%s, bucket_start, success_count, failure_count,
                 canceled_count, duration_sum_ms, duration_min_ms,
                 duration_max_ms, durations)
            %s
            ON CONFLICT (%2$s, bucket_start) DO UPDATE
            SET success_count = t.success_count + excluded.success_count,
                failure_count = t.failure_count + excluded.failure_count,
                canceled_count = t.canceled_count + excluded.canceled_count,
                duration_sum_ms = t.duration_sum_ms + excluded.duration_sum_ms,
                duration_min_ms = least(t.duration_min_ms,
                                        excluded.duration_min_ms),
                duration_max_ms = greatest(t.duration_max_ms,
                                           excluded.duration_max_ms),
                durations = metrics.sketch_add(t.durations, excluded.durations)
            $sql$, trend.name, trend.key, trend.others,
            metrics.trend_rows_query(trend, 'unnest($1)'))
        USING cells;
    END LOOP;
    RETURN (SELECT coalesce(sum(succeeded + failed + canceled), 0)
            FROM unnest(cells));
END $$;


-- rebuild() begins with an empty table.
CREATE FUNCTION metrics.forget_recent_days() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    DELETE FROM metrics.recent_days;
    RETURN NULL;
END $$;
CREATE TRIGGER forget_recent_days
    AFTER DELETE OR TRUNCATE ON metrics.workflow_metrics_daily
    FOR EACH STATEMENT EXECUTE FUNCTION metrics.forget_recent_days();
CREATE TRIGGER forget_recent_days
    AFTER DELETE OR TRUNCATE ON metrics.project_metrics_daily
    FOR EACH STATEMENT EXECUTE FUNCTION metrics.forget_recent_days();

-- What a range is put together of: hours at both ends, whole days, and of those
-- the ones that are added up already, where they are all in it. Of today the
-- rest is still to come, so it is a whole day where the range ends after now.
CREATE TYPE metrics.range_parts AS (
    since timestamptz, first_day timestamptz, recent_since timestamptz,
    recent_until timestamptz, last_day timestamptz, until timestamptz);

CREATE FUNCTION metrics.parts_of_range(since timestamptz, until timestamptz)
RETURNS metrics.range_parts LANGUAGE plpgsql STABLE AS $$
DECLARE
    parts metrics.range_parts;
BEGIN
    parts.since := since;
    parts.until := until;
    parts.first_day := metrics.ceil_time('day', since);
    parts.last_day := CASE WHEN until > now()
                           THEN metrics.ceil_time('day', until)
                           ELSE date_trunc('day', until, 'UTC') END;
    IF parts.first_day >= parts.last_day THEN
        parts.first_day := until;
        parts.last_day := until;
    END IF;
    SELECT r.since, r.until INTO parts.recent_since, parts.recent_until
    FROM metrics.recent_days AS r
    WHERE r.since >= parts.first_day AND r.until <= parts.last_day;
    IF NOT FOUND THEN
        parts.recent_since := parts.last_day;
        parts.recent_until := parts.last_day;
    END IF;
    RETURN parts;
END $$;

-- The rows of those parts. What a part compares first is known before anything
-- is read, so one that is empty costs nothing. These are made part of the query
-- that asks, and so have no settings of their own.
CREATE FUNCTION metrics.rows_of_projects(
    projects uuid[], parts metrics.range_parts)
RETURNS SETOF metrics.project_metrics_daily LANGUAGE sql STABLE AS $$
    SELECT project_id, NULL::timestamptz, success_count,
           failure_count, canceled_count, duration_sum_ms, duration_min_ms,
           duration_max_ms, durations
    FROM metrics.project_recent_days
    WHERE (parts).recent_since < (parts).recent_until
      AND project_id = ANY (projects)
    UNION ALL
    SELECT project_id, bucket_start, success_count, failure_count,
           canceled_count, duration_sum_ms, duration_min_ms, duration_max_ms,
           durations
    FROM metrics.project_metrics_daily
    WHERE (parts).first_day < (parts).recent_since
      AND project_id = ANY (projects)
      AND bucket_start >= (parts).first_day
      AND bucket_start < (parts).recent_since
    UNION ALL
    SELECT project_id, bucket_start, success_count, failure_count,
           canceled_count, duration_sum_ms, duration_min_ms, duration_max_ms,
           durations
    FROM metrics.project_metrics_daily
    WHERE (parts).recent_until < (parts).last_day
      AND project_id = ANY (projects)
      AND bucket_start >= (parts).recent_until
      AND bucket_start < (parts).last_day
    UNION ALL
    SELECT project_id, bucket_start, success_count, failure_count,
           canceled_count, duration_sum_ms, duration_min_ms, duration_max_ms,
           durations
    FROM metrics.project_metrics_hourly
    WHERE (parts).since < (parts).first_day
      AND project_id = ANY (projects)
      AND bucket_start >= (parts).since AND bucket_start < (parts).first_day
    UNION ALL
    SELECT project_id, bucket_start, success_count, failure_count,
           canceled_count, duration_sum_ms, duration_min_ms, duration_max_ms,
           durations
    FROM metrics.project_metrics_hourly
    WHERE (parts).last_day < (parts).until
      AND project_id = ANY (projects)
      AND bucket_start >= (parts).last_day AND bucket_start < (parts).until
$$;

-- IS TRUE: the index on workflows is the one to read by.
CREATE FUNCTION metrics.rows_of_workflows(
    workflows uuid[], projects uuid[], parts metrics.range_parts)
RETURNS SETOF metrics.workflow_metrics_daily LANGUAGE sql STABLE AS $$
    SELECT workflow_id, project_id, NULL::timestamptz, success_count,
           failure_count, canceled_count, duration_sum_ms, duration_min_ms,
           duration_max_ms, durations
    FROM metrics.workflow_recent_days
    WHERE (parts).recent_since < (parts).recent_until
      AND workflow_id = ANY (workflows)
      AND (project_id = ANY (projects)) IS TRUE
    UNION ALL
    SELECT workflow_id, project_id, bucket_start, success_count, failure_count,
           canceled_count, duration_sum_ms, duration_min_ms, duration_max_ms,
           durations
    FROM metrics.workflow_metrics_daily
    WHERE (parts).first_day < (parts).recent_since
      AND workflow_id = ANY (workflows)
      AND (project_id = ANY (projects)) IS TRUE
      AND bucket_start >= (parts).first_day
      AND bucket_start < (parts).recent_since
    UNION ALL
    SELECT workflow_id, project_id, bucket_start, success_count, failure_count,
           canceled_count, duration_sum_ms, duration_min_ms, duration_max_ms,
           durations
    FROM metrics.workflow_metrics_daily
    WHERE (parts).recent_until < (parts).last_day
      AND workflow_id = ANY (workflows)
      AND (project_id = ANY (projects)) IS TRUE
      AND bucket_start >= (parts).recent_until
      AND bucket_start < (parts).last_day
    UNION ALL
    SELECT workflow_id, project_id, bucket_start, success_count, failure_count,
           canceled_count, duration_sum_ms, duration_min_ms, duration_max_ms,
           durations
    FROM metrics.workflow_metrics_hourly
    WHERE (parts).since < (parts).first_day
      AND workflow_id = ANY (workflows)
      AND (project_id = ANY (projects)) IS TRUE
      AND bucket_start >= (parts).since AND bucket_start < (parts).first_day
    UNION ALL
    SELECT workflow_id, project_id, bucket_start, success_count, failure_count,
           canceled_count, duration_sum_ms, duration_min_ms, duration_max_ms,
           durations
    FROM metrics.workflow_metrics_hourly
    WHERE (parts).last_day < (parts).until
      AND workflow_id = ANY (workflows)
      AND (project_id = ANY (projects)) IS TRUE
      AND bucket_start >= (parts).last_day AND bucket_start < (parts).until
$$;

-- Refused unless granted here, whatever default privileges gave to whom.
SELECT metrics.revoke_all(name)
FROM unnest('{recent_days,workflow_recent_days,project_recent_days}'::text[])
     AS name;
SELECT metrics.revoke_functions('add_up_recent_days', 'forget_recent_days',
                                'parts_of_range', 'rows_of_projects',
                                'rows_of_workflows');
