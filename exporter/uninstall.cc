// SPDX-License-Identifier: MIT
#include "exporter/uninstall.h"

#include <fmt/format.h>

#include "exporter/errors.h"
#include "exporter/migrations.h"
#include "exporter/pg.h"

namespace meshhook {
namespace {

using namespace std::chrono_literals;

constexpr auto kSurvey =
    "SELECT pg_is_in_recovery(), to_regnamespace('metrics') IS NOT NULL, "
    "(SELECT array_agg(attname::text ORDER BY attname) = "
    "'{applied_at,checksum,name,version}' FROM pg_attribute "
    "WHERE attrelid = to_regclass('metrics.schema_migrations') "
    "AND attnum > 0 AND NOT attisdropped), current_user, "
    "(SELECT object || ';' || pg_get_userbyid(owner) FROM ("
    "SELECT 'schema metrics', nspowner FROM pg_namespace "
    "WHERE nspname = 'metrics' UNION ALL "
    "SELECT 'public.workflow_runs', relowner FROM pg_class "
    "WHERE oid = to_regclass('public.workflow_runs')) AS o (object, owner) "
    "WHERE NOT pg_has_role(owner, 'USAGE') LIMIT 1)";

// What goes with the schema, but is neither in it nor ours: each is described
// as the server would. All that depends on something that goes is followed;
// a view depends on itself by its rule, so that way is gone backwards.
constexpr auto kOthersObjects = R"(
    WITH RECURSIVE going (classid, objid) AS (
        SELECT 'pg_namespace'::regclass::oid, oid FROM pg_namespace
        WHERE nspname = 'metrics'
        UNION
        SELECT CASE WHEN forward THEN d.classid ELSE d.refclassid END,
               CASE WHEN forward THEN d.objid ELSE d.refobjid END
        FROM going AS g, pg_depend AS d,
             LATERAL (SELECT (d.refclassid, d.refobjid)
                             = (g.classid, g.objid)) AS f (forward)
        WHERE forward OR (d.deptype = 'i'
                          AND (d.classid, d.objid) = (g.classid, g.objid))
    )
    SELECT DISTINCT pg_describe_object(classid, objid, 0)
    FROM going AS g, pg_identify_object(classid, objid, 0) AS o
    WHERE NOT EXISTS (  -- a table's row type goes without saying
              SELECT FROM pg_depend AS d
              WHERE (d.classid, d.objid) = (g.classid, g.objid)
                AND d.classid = 'pg_type'::regclass AND d.deptype = 'i')
      AND o.identity !~ '(^| on |for )metrics\.'
      AND o.identity !~ '^(metrics_\w+ on public\.workflow_runs|"_RETURN" on )'
      AND o.type NOT IN ('schema', 'default acl', 'publication namespace')
      AND coalesce(o.schema, '') <> 'pg_toast'
    ORDER BY 1 LIMIT 5)";

// Waits for the exporter's turns to end and lets no other begin, then for who
// reads aggregates: none of that is in the way of a run. What runs write to is
// locked last, and as they do it, workflow_runs first.
constexpr auto kLock = R"(
    SET LOCAL lock_timeout = '2s';
    DO $$
    DECLARE
        claim text;
    BEGIN
        FOR claim IN
            SELECT format('SELECT FROM %s FOR UPDATE', oid::regclass)
            FROM pg_class WHERE oid IN (to_regclass('metrics.fold_state'),
                                        to_regclass('metrics.worker_tasks'))
            ORDER BY relname
        LOOP
            EXECUTE claim;
        END LOOP;
        FOR claim IN
            SELECT format('LOCK TABLE %s IN ACCESS EXCLUSIVE MODE',
                          oid::regclass)
            FROM pg_class
            WHERE relnamespace = 'metrics'::regnamespace
              AND relkind IN ('r', 'p') AND relname !~
                  '^(execution_time_statistics|run_reopenings)'
            ORDER BY relname
        LOOP
            EXECUTE claim;
        END LOOP;
        SET LOCAL lock_timeout = '200ms';
        IF to_regclass('public.workflow_runs') IS NOT NULL THEN
            LOCK TABLE public.workflow_runs IN ACCESS EXCLUSIVE MODE;
        END IF;
    END $$;)";

// Where the role has been given a right on that schema (0008).
constexpr auto kExtensionSchema =
    "SELECT n.nspname, quote_ident(n.nspname) "
    "FROM pg_extension JOIN pg_namespace AS n ON n.oid = extnamespace, "
    "aclexplode(nspacl) AS a "
    "WHERE extname = 'pg_stat_statements' "
    "AND grantee = to_regrole('meshhook_exporter') "
    "AND pg_has_role(grantor, 'USAGE')";

constexpr auto kTriggers =
    "SELECT count(*) FROM pg_trigger JOIN pg_proc AS p ON p.oid = tgfoid "
    "WHERE pronamespace = 'metrics'::regnamespace AND NOT tgisinternal "
    "AND tgrelid = to_regclass('public.workflow_runs')";

constexpr auto kPublications =
    "SELECT string_agg(pubname, ', ') FROM pg_publication_tables "
    "WHERE schemaname = 'metrics' AND pubname = 'supabase_realtime'";

constexpr auto kRoles =
    "SELECT string_agg(rolname, ', ' ORDER BY rolname) FROM pg_roles "
    "WHERE rolname IN ('meshhook_exporter', 'meshhook_api', "
    "'meshhook_operator')";

// What still needs the roles, with what to do about it. None goes without
// the others: nothing says by itself in which databases meshhook_api is used.
constexpr auto kWhatNeedsRoles = R"(
    WITH ours AS (SELECT oid, rolname FROM pg_roles
                  WHERE rolname IN ('meshhook_exporter', 'meshhook_api',
                                    'meshhook_operator'))
    SELECT string_agg(DISTINCT reason, '; ') FROM (
        SELECT CASE
            WHEN d.dbid NOT IN (0, here.oid)
            THEN format('database "%s" knows them (run migrate --uninstall '
                        'there)', (SELECT datname FROM pg_database AS b
                                   WHERE b.oid = d.dbid))
            WHEN d.deptype = 'o'
            THEN format('%s owns %s (ALTER … OWNER TO …, or drop it)',
                        ours.rolname, object)
            ELSE format('%s has rights on %s (REVOKE them)', ours.rolname,
                        object) END
        FROM ours
        JOIN pg_shdepend AS d
            ON d.refclassid = 'pg_authid'::regclass AND d.refobjid = ours.oid
        JOIN pg_database AS here ON here.datname = current_database()
        CROSS JOIN LATERAL (
            SELECT CASE WHEN d.dbid IN (0, here.oid)
                        THEN pg_describe_object(d.classid, d.objid, 0) END)
            AS o (object)
        UNION ALL
        SELECT format('%s is connected to database "%s" (stop that program)',
                      ours.rolname, datname)
        FROM pg_stat_activity JOIN ours ON usesysid = ours.oid
        UNION ALL
        SELECT format('role %s is a member (REVOKE %s FROM it)',
                      member::regrole, ours.rolname)
        FROM pg_auth_members JOIN ours ON roleid = ours.oid
        WHERE NOT admin_option AND member NOT IN (SELECT oid FROM ours)
    ) AS reasons (reason))";

std::string Ask(pg::Connection& connection, const std::string& sql) {
  return connection.Execute({sql, {}}, Soon()).Text(0, 0);
}

// False: there is no data layer. Throws UsageError where it must not go.
bool MayGo(pg::Connection& connection) {
  const auto found = connection.Execute({kSurvey, {}}, Soon());
  if (found.Text(0, 0) == "t") {
    throw UsageError("this server is a standby, which cannot be changed",
                     "connect to the primary");
  }
  if (found.Text(0, 1) != "t") return false;
  if (found.Text(0, 2) != "t") {
    throw UsageError(
        "schema metrics was not made by this program, so nothing was removed",
        "check the database name in the URL; there is no data layer in \"" +
            connection.database() + "\"");
  }
  if (const auto owned = found.Text(0, 4); !owned.empty()) {
    const auto end = owned.find(';');
    throw UsageError("role \"" + found.Text(0, 3) + "\" does not own " +
                         owned.substr(0, end),
                     "connect as its owner, " + owned.substr(end + 1));
  }
  RequireNotNewer(connection, EmbeddedMigrations().size());
  return true;
}

void RequireUnused(pg::Connection& connection) {
  const auto others = connection.Execute({kOthersObjects, {}}, Soon());
  if (others.rows() == 0) return;
  std::string list;
  for (int row = 0; row < others.rows(); ++row) {
    list += (row == 0 ? "" : ", ") + others.Text(row, 0);
  }
  throw UsageError("what is not of the data layer uses it: " + list,
                   "drop that first, or make it do without; nothing was "
                   "removed");
}

// What it removed, a line each; nothing where another was faster.
std::vector<std::string> TryRemove(pg::Connection& connection) {
  connection.Script(kBeginTurn, Soon());
  if (!MayGo(connection)) {
    connection.Script("ROLLBACK", Soon());
    return {};
  }
  RequireUnused(connection);
  connection.Script(kLock, Soon());
  std::vector<std::string> removed;

  std::string held = "which held no counts yet";
  if (Ask(connection,
          "SELECT to_regclass('metrics.workflow_run_metrics') IS NOT NULL") ==
      "t") {
    held = Ask(connection,
               "SELECT format('with the counts of %s runs of %s workflows', "
               "coalesce(sum(success_count + failure_count + canceled_count), "
               "0), count(*)) FROM metrics.workflow_run_metrics");
  }
  if (const auto triggers = Ask(connection, kTriggers); triggers != "0") {
    removed.push_back("removed " + triggers +
                      " triggers from public.workflow_runs");
  }
  if (const auto publication = Ask(connection, kPublications);
      !publication.empty()) {
    removed.push_back("removed workflow_run_metrics from publication " +
                      publication);
  }
  const auto granted = connection.Execute({kExtensionSchema, {}}, Soon());
  if (granted.rows() > 0) {
    connection.Script("REVOKE ALL ON SCHEMA " + granted.Text(0, 1) +
                          " FROM meshhook_exporter",
                      Soon());
    removed.push_back("revoked the rights of meshhook_exporter on schema " +
                      granted.Text(0, 0));
  }
  connection.Script("DROP SCHEMA metrics CASCADE; COMMIT", Soon());
  removed.push_back("removed schema metrics, " + held);
  return removed;
}

void RemoveRoles(pg::Connection& connection, const Progress& progress) {
  const auto roles = Ask(connection, kRoles);
  if (roles.empty()) return;
  const auto needed = Ask(connection, kWhatNeedsRoles);
  if (!needed.empty()) {
    progress("kept the roles " + roles + ": " + needed +
             "; then run: DROP ROLE " + roles);
    return;
  }
  try {
    connection.Script("DROP ROLE " + roles, Soon());
    progress("dropped the roles " + roles);
  } catch (const pg::Error& error) {
    if (error.sqlstate().empty()) throw;
    progress("kept the roles " + roles + ": " + error.what() +
             "; as an administrator run: DROP ROLE " + roles);
  }
}

}  // namespace

void Uninstall(const Conninfo& conninfo, std::chrono::seconds patience,
               const Progress& progress) {
  auto connection =
      pg::Connection::Open(conninfo, pg::Clock::now() + 15s, nullptr);
  std::vector<std::string> removed;
  InShortTries(connection, "uninstall", "migrate --uninstall", patience,
               progress, [&] { removed = TryRemove(connection); });
  if (removed.empty()) {
    progress("there is no data layer here");
    if (const auto roles = Ask(connection, kRoles); !roles.empty()) {
      progress(
          "there are roles of it; if no database needs them run: DROP "
          "ROLE " +
          roles);
    }
    return;
  }
  for (const auto& line : removed) progress(line);
  RemoveRoles(connection, progress);
}

}  // namespace meshhook
