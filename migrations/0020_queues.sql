-- Queues and jobs, for the exporter: how many and how old, never what is in
-- them. These functions run with their owner's rights, so the exporter's role
-- needs none on the tables.
--
-- What they read may be absent, is named only when they run, and belongs to
-- others: pgmq, pg-boss, pg_cron, MeshHook's job_tracking and queue_config. No
-- call waits for a lock longer than 100 ms. A table counts only if its columns
-- have the types they should: a type of somebody else's, or a view, would run
-- that one's code here.

-- Whether somebody has a table, a partition or an index of it to himself, or
-- waits for that: who reads it then would wait as well.
CREATE FUNCTION metrics.is_locked(relation oid) RETURNS boolean
LANGUAGE sql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
    WITH tables AS (
        SELECT relation AS oid
        UNION ALL
        SELECT inhrelid FROM pg_inherits WHERE inhparent = relation
    )
    SELECT EXISTS (
        SELECT FROM pg_locks AS l
        WHERE locktype = 'relation' AND mode = 'AccessExclusiveLock'
          AND database = (SELECT d.oid FROM pg_database AS d
                          WHERE datname = current_database())
          AND l.relation IN (SELECT oid FROM tables
                             UNION ALL
                             SELECT indexrelid FROM pg_index
                             WHERE indrelid IN (SELECT oid FROM tables)))
$$;

-- pgmq's queues, the 100 with the most messages. Of each it counts up to `most`
-- messages, the first ones, and fewer once 300,000 have been counted in all;
-- a queue that has more is a lower bound. One whose table is locked or gone has
-- no row this time. A message that a worker put off is in flight, as nothing
-- tells them apart.
CREATE FUNCTION metrics.queues(most int DEFAULT 100000)
RETURNS TABLE (queue_name text, visible_count bigint, in_flight_count bigint,
               delayed_count bigint, is_lower_bound boolean,
               oldest_age_seconds float8, longest_visible_seconds float8,
               sent_count bigint, archived_rows float8)
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET row_security = off SET lock_timeout = '100ms' SET jit = off
AS $$
#variable_conflict use_column
DECLARE
    queue   record;
    counted bigint := 0;
    moment  timestamptz;
    some_locked boolean := EXISTS (SELECT FROM pg_locks
                                   WHERE mode = 'AccessExclusiveLock'
                                     AND locktype = 'relation');
BEGIN
    most := greatest(least(coalesce(most, 100000), 100000), 1);
    FOR queue IN
        WITH estimates AS MATERIALIZED (  -- of partitions together
            SELECT coalesce(inhparent, oid) AS oid,
                   sum(CASE WHEN reltuples < 0
                            THEN pg_stat_get_live_tuples(oid)
                            ELSE reltuples END) AS row_count
            FROM pg_class LEFT JOIN pg_inherits ON inhrelid = oid
            WHERE relnamespace = 'pgmq'::regnamespace AND relkind = 'r'
            GROUP BY 1
        )
        SELECT m.queue_name::text AS name, q.oid, q.relname,
               archived.row_count AS archived,
               (SELECT 'ORDER BY ' || quote_ident(min(attname::text))
                FROM pg_index JOIN pg_attribute AS c
                     ON c.attrelid = q.oid AND attnum = indkey[0]
                WHERE indrelid = q.oid AND indisvalid AND indpred IS NULL
                  AND attname = 'msg_id') AS first_ones
        FROM pgmq.meta AS m
        JOIN pg_class AS q
            ON q.relname IN ('q_' || m.queue_name,
                             lower('q_' || m.queue_name))
            AND q.relnamespace = 'pgmq'::regnamespace
        LEFT JOIN estimates AS waiting ON waiting.oid = q.oid
        LEFT JOIN pg_class AS a
            ON a.relname = 'a' || substr(q.relname, 2)
            AND a.relnamespace = q.relnamespace
        LEFT JOIN estimates AS archived ON archived.oid = a.oid
        WHERE q.relkind IN ('r', 'p')
          AND (SELECT count(*) FROM pg_attribute
               WHERE attrelid = q.oid
                 AND (attname, atttypid) IN (
                     ('msg_id', 'bigint'::regtype),
                     ('read_ct', 'int'::regtype),
                     ('enqueued_at', 'timestamptz'::regtype),
                     ('vt', 'timestamptz'::regtype))) = 4
          -- A standby has nothing of these.
          AND (q.relpersistence <> 'u' OR NOT pg_is_in_recovery())
        ORDER BY waiting.row_count DESC NULLS LAST, m.queue_name LIMIT 100
    LOOP
        CONTINUE WHEN some_locked AND metrics.is_locked(queue.oid);
        moment := clock_timestamp();  -- what was sent just now is not delayed
        BEGIN
            EXECUTE format($sql$
                SELECT count(*) FILTER (WHERE vt <= $2),
                       count(*) FILTER (WHERE vt > $2 AND read_ct > 0),
                       count(*) FILTER (WHERE vt > $2 AND read_ct = 0),
                       count(*) >= $1,
                       extract(epoch FROM $2 - min(enqueued_at)),
                       extract(epoch FROM
                               $2 - min(vt) FILTER (WHERE vt <= $2))
                FROM (SELECT read_ct, enqueued_at, vt FROM pgmq.%I %s
                      LIMIT $1) AS messages $sql$,
                queue.relname, queue.first_ones)
            INTO visible_count, in_flight_count, delayed_count, is_lower_bound,
                 oldest_age_seconds, longest_visible_seconds
            USING least(most, greatest(1000, 300000 - counted)), moment;
            sent_count := coalesce(pg_sequence_last_value(
                pg_get_serial_sequence(format('pgmq.%I', queue.relname),
                                       'msg_id')::regclass), 0);
        EXCEPTION WHEN lock_not_available OR undefined_table
                       OR undefined_column THEN
            CONTINUE;
        END;
        counted := counted + visible_count + in_flight_count + delayed_count;
        queue_name := queue.name;
        archived_rows := queue.archived;
        RETURN NEXT;
    END LOOP;
END $$;

-- pg-boss's jobs by queue and state, from the first `most` rows of its table
-- and as many more of those that wait, which have an index. Where there are
-- more, all are lower bounds.
CREATE FUNCTION metrics.boss_jobs(most int DEFAULT 100000)
RETURNS TABLE (queue_name text, state text, job_count bigint,
               oldest_age_seconds float8, is_lower_bound boolean)
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET row_security = off SET lock_timeout = '100ms' SET jit = off
AS $$
DECLARE
    job        oid := (SELECT oid FROM pg_class
                       WHERE relname = 'job'
                         AND relnamespace = to_regnamespace('pgboss'));
    created_on text;  -- version 10 renamed it
BEGIN
    SELECT c.attname INTO created_on
    FROM pg_class AS r
    JOIN pg_attribute AS n ON n.attrelid = r.oid AND n.attname = 'name'
    JOIN pg_attribute AS s ON s.attrelid = r.oid AND s.attname = 'state'
    JOIN pg_type AS t ON t.oid = s.atttypid
    JOIN pg_attribute AS c ON c.attrelid = r.oid
        AND c.attname IN ('created_on', 'createdon')
    WHERE r.oid = job AND relkind IN ('r', 'p') AND typtype = 'e'
      AND n.atttypid = 'text'::regtype
      AND c.atttypid = 'timestamptz'::regtype;
    IF created_on IS NULL OR metrics.is_locked(job) THEN
        RETURN;
    END IF;
    RETURN QUERY EXECUTE format($sql$
        WITH read AS (
            SELECT name, state, count(*) AS jobs, min(%1$I) AS oldest
            FROM (SELECT name, state, %1$I FROM pgboss.job LIMIT $1) AS j
            GROUP BY name, state
        ), waiting AS (
            SELECT name, state, count(*) AS jobs, min(%1$I) AS oldest
            FROM (SELECT name, state, %1$I FROM pgboss.job
                  WHERE state < 'active' LIMIT $1) AS j
            GROUP BY name, state
        )
        SELECT name, state::text, jobs,
               CASE WHEN state <= 'active'
                    THEN extract(epoch FROM now() - oldest) END::float8,
               (SELECT sum(jobs) >= $1 FROM read)
        FROM (SELECT * FROM waiting
              UNION ALL
              SELECT * FROM read WHERE state >= 'active') AS parts $sql$,
        created_on)
    USING greatest(least(coalesce(most, 100000), 100000), 1);
EXCEPTION WHEN lock_not_available OR undefined_table OR undefined_column THEN
    RETURN;
END $$;

-- pg_cron's first 100 jobs, and how they did among the last 20,000 runs, as
-- there is no index to find the others by. pg_cron shows a role its own jobs,
-- unless it bypasses row security; here the role is this function's owner.
CREATE FUNCTION metrics.cron_jobs()
RETURNS TABLE (jobid bigint, jobname text, active boolean,
               last_start timestamptz, last_succeeded boolean,
               last_duration interval, runs_24h bigint, failures_24h bigint)
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp SET lock_timeout = '100ms' SET jit = off
AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    WITH recent AS MATERIALIZED (
        SELECT jobid, runid, status, start_time, end_time
        FROM cron.job_run_details ORDER BY runid DESC LIMIT 20000
    )
    SELECT j.jobid, coalesce(to_jsonb(j) ->> 'jobname', ''), j.active, r.*
    FROM (SELECT * FROM cron.job ORDER BY jobid LIMIT 100) AS j,
         LATERAL (
             SELECT max(start_time),
                    (array_agg(status = 'succeeded' ORDER BY runid DESC)
                     FILTER (WHERE ended))[1],
                    (array_agg(end_time - start_time ORDER BY runid DESC)
                     FILTER (WHERE ended))[1],
                    count(*) FILTER (WHERE today),
                    count(*) FILTER (WHERE today AND status = 'failed')
             FROM recent,
                  LATERAL (SELECT status IN ('succeeded', 'failed'),
                                  coalesce(start_time, end_time)
                                  >= now() - interval '24 hours')
                          AS f (ended, today)
             WHERE recent.jobid = j.jobid) AS r;
END $$;

-- What MeshHook's workers go by, of the first 100 queues.
CREATE FUNCTION metrics.queue_settings()
RETURNS TABLE (queue_name text, visibility_timeout_seconds int,
               max_retry_attempts int)
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp SET lock_timeout = '100ms'
AS $$
BEGIN
    RETURN QUERY
    SELECT c.queue_name, c.visibility_timeout_seconds, c.max_retry_attempts
    FROM public.queue_config AS c ORDER BY c.queue_name LIMIT 100;
END $$;

-- MeshHook's jobs by queue and state, and how many came into it in the last
-- 24 hours. Reads them all, as no index tells the unfinished: the refresh paces
-- it.
CREATE FUNCTION metrics.job_totals()
RETURNS TABLE (queue_name text, state text, job_count bigint,
               job_count_24h bigint, attempt_count bigint,
               oldest_at timestamptz)
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
    IF NOT EXISTS (SELECT FROM pg_class
                   WHERE relname = 'job_tracking'
                     AND relnamespace = 'public'::regnamespace) THEN
        RETURN;
    END IF;
    RETURN QUERY
    SELECT queue_name, state, count(*),
           count(*) FILTER (WHERE since >= now() - interval '24 hours'),
           sum(attempt)::bigint, min(since)
    FROM public.job_tracking,
         LATERAL (  -- one that was started again runs
             SELECT CASE WHEN failed_at < started_at THEN NULL
                         ELSE failed_at END) AS f (failed_since),
         LATERAL (
             SELECT CASE WHEN moved_to_dlq_at IS NOT NULL THEN 'dead_letter'
                         WHEN completed_at IS NOT NULL THEN 'completed'
                         WHEN failed_since IS NOT NULL THEN 'failed'
                         WHEN started_at IS NOT NULL THEN 'running'
                         ELSE 'waiting' END,
                    coalesce(moved_to_dlq_at, completed_at, failed_since,
                             started_at, enqueued_at)) AS s (state, since)
    GROUP BY queue_name, state;
END $$;

CREATE MATERIALIZED VIEW metrics.mv_job_tracking AS
SELECT * FROM metrics.job_totals();
CREATE UNIQUE INDEX mv_job_tracking_state
    ON metrics.mv_job_tracking (queue_name, state);

INSERT INTO metrics.worker_tasks (task) VALUES ('mv_job_tracking');

-- Refused unless granted here, whatever default privileges gave to whom.
SELECT metrics.revoke_all('mv_job_tracking');
DO $$
DECLARE
    held record;
BEGIN
    FOR held IN
        SELECT p.oid::regprocedure::text AS function, grantee
        FROM pg_proc AS p,
             aclexplode(coalesce(proacl, acldefault('f', proowner))) AS a
        WHERE pronamespace = 'metrics'::regnamespace AND grantee <> proowner
          AND proname IN ('is_locked', 'queues', 'boss_jobs', 'cron_jobs',
                          'queue_settings', 'job_totals')
    LOOP
        EXECUTE format('REVOKE ALL ON FUNCTION %s FROM %s', held.function,
                       CASE WHEN held.grantee = 0 THEN 'PUBLIC'
                            ELSE held.grantee::regrole::text END);
    END LOOP;
END $$;

GRANT SELECT ON metrics.mv_job_tracking TO meshhook_exporter;
GRANT EXECUTE ON FUNCTION metrics.queues(int), metrics.boss_jobs(int),
    metrics.cron_jobs(), metrics.queue_settings() TO meshhook_exporter;
