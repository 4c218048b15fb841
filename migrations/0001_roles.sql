-- Roles. Both may log in once an administrator gives them a password;
-- neither owns anything, and neither may write to MeshHook's tables.
--
--   meshhook_exporter  scrapes, folds and refreshes
--   meshhook_api       serves tenants; holds no rights until a later file
--
-- A role that exists already is left as it is, so that an administrator can
-- create both beforehand where the migrating role lacks CREATEROLE.

DO $$
DECLARE
    wanted record;
BEGIN
    FOR wanted IN
        SELECT * FROM (VALUES ('meshhook_exporter', 'LOGIN'),
                              ('meshhook_api', 'LOGIN NOINHERIT'))
                      AS roles (name, attributes)
        WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = roles.name)
    LOOP
        BEGIN
            EXECUTE format('CREATE ROLE %I %s', wanted.name, wanted.attributes);
        EXCEPTION WHEN insufficient_privilege THEN
            RAISE EXCEPTION USING
                ERRCODE = 'insufficient_privilege',
                MESSAGE = format('role %s does not exist and %s may not '
                                 'create it', wanted.name, current_user),
                HINT = format('as an administrator run: CREATE ROLE %s %s',
                              wanted.name, wanted.attributes);
        END;
    END LOOP;
END $$;

-- pg_monitor shows every session's state and every statement's statistics.
-- Without it those collectors see only their own role, so this is a warning:
-- workflow metrics are complete either way.
DO $$
BEGIN
    IF NOT pg_has_role('meshhook_exporter', 'pg_monitor', 'MEMBER') THEN
        GRANT pg_monitor TO meshhook_exporter;
    END IF;
EXCEPTION WHEN insufficient_privilege THEN
    RAISE WARNING 'meshhook_exporter is not a member of pg_monitor'
        USING HINT = 'as an administrator run: '
                     'GRANT pg_monitor TO meshhook_exporter';
END $$;
