-- Ranges of the trends, as the API asks about them.

-- What a range is put together of: hours at both ends, and whole days. Of today
-- the rest is still to come, so it is a whole day where the range ends after now.
CREATE TYPE metrics.range_parts AS (
    since timestamptz, first_day timestamptz, last_day timestamptz,
    until timestamptz);

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
    RETURN parts;
END $$;

-- The rows of those parts. What a part compares first is known before anything
-- is read, so one that is empty costs nothing. These are made part of the query
-- that asks, and so have no settings of their own.
CREATE FUNCTION metrics.rows_of_projects(
    projects uuid[], parts metrics.range_parts)
RETURNS SETOF metrics.project_metrics_daily LANGUAGE sql STABLE AS $$
    SELECT project_id, bucket_start, success_count, failure_count,
           canceled_count, duration_sum_ms, duration_min_ms, duration_max_ms,
           durations
    FROM metrics.project_metrics_daily
    WHERE (parts).first_day < (parts).last_day
      AND project_id = ANY (projects)
      AND bucket_start >= (parts).first_day
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
    SELECT workflow_id, project_id, bucket_start, success_count, failure_count,
           canceled_count, duration_sum_ms, duration_min_ms, duration_max_ms,
           durations
    FROM metrics.workflow_metrics_daily
    WHERE (parts).first_day < (parts).last_day
      AND workflow_id = ANY (workflows)
      AND (project_id = ANY (projects)) IS TRUE
      AND bucket_start >= (parts).first_day
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
SELECT metrics.revoke_functions('parts_of_range', 'rows_of_projects',
                                'rows_of_workflows');
