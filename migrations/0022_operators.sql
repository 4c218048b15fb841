-- Who asks: a tenant, who sees the projects that MeshHook shows them, or an
-- operator, who sees all.
--
-- An operator's token says service_role, but its requests run as a role of our
-- own: service_role passes by row security on all of MeshHook's tables, and a
-- login that faces tenants must have no way to become it.
--
--   meshhook_operator  may call the API's functions (0025 and later), no more

DO $$
BEGIN
    IF to_regrole('meshhook_operator') IS NULL THEN
        CREATE ROLE meshhook_operator NOLOGIN;
    END IF;
EXCEPTION WHEN insufficient_privilege THEN
    RAISE EXCEPTION USING
        ERRCODE = 'insufficient_privilege',
        MESSAGE = format('role meshhook_operator does not exist and %s may '
                         'not create it', current_user),
        HINT = 'as an administrator run: CREATE ROLE meshhook_operator NOLOGIN';
END $$;

DO $$
BEGIN
    IF NOT pg_has_role('meshhook_api', 'meshhook_operator', 'MEMBER') THEN
        GRANT meshhook_operator TO meshhook_api;
    END IF;
EXCEPTION WHEN insufficient_privilege THEN
    RAISE WARNING 'meshhook_api may not become meshhook_operator, so it cannot '
                  'serve operators'
        USING HINT = 'as an administrator run: '
                     'GRANT meshhook_operator TO meshhook_api';
END $$;

-- Whether the request runs as an operator. What SET ROLE set last, which a
-- function with its owner's rights does not change, and which only a member of
-- that role can have set.
CREATE FUNCTION metrics.is_operator() RETURNS boolean
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT current_setting('role', true) IS NOT DISTINCT FROM
           'meshhook_operator'
$$;

-- The projects that the caller sees; an operator, all there are. Each once.
CREATE FUNCTION metrics.seen_projects() RETURNS uuid[]
LANGUAGE plpgsql STABLE AS $$
BEGIN
    IF metrics.is_operator() THEN
        RETURN array(SELECT p.id FROM public.projects AS p);
    END IF;
    RETURN array(SELECT DISTINCT unnest(metrics.my_projects()));
END $$;

-- Takes from everybody but the owner what default privileges, or PostgreSQL
-- itself, gave them on the schema's functions of those names.
CREATE FUNCTION metrics.revoke_functions(VARIADIC names text[]) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    held record;
BEGIN
    FOR held IN
        SELECT DISTINCT p.oid::regprocedure::text AS function, grantee
        FROM pg_proc AS p,
             aclexplode(coalesce(proacl, acldefault('f', proowner))) AS a
        WHERE pronamespace = 'metrics'::regnamespace AND grantee <> proowner
          AND proname = ANY (names)
    LOOP
        EXECUTE format('REVOKE ALL ON FUNCTION %s FROM %s', held.function,
                       CASE WHEN held.grantee = 0 THEN 'PUBLIC'
                            ELSE held.grantee::regrole::text END);
    END LOOP;
END $$;

-- Refused unless granted here, whatever default privileges gave to whom.
SELECT metrics.revoke_functions('is_operator', 'seen_projects',
                                'revoke_functions');
GRANT USAGE ON SCHEMA metrics TO meshhook_operator;
