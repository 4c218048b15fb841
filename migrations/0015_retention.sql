-- Months made ahead and dropped behind, and how long each table is kept.

-- How long rows are kept: change `period` as you need it. A table by month
-- loses a month once all of it is older; another is pruned row by row.
CREATE TABLE metrics.retention (
    table_name     text        PRIMARY KEY,
    time_column    text        NOT NULL,
    by_month       boolean     NOT NULL,
    period         interval    NOT NULL,
    least_period   interval    NOT NULL,  -- what the windows need
    dropped_before timestamptz NOT NULL DEFAULT '-infinity',
    CONSTRAINT period_is_long_enough CHECK (period >= least_period)
);
INSERT INTO metrics.retention
VALUES ('execution_time_statistics', 'created_at',   true, '90 days', '8 days'),
       ('workflow_metrics_hourly',   'bucket_start', true, '90 days', '3 days'),
       ('workflow_metrics_daily',    'bucket_start', true, '25 months',
        '32 days'),
       ('project_metrics_hourly',    'bucket_start', true, '90 days', '3 days'),
       ('project_metrics_daily',     'bucket_start', true, '25 months',
        '32 days'),
       ('step_metrics_hourly',  'bucket_start', false, '3 days',   '26 hours'),
       ('step_failures',        'slot',         false, '26 hours', '25 hours'),
       ('counted_events',       'finished_at',  false, '90 days',  '8 days'),
       ('refresh_log',          'at',           false, '3 days',   '1 hour');

-- From when on a table's rows are kept.
CREATE FUNCTION metrics.kept_since(table_name text) RETURNS timestamptz
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT now() - r.period FROM metrics.retention AS r
    WHERE r.table_name = kept_since.table_name
$$;

-- Months that were taken off their table and wait to be dropped.
CREATE TABLE metrics.detached_partitions (
    partition   text        PRIMARY KEY,
    table_name  text        NOT NULL REFERENCES metrics.retention,
    detached_at timestamptz NOT NULL DEFAULT clock_timestamp()
);

-- Takes from everybody but the owner what default privileges gave them.
CREATE FUNCTION metrics.revoke_all(relation text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    grantee text;
BEGIN
    FOR grantee IN
        SELECT DISTINCT CASE WHEN a.grantee = 0 THEN 'PUBLIC'
                             ELSE a.grantee::regrole::text END
        FROM pg_class AS c, aclexplode(c.relacl) AS a
        WHERE c.oid = format('metrics.%I', relation)::regclass
          AND a.grantee <> c.relowner
    LOOP
        EXECUTE format('REVOKE ALL ON TABLE metrics.%I FROM %s',
                       relation, grantee);
    END LOOP;
END $$;

-- Makes a table's partition of the month in which `day` lies in UTC; false
-- where there is one, or where the default partition has rows of that month,
-- which stay there. It is made apart and then attached, which does not hold up
-- writers.
CREATE FUNCTION metrics.ensure_partition(table_name text, day timestamptz)
RETURNS boolean LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET datestyle = 'ISO'  -- others may write a time that reads as another
AS $$
DECLARE
    month_start timestamptz := date_trunc('month', day, 'UTC');
    month_end   timestamptz := date_trunc(
        'month', month_start + interval '32 days', 'UTC');
    partition   text := table_name || to_char(month_start AT TIME ZONE 'UTC',
                                              '"_y"YYYY"m"MM');
    time_column text := (SELECT r.time_column FROM metrics.retention AS r
                         WHERE r.table_name = ensure_partition.table_name);
    occupied    boolean;
BEGIN
    IF to_regclass('metrics.' || partition) IS NOT NULL THEN
        RETURN false;
    END IF;
    EXECUTE format('SELECT EXISTS (SELECT FROM metrics.%1$I '
                   'WHERE %2$I >= %3$L AND %2$I < %4$L)',
                   table_name || '_default', time_column, month_start,
                   month_end) INTO occupied;
    IF occupied THEN
        RETURN false;
    END IF;
    EXECUTE format('CREATE TABLE metrics.%I '
                   '(LIKE metrics.%I INCLUDING DEFAULTS)',
                   partition, table_name);
    PERFORM metrics.revoke_all(partition);
    EXECUTE format('ALTER TABLE metrics.%I ATTACH PARTITION metrics.%I '
                   'FOR VALUES FROM (%L) TO (%L)',
                   table_name, partition, month_start, month_end);
    RETURN true;
END $$;

DROP FUNCTION metrics.ensure_partitions(int);

-- Makes the partitions of this month and of those ahead, and with `since` those
-- from then on that are still kept, for every table by month; returns how many
-- it made.
CREATE FUNCTION metrics.ensure_partitions(
    months_ahead int DEFAULT 2, since timestamptz DEFAULT now())
RETURNS int LANGUAGE sql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp AS $$
    SELECT count(*) FILTER (WHERE made)::int
    FROM (SELECT metrics.ensure_partition(
                     r.table_name, month AT TIME ZONE 'UTC') AS made
          FROM metrics.retention AS r,
               generate_series(
                   date_trunc('month', since AT TIME ZONE 'UTC'),
                   now() AT TIME ZONE 'UTC'
                   + make_interval(months => months_ahead),
                   interval '1 month') AS month
          WHERE r.by_month
            AND month AT TIME ZONE 'UTC'
                >= date_trunc('month', metrics.kept_since(r.table_name), 'UTC')
         ) AS months
$$;

-- Whether every consumer has taken all facts of a table of facts. It is asked
-- while writers wait, so each question has the index to itself: a sequential
-- scan, which looks cheap to whoever expects a fact to be found, takes seconds.
CREATE FUNCTION metrics.is_folded(relation text) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off SET jit = off AS $$
DECLARE
    waiting boolean;
BEGIN
    EXECUTE format('SELECT EXISTS (SELECT FROM metrics.fold_state AS s, '
                   'LATERAL (SELECT FROM metrics.%1$I '
                            'WHERE xact_id >= s.next_xid '
                            'UNION ALL SELECT FROM metrics.%1$I '
                            'WHERE xact_id = ANY (s.in_progress)) AS f)',
                   relation)
    INTO waiting;
    RETURN NOT waiting;
END $$;

-- Whether facts may go: not while transaction ids do not say who has taken
-- which, nor while a backfill asks of runs whether they have one.
CREATE FUNCTION metrics.may_drop_facts() RETURNS boolean
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT metrics.is_adopted()
           AND NOT EXISTS (
               SELECT FROM metrics.backfill_state
               WHERE finished_at IS NULL
                 AND last_run_id <> '00000000-0000-0000-0000-000000000000')
$$;

-- Takes the oldest month off one table whose month is older than it is kept;
-- returns its name, or NULL where there is none. Writers are held up for the
-- instant that it takes: the lock is waited for no longer than 100 ms, and
-- whether every fact has been counted is asked while it is held.
CREATE FUNCTION metrics.detach_expired_partition() RETURNS text
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp SET lock_timeout = '100ms'
AS $$
DECLARE
    month record;
BEGIN
    FOR month IN
        SELECT r.table_name, c.relname AS partition,
               make_timestamptz(left(right(c.relname, 7), 4)::int,
                                right(c.relname, 2)::int, 1, 0, 0, 0, 'UTC')
                   AS starts_at
        FROM metrics.retention AS r
        JOIN pg_inherits AS i
            ON i.inhparent = format('metrics.%I', r.table_name)::regclass
        JOIN pg_class AS c ON c.oid = i.inhrelid
        WHERE r.by_month AND c.relname ~ '_y\d{4}m\d\d$'
        ORDER BY 3
    LOOP
        CONTINUE WHEN month.starts_at + interval '1 month'
                      > metrics.kept_since(month.table_name)
                   OR (month.table_name = 'execution_time_statistics'
                       AND NOT metrics.may_drop_facts());
        -- A session that forgets to end this transaction would hold up runs.
        PERFORM set_config('idle_in_transaction_session_timeout', '5s', true);
        BEGIN
            EXECUTE format('LOCK TABLE metrics.%I IN ACCESS EXCLUSIVE MODE',
                           month.table_name);
            IF month.table_name = 'execution_time_statistics'
               AND NOT metrics.is_folded(month.partition) THEN
                CONTINUE;
            END IF;
            EXECUTE format('ALTER TABLE metrics.%I DETACH PARTITION metrics.%I',
                           month.table_name, month.partition);
        EXCEPTION WHEN lock_not_available OR deadlock_detected THEN
            RETURN NULL;  -- a transaction is writing there; the next time
        END;
        INSERT INTO metrics.detached_partitions (partition, table_name)
        VALUES (month.partition, month.table_name);
        UPDATE metrics.retention AS r
        SET dropped_before = greatest(r.dropped_before,
                                      month.starts_at + interval '1 month')
        WHERE r.table_name = month.table_name;
        RETURN month.partition;
    END LOOP;
    RETURN NULL;
END $$;

-- Drops the months that were taken off before; returns how many. What facts say
-- about lifetime totals is kept.
CREATE FUNCTION metrics.drop_detached_partitions() RETURNS int
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    month   record;
    dropped int := 0;
BEGIN
    FOR month IN SELECT * FROM metrics.detached_partitions
                 FOR UPDATE SKIP LOCKED LOOP
        IF month.table_name = 'execution_time_statistics' THEN
            PERFORM metrics.add_run_totals(
                'metrics.retired_run_metrics',
                format('metrics.%I', month.partition));
        END IF;
        EXECUTE format('DROP TABLE metrics.%I', month.partition);
        DELETE FROM metrics.detached_partitions
        WHERE partition = month.partition;
        dropped := dropped + 1;
    END LOOP;
    RETURN dropped;
END $$;

-- Deletes up to `most` expired rows of each table that is not by month, and of
-- the default partitions of those that are; returns how many tables may have
-- more. A fact goes only when every consumer has taken it.
CREATE FUNCTION metrics.prune(most int DEFAULT 50000) RETURNS int
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_custom_plan
AS $$
DECLARE
    kept    metrics.retention;
    target  text;
    expires timestamptz;
    facts   metrics.execution_time_statistics[];
    pruned  bigint;
    more    int := 0;
BEGIN
    FOR kept IN SELECT * FROM metrics.retention LOOP
        CONTINUE WHEN kept.table_name = 'execution_time_statistics'
                      AND NOT metrics.may_drop_facts();
        target := kept.table_name;
        expires := metrics.kept_since(kept.table_name);
        IF kept.by_month THEN
            target := target || '_default';
            expires := date_trunc('month', expires, 'UTC');
            UPDATE metrics.retention AS r
            SET dropped_before = greatest(r.dropped_before, expires)
            WHERE r.table_name = kept.table_name
              AND r.dropped_before < expires;
        END IF;
        IF kept.table_name = 'execution_time_statistics' THEN
            WITH gone AS (
                DELETE FROM metrics.execution_time_statistics_default
                WHERE ctid = ANY (array(
                    SELECT f.ctid
                    FROM metrics.execution_time_statistics_default AS f
                    WHERE f.created_at < expires
                      AND NOT EXISTS (
                          SELECT FROM metrics.fold_state AS s
                          WHERE f.xact_id >= s.next_xid
                             OR f.xact_id = ANY (s.in_progress))
                    LIMIT most))
                RETURNING *
            )
            SELECT array_agg(ROW(gone.*)::metrics.execution_time_statistics)
            INTO facts FROM gone;
            pruned := metrics.add_run_totals(
                'metrics.retired_run_metrics',
                'unnest($1)', coalesce(facts, '{}'));
        ELSE
            EXECUTE format('DELETE FROM metrics.%1$I WHERE ctid = ANY (array('
                           'SELECT ctid FROM metrics.%1$I WHERE %2$I < $1 '
                           'LIMIT $2))', target, kept.time_column)
            USING expires, most;
            GET DIAGNOSTICS pruned = ROW_COUNT;
        END IF;
        more := more + (pruned = most)::int;
    END LOOP;
    RETURN more;
END $$;

-- Housekeeping: months ahead, what has expired. Returns how much of it there
-- was; call it again at once while that is more than 0, as a month that was
-- taken off is dropped by the next call.
CREATE OR REPLACE FUNCTION metrics.maintain() RETURNS int
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    started_at timestamptz := clock_timestamp();
    did        int;
BEGIN
    did := metrics.ensure_partitions() + metrics.drop_detached_partitions()
           + metrics.prune();
    -- Last, as it holds a lock to the end of the transaction.
    did := did + (metrics.detach_expired_partition() IS NOT NULL)::int;
    PERFORM metrics.record_task('maintenance', started_at, did);
    RETURN did;
END $$;

SELECT metrics.ensure_partitions();

-- Not left to 0019: whoever may use the schema could call it until then.
REVOKE ALL ON ALL FUNCTIONS IN SCHEMA metrics FROM PUBLIC;
