-- Trends: how a workflow, or a project, did in each hour and each day.
--
--   execution_time_statistics --take_facts('trends')--> workflow_metrics_hourly
--                                                       workflow_metrics_daily
--                                                       project_metrics_hourly
--                                                       project_metrics_daily
--
-- Counts, sum, minimum and maximum are exact. Percentiles come from a sketch
-- that any number of hours and days can be merged into without losing
-- accuracy: durations are counted in buckets that each span 2 % (DDSketch:
-- Masson, Rim, Lee, VLDB 2019), so a percentile is within 1 % of a duration
-- that ran.

-- Counts of durations by bucket; buckets ascend, and those at 0 are left out.
CREATE TYPE metrics.sketch AS (buckets smallint[], counts bigint[]);

-- The bucket of a duration in ms: number i > -1 spans (g^(i-1), g^i] with
-- g = 1.01/0.99; -1 is a duration of 0.
CREATE FUNCTION metrics.sketch_bucket(ms bigint) RETURNS smallint
LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN ms > 0
                THEN ceil(ln(ms::float8) / ln(1.01::float8 / 0.99))::smallint
                WHEN ms <= 0 THEN -1::smallint END
$$;

-- The duration in ms that is within 1 % of all those of the bucket.
CREATE FUNCTION metrics.sketch_value(bucket smallint) RETURNS float8
LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN bucket >= 0
                THEN 0.99 * power(1.01::float8 / 0.99, bucket)
                WHEN bucket < 0 THEN 0 END
$$;

-- Merges two sketches. What is added is mostly a run or two, so each bucket is
-- put in its place, which takes a tenth of the time that merging all does.
CREATE FUNCTION metrics.sketch_add(a metrics.sketch, b metrics.sketch)
RETURNS metrics.sketch LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    buckets smallint[] := coalesce(a.buckets, '{}');
    counts  bigint[] := coalesce(a.counts, '{}');
    place   int;
BEGIN
    IF cardinality(b.buckets) > 32 THEN
        RETURN (SELECT ROW(array_agg(bucket ORDER BY bucket),
                           array_agg(runs ORDER BY bucket))::metrics.sketch
                FROM (SELECT bucket, sum(n)::bigint AS runs
                      FROM unnest(buckets || b.buckets, counts || b.counts)
                           AS both_of_them (bucket, n)
                      GROUP BY bucket) AS merged);
    END IF;
    FOR i IN 1 .. coalesce(cardinality(b.buckets), 0) LOOP
        place := width_bucket(b.buckets[i], buckets);
        IF buckets[place] = b.buckets[i] THEN
            counts[place] := counts[place] + b.counts[i];
        ELSE
            buckets := buckets[:place] || b.buckets[i] || buckets[place + 1:];
            counts := counts[:place] || b.counts[i] || counts[place + 1:];
        END IF;
    END LOOP;
    RETURN ROW(buckets, counts)::metrics.sketch;
END $$;

-- The durations at those ranks, NULL for a sketch without any: a rank of 0.95
-- is the least duration that 95 % of all do not exceed (percentile_disc).
CREATE FUNCTION metrics.sketch_percentiles(s metrics.sketch, ranks numeric[])
RETURNS float8[] LANGUAGE sql IMMUTABLE AS $$
    WITH running AS MATERIALIZED (
        SELECT bucket, sum(n) OVER (ORDER BY bucket) AS up_to
        FROM unnest((s).buckets, (s).counts) AS one (bucket, n)
    )
    SELECT array_agg(metrics.sketch_value(
               (SELECT min(bucket) FROM running
                WHERE up_to >= rank * (SELECT max(up_to) FROM running)))
               ORDER BY i)
    FROM unnest(ranks) WITH ORDINALITY AS r (rank, i)
$$;

-- Tables of one shape, by month like the facts. `bucket_start` is the
-- beginning of the hour or day in UTC; durations, in ms, are those of
-- succeeded and failed runs.
CREATE TABLE metrics.workflow_metrics_hourly (
    workflow_id     uuid           NOT NULL,
    project_id      uuid           NOT NULL,
    bucket_start    timestamptz    NOT NULL,
    success_count   bigint         NOT NULL,
    failure_count   bigint         NOT NULL,
    canceled_count  bigint         NOT NULL,
    duration_sum_ms numeric        NOT NULL,
    duration_min_ms bigint,
    duration_max_ms bigint,
    durations       metrics.sketch NOT NULL,
    PRIMARY KEY (workflow_id, bucket_start)
) PARTITION BY RANGE (bucket_start);
CREATE INDEX workflow_metrics_hourly_project
    ON metrics.workflow_metrics_hourly (project_id, bucket_start);
CREATE INDEX workflow_metrics_hourly_start
    ON metrics.workflow_metrics_hourly USING brin (bucket_start)
    WITH (pages_per_range = 16);
CREATE TABLE metrics.workflow_metrics_hourly_default
    PARTITION OF metrics.workflow_metrics_hourly DEFAULT;

CREATE TABLE metrics.workflow_metrics_daily (
    LIKE metrics.workflow_metrics_hourly,
    PRIMARY KEY (workflow_id, bucket_start)
) PARTITION BY RANGE (bucket_start);
CREATE INDEX workflow_metrics_daily_project
    ON metrics.workflow_metrics_daily (project_id, bucket_start);
CREATE TABLE metrics.workflow_metrics_daily_default
    PARTITION OF metrics.workflow_metrics_daily DEFAULT;

-- A project's hours and days, so that a question about a hundred workflows and
-- a month reads a row where it would read twenty.
CREATE TABLE metrics.project_metrics_hourly (
    project_id      uuid           NOT NULL,
    bucket_start    timestamptz    NOT NULL,
    success_count   bigint         NOT NULL,
    failure_count   bigint         NOT NULL,
    canceled_count  bigint         NOT NULL,
    duration_sum_ms numeric        NOT NULL,
    duration_min_ms bigint,
    duration_max_ms bigint,
    durations       metrics.sketch NOT NULL,
    PRIMARY KEY (project_id, bucket_start)
) PARTITION BY RANGE (bucket_start);
CREATE TABLE metrics.project_metrics_hourly_default
    PARTITION OF metrics.project_metrics_hourly DEFAULT;

CREATE TABLE metrics.project_metrics_daily (
    LIKE metrics.project_metrics_hourly,
    PRIMARY KEY (project_id, bucket_start)
) PARTITION BY RANGE (bucket_start);
CREATE TABLE metrics.project_metrics_daily_default
    PARTITION OF metrics.project_metrics_daily DEFAULT;

-- The trend tables: what they are keyed by, how long their buckets are, and
-- their columns beside the key with what to take for them: of a workflow its
-- own project, as in run_totals_query().
CREATE VIEW metrics.trend_tables AS
SELECT name, key, unit,
       CASE WHEN key = 'workflow_id' THEN ', project_id' ELSE '' END AS others,
       CASE WHEN key = 'workflow_id'
            THEN ', coalesce((SELECT d.project_id '
                 'FROM public.workflow_definitions AS d '
                 'WHERE d.id = by_bucket.workflow_id), (array_agg(project))[1])'
            ELSE '' END AS values_of_others
FROM (VALUES ('workflow_metrics_hourly', 'workflow_id', 'hour'),
             ('workflow_metrics_daily', 'workflow_id', 'day'),
             ('project_metrics_hourly', 'project_id', 'hour'),
             ('project_metrics_daily', 'project_id', 'day'))
     AS t (name, key, unit);

-- Facts counted by workflow, hour and sketch bucket: what every trend table is
-- made of.
CREATE TYPE metrics.trend_cell AS (
    workflow_id uuid, project_id uuid, hour timestamptz, bucket smallint,
    succeeded bigint, failed bigint, canceled bigint,
    sum_ms numeric, min_ms bigint, max_ms bigint);

-- The query that counts facts which finished at or after `since` into cells.
-- `source` is as for run_totals_query().
CREATE FUNCTION metrics.trend_cells_query(source text, since timestamptz)
RETURNS text LANGUAGE sql STABLE AS $$
    SELECT format($sql$
        SELECT workflow_id, project_id, hour, bucket,
               count(*) FILTER (WHERE status = 'succeeded') AS succeeded,
               count(*) FILTER (WHERE status = 'failed') AS failed,
               count(*) FILTER (WHERE status = 'canceled') AS canceled,
               coalesce(sum(ms), 0) AS sum_ms, min(ms) AS min_ms,
               max(ms) AS max_ms
        FROM (SELECT workflow_id, project_id, status, ms,
                     date_trunc('hour', created_at, 'UTC') AS hour,
                     metrics.sketch_bucket(ms) AS bucket
              FROM (SELECT *, CASE WHEN status <> 'canceled'
                                   THEN execution_time_ms END AS ms
                    FROM %s) AS facts
              WHERE created_at >= %L) AS placed
        GROUP BY workflow_id, project_id, hour, bucket $sql$, source, since)
$$;

-- The query that makes the rows of a trend table from `cells`, SQL for the FROM
-- clause that gives cells.
CREATE FUNCTION metrics.trend_rows_query(
    trend metrics.trend_tables, cells text)
RETURNS text LANGUAGE sql STABLE AS $$
    SELECT format($sql$
        SELECT %1$s%4$s, start AS bucket_start,
               sum(succeeded)::bigint AS success_count,
               sum(failed)::bigint AS failure_count,
               sum(canceled)::bigint AS canceled_count,
               sum(sum_ms) AS duration_sum_ms,
               min(min_ms) AS duration_min_ms, max(max_ms) AS duration_max_ms,
               ROW(coalesce(array_agg(bucket ORDER BY bucket)
                            FILTER (WHERE bucket IS NOT NULL), '{}'),
                   coalesce(array_agg(succeeded + failed ORDER BY bucket)
                            FILTER (WHERE bucket IS NOT NULL), '{}')
               )::metrics.sketch AS durations
        FROM (SELECT %1$s, date_trunc(%2$L, hour, 'UTC') AS start, bucket,
                     (array_agg(project_id))[1] AS project,
                     sum(succeeded)::bigint AS succeeded,
                     sum(failed)::bigint AS failed,
                     sum(canceled)::bigint AS canceled,
                     sum(sum_ms) AS sum_ms, min(min_ms) AS min_ms,
                     max(max_ms) AS max_ms
              FROM %3$s AS cells GROUP BY %1$s, start, bucket) AS by_bucket
        GROUP BY %1$s, start $sql$,
        trend.key, trend.unit, cells, trend.values_of_others)
$$;

-- Adds facts that finished at or after `since` to every trend table; returns
-- how many there were.
CREATE FUNCTION metrics.add_trends(
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

-- Adds up to about `max_facts` new facts to the trends; returns how many, or
-- NULL when another session does.
CREATE FUNCTION metrics.fold_trends(max_facts int DEFAULT 200000)
RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    started_at timestamptz := clock_timestamp();
    folded     bigint;
BEGIN
    IF NOT metrics.claim_stream('trends') OR NOT metrics.is_adopted() THEN
        RETURN NULL;
    END IF;
    folded := metrics.add_trends(
        format('metrics.take_facts(''trends'', %L)', max_facts));
    PERFORM metrics.record_task('trends', started_at, folded);
    RETURN folded;
END $$;

SELECT metrics.add_consumer('trends');

-- Not left to 0019: whoever may use the schema could call it until then.
REVOKE ALL ON ALL FUNCTIONS IN SCHEMA metrics FROM PUBLIC;
