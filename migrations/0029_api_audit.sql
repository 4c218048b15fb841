-- Who asked the API for what, and what became of it: a row a request, written
-- in batches by the server. No token, no parameters but the ids asked about,
-- nothing of the answer.

CREATE TABLE metrics.api_audit (
    at          timestamptz NOT NULL,
    subject     text,       -- of the token; NULL where there was none
    role        text,
    method      text        NOT NULL,
    endpoint    text        NOT NULL,  -- the path in the document
    scope       text,       -- the project or workflow asked about
    status      int         NOT NULL,
    duration_ms real        NOT NULL
) PARTITION BY RANGE (at);
CREATE INDEX api_audit_at ON metrics.api_audit USING brin (at);
CREATE TABLE metrics.api_audit_default PARTITION OF metrics.api_audit DEFAULT;
INSERT INTO metrics.retention
VALUES ('api_audit', 'at', true, '90 days', '1 day');
SELECT metrics.ensure_partitions();

-- Writes a batch down, an array of objects with members named as the columns;
-- returns how many. Texts are cut, and times are of the last day at most, so
-- that no entry is refused for what somebody sent.
CREATE FUNCTION metrics.record_access(entries jsonb) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    written bigint;
BEGIN
    INSERT INTO metrics.api_audit
    SELECT least(greatest(coalesce(at, now()), now() - interval '1 day'),
                 now()),
           left(subject, 200), left(role, 100), left(coalesce(method, ''), 20),
           left(coalesce(endpoint, ''), 200), left(scope #>> '{}', 500),
           coalesce(status, 0), greatest(coalesce(duration_ms, 0), 0)
    FROM jsonb_to_recordset(entries) AS e (
        at timestamptz, subject text, role text, method text, endpoint text,
        scope jsonb, status int, duration_ms real);
    GET DIAGNOSTICS written = ROW_COUNT;
    RETURN written;
END $$;

-- Refused unless granted here, whatever default privileges gave to whom.
SELECT metrics.revoke_all('api_audit'), metrics.revoke_all('api_audit_default'),
       metrics.revoke_functions('record_access');
GRANT USAGE ON SCHEMA metrics TO meshhook_api;
GRANT EXECUTE ON FUNCTION metrics.record_access(jsonb) TO meshhook_api;
GRANT SELECT ON metrics.api_audit TO meshhook_operator;
