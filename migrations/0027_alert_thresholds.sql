-- From when on an alert is raised: for all workflows (scope global), for those
-- of a project, or for one. A workflow's threshold comes before its project's,
-- and that before the global one.
--
-- Row security says who reads and writes which; tenants write the values only,
-- and triggers add the rest: whose project a workflow is, who did it and when.
-- No foreign key: it would have MeshHook's deletes wait for us. What belongs to
-- a workflow or project that is gone is pruned by maintain().

CREATE TABLE metrics.alert_thresholds (
    threshold_id uuid        PRIMARY KEY DEFAULT gen_random_uuid(),
    scope        text        NOT NULL,
    project_id   uuid,
    workflow_id  uuid,
    metric       text        NOT NULL,
    warning      float8,     -- a ratio, ms or a number of runs, by the metric
    critical     float8,
    "window"     text        NOT NULL DEFAULT '1h',
    enabled      boolean     NOT NULL DEFAULT true,
    created_at   timestamptz NOT NULL DEFAULT now(),
    created_by   text        NOT NULL DEFAULT session_user,
    updated_at   timestamptz NOT NULL DEFAULT now(),
    updated_by   text        NOT NULL DEFAULT session_user,
    CONSTRAINT scope_has_its_ids CHECK (
        CASE scope WHEN 'global' THEN project_id IS NULL AND workflow_id IS NULL
                   WHEN 'project'
                   THEN project_id IS NOT NULL AND workflow_id IS NULL
                   WHEN 'workflow'
                   THEN project_id IS NOT NULL AND workflow_id IS NOT NULL
                   ELSE false END),
    CONSTRAINT metric_is_known CHECK (
        metric IN ('failure_ratio', 'p95_duration', 'minimum_runs',
                   'stuck_runs')),
    CONSTRAINT window_is_known CHECK ("window" IN ('1h', '24h', '7d')),
    -- NaN is greater than every number here, so it is not in range.
    CONSTRAINT values_are_in_range CHECK (
        CASE metric WHEN 'failure_ratio'
             THEN (warning > 0 AND warning <= 1) IS NOT FALSE
                  AND (critical > 0 AND critical <= 1) IS NOT FALSE
             WHEN 'p95_duration'
             THEN (warning > 0 AND warning <= 1e12) IS NOT FALSE
                  AND (critical > 0 AND critical <= 1e12) IS NOT FALSE
             ELSE (warning >= 1 AND warning <= 1e12
                   AND warning = trunc(warning)) IS NOT FALSE
                  AND (critical >= 1 AND critical <= 1e12
                       AND critical = trunc(critical)) IS NOT FALSE END),
    CONSTRAINT critical_is_not_milder CHECK (
        CASE metric WHEN 'minimum_runs' THEN critical <= warning
                    ELSE critical >= warning END),
    CONSTRAINT enabled_has_a_value CHECK (
        NOT enabled OR warning IS NOT NULL OR critical IS NOT NULL)
);
CREATE UNIQUE INDEX alert_thresholds_target ON metrics.alert_thresholds (
    scope, metric,
    coalesce(workflow_id, project_id, '00000000-0000-0000-0000-000000000000'));
CREATE INDEX alert_thresholds_project ON metrics.alert_thresholds (project_id);

-- Who changed what.
CREATE TABLE metrics.alert_threshold_changes (
    at           timestamptz NOT NULL,
    threshold_id uuid        NOT NULL,
    changed_by   text        NOT NULL,
    before       jsonb,      -- NULL: it was set for the first time
    after        jsonb       -- NULL: it was removed
);
CREATE INDEX alert_threshold_changes_at
    ON metrics.alert_threshold_changes USING brin (at);
INSERT INTO metrics.retention
VALUES ('alert_threshold_changes', 'at', false, '400 days', '1 day');

-- Who asks, for the record: the subject of the token, service_role for an
-- operator, and the session's role where there is no token.
CREATE FUNCTION metrics.caller() RETURNS text LANGUAGE plpgsql STABLE AS $$
DECLARE
    claims text := nullif(current_setting('request.jwt.claims', true), '');
BEGIN
    RETURN CASE WHEN metrics.is_operator() THEN 'service_role'
                ELSE left(coalesce(claims::jsonb ->> 'sub', session_user),
                          200) END;
EXCEPTION WHEN data_exception THEN
    RETURN session_user;
END $$;

CREATE FUNCTION metrics.complete_threshold() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    most CONSTANT int := 1000;  -- of a tenant's
    projects uuid[];
BEGIN
    new.updated_at := now();
    new.updated_by := metrics.caller();
    IF tg_op = 'UPDATE' THEN
        RETURN new;
    END IF;
    new.created_at := new.updated_at;
    new.created_by := new.updated_by;
    IF new.scope = 'workflow' THEN
        new.project_id := (SELECT d.project_id
                           FROM public.workflow_definitions AS d
                           WHERE d.id = new.workflow_id);
    ELSIF NOT EXISTS (SELECT FROM public.projects AS p
                      WHERE p.id = new.project_id) THEN
        new.project_id := NULL;  -- which fits scope global only
    END IF;
    IF current_setting('role', true) = 'authenticated' THEN
        projects := metrics.my_projects();
        IF (SELECT count(*) FROM metrics.alert_thresholds AS t
            WHERE t.project_id = ANY (projects)) >= most
           AND NOT EXISTS (
               SELECT FROM metrics.alert_thresholds AS t
               WHERE t.scope = new.scope AND t.metric = new.metric
                 AND coalesce(t.workflow_id, t.project_id)
                     = coalesce(new.workflow_id, new.project_id)) THEN
            PERFORM metrics.refuse(
                'scope', format('has no room: there are %s thresholds of the '
                                'caller''s', most),
                'remove one first');
        END IF;
    END IF;
    RETURN new;
END $$;
CREATE TRIGGER complete_threshold
    BEFORE INSERT OR UPDATE ON metrics.alert_thresholds
    FOR EACH ROW EXECUTE FUNCTION metrics.complete_threshold();

CREATE FUNCTION metrics.note_threshold_change() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    before jsonb := CASE WHEN tg_op <> 'INSERT' THEN to_jsonb(old) END;
    after  jsonb := CASE WHEN tg_op <> 'DELETE' THEN to_jsonb(new) END;
BEGIN
    IF before - '{updated_at,updated_by}'::text[]
       IS DISTINCT FROM after - '{updated_at,updated_by}'::text[] THEN
        INSERT INTO metrics.alert_threshold_changes
        VALUES (now(), coalesce(new.threshold_id, old.threshold_id),
                metrics.caller(), before, after);
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER note_threshold_change
    AFTER INSERT OR UPDATE OR DELETE ON metrics.alert_thresholds
    FOR EACH ROW EXECUTE FUNCTION metrics.note_threshold_change();

ALTER TABLE metrics.alert_thresholds ENABLE ROW LEVEL SECURITY;
CREATE POLICY own_and_global ON metrics.alert_thresholds FOR SELECT
    USING (CASE WHEN scope = 'global' OR metrics.is_operator() THEN true
                ELSE project_id = ANY (
                    (SELECT metrics.my_projects())::uuid[]) END);
CREATE POLICY own_are_set ON metrics.alert_thresholds FOR INSERT
    WITH CHECK (CASE WHEN metrics.is_operator() THEN true
                     ELSE project_id = ANY (
                         (SELECT metrics.my_projects())::uuid[]) END);
CREATE POLICY own_are_changed ON metrics.alert_thresholds FOR UPDATE
    USING (CASE WHEN metrics.is_operator() THEN true
                ELSE project_id = ANY (
                    (SELECT metrics.my_projects())::uuid[]) END);
CREATE POLICY own_are_removed ON metrics.alert_thresholds FOR DELETE
    USING (CASE WHEN metrics.is_operator() THEN true
                ELSE project_id = ANY (
                    (SELECT metrics.my_projects())::uuid[]) END);

-- What holds for a workflow: of each metric the narrowest threshold, if that is
-- enabled, and what it is compared with. Workflows that no threshold is for and
-- that did not run for a week are left out, so a global one costs no more than
-- what is alive. Compared is what the last refresh of mv_workflow_metrics found,
-- NULL where fewer than 10 runs finished in the window: one failure of two says
-- nothing about a ratio; and of runs that do not end, what there is now.
CREATE VIEW metrics.resolved_alert_thresholds AS
WITH concerned AS (
    SELECT d.project_id, d.id AS workflow_id
    FROM public.workflow_definitions AS d
    WHERE EXISTS (SELECT FROM metrics.alert_thresholds AS t
                  WHERE t.project_id = d.project_id
                    AND (t.scope = 'project' OR t.workflow_id = d.id))
    UNION
    SELECT m.project_id, m.workflow_id
    FROM metrics.mv_workflow_metrics AS m
    WHERE m.execution_count_7d > 0
      AND EXISTS (SELECT FROM metrics.alert_thresholds AS t
                  WHERE t.scope = 'global' AND t.enabled)
), narrowest AS (
    SELECT DISTINCT ON (c.workflow_id, t.metric)
           c.project_id, c.workflow_id, t.metric, t."window", t.warning,
           t.critical, t.enabled, t.scope, t.threshold_id
    FROM concerned AS c
    JOIN metrics.alert_thresholds AS t
        ON t.scope = 'global'
        OR (t.project_id = c.project_id
            AND (t.scope = 'project' OR t.workflow_id = c.workflow_id))
    ORDER BY c.workflow_id, t.metric, t.workflow_id IS NULL,
             t.project_id IS NULL
), stuck AS (
    SELECT r.workflow_id, w."window", count(*) AS runs
    FROM public.workflow_runs AS r
    JOIN (VALUES ('1h', interval '1 hour'), ('24h', interval '24 hours'),
                 ('7d', interval '7 days')) AS w ("window", length)
        ON coalesce(r.started_at, r.created_at) < now() - w.length
    WHERE r.status = 'running'
      AND EXISTS (SELECT FROM metrics.alert_thresholds AS t
                  WHERE t.metric = 'stuck_runs' AND t.enabled)
    GROUP BY r.workflow_id, w."window"
)
SELECT n.project_id, n.workflow_id, n.metric, n."window", n.warning,
       n.critical, n.scope, n.threshold_id,
       CASE n.metric
           WHEN 'stuck_runs' THEN coalesce(s.runs, 0)
           WHEN 'minimum_runs' THEN coalesce(w.runs, 0)
           ELSE CASE WHEN w.runs >= 10
                     THEN CASE n.metric WHEN 'failure_ratio' THEN w.failure_rate
                                        ELSE w.p95_duration END END
       END::float8 AS measured
FROM narrowest AS n
LEFT JOIN metrics.mv_workflow_metrics AS m USING (workflow_id)
CROSS JOIN LATERAL (VALUES
    ('1h', m.execution_count_1h, m.failure_rate_1h, m.p95_duration_1h),
    ('24h', m.execution_count_24h, m.failure_rate_24h, m.p95_duration_24h),
    ('7d', m.execution_count_7d, m.failure_rate_7d, m.p95_duration_7d))
    AS w ("window", runs, failure_rate, p95_duration)
LEFT JOIN stuck AS s
    ON s.workflow_id = n.workflow_id AND s."window" = n."window"
WHERE n.enabled AND w."window" = n."window";

-- Housekeeping, as in 0015; the thresholds of what is gone; and the sum of the
-- last days (0024).
CREATE OR REPLACE FUNCTION metrics.maintain() RETURNS int
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    started_at timestamptz := clock_timestamp();
    did        int;
BEGIN
    DELETE FROM metrics.alert_thresholds AS t
    WHERE scope <> 'global'
      AND NOT EXISTS (SELECT FROM public.projects AS p
                      WHERE p.id = t.project_id
                        AND (t.workflow_id IS NULL OR EXISTS (
                            SELECT FROM public.workflow_definitions AS d
                            WHERE d.id = t.workflow_id
                              AND d.project_id = p.id)));
    PERFORM metrics.add_up_recent_days();
    did := metrics.ensure_partitions() + metrics.drop_detached_partitions()
           + metrics.prune();
    -- Last, as it holds a lock to the end of the transaction.
    did := did + (metrics.detach_expired_partition() IS NOT NULL)::int;
    PERFORM metrics.record_task('maintenance', started_at, did);
    RETURN did;
END $$;
