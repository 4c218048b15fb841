// SPDX-License-Identifier: MIT
#include "tests/support/rights.h"

#include "exporter/pg.h"

namespace test {

std::string RightsOf(Database& db, const std::string& role) {
  return db.Exec("SET role_to_ask.name = '" + role + R"(';
      WITH asked AS (SELECT current_setting('role_to_ask.name') AS role)
      SELECT coalesce(string_agg(may, E'\n' ORDER BY may), '') FROM (
          SELECT p || ' ON SCHEMA metrics'
          FROM asked, unnest('{USAGE,CREATE}'::text[]) AS p
          WHERE has_schema_privilege(role, 'metrics', p)
          UNION ALL
          SELECT p || ' ON ' || relname
          FROM asked, pg_class AS c,
               unnest('{SELECT,INSERT,UPDATE,DELETE,TRUNCATE,REFERENCES,
                        TRIGGER}'::text[]) AS p
          WHERE relnamespace = 'metrics'::regnamespace
            AND relkind IN ('r', 'p', 'v', 'm')
            AND (has_table_privilege(role, c.oid, p)
                 OR CASE WHEN p IN ('SELECT', 'INSERT', 'UPDATE', 'REFERENCES')
                         THEN has_any_column_privilege(role, c.oid, p) END)
          UNION ALL
          SELECT p || ' ON ' || relname
          FROM asked, pg_class AS c, unnest('{USAGE,SELECT,UPDATE}'::text[]) AS p
          WHERE relnamespace = 'metrics'::regnamespace AND relkind = 'S'
            AND CASE WHEN relkind = 'S'
                     THEN has_sequence_privilege(role, c.oid, p) END
          UNION ALL
          SELECT 'EXECUTE ON ' || proname || '('
                 || pg_get_function_identity_arguments(p.oid) || ')'
          FROM asked, pg_proc AS p
          WHERE pronamespace = 'metrics'::regnamespace
            AND has_function_privilege(role, p.oid, 'EXECUTE')
      ) AS rights (may))");
}

std::vector<Use> Uses(Database& db) {
  auto session = db.Connect();
  const auto found = session.Execute(
      {R"(SELECT 'SELECT ON ' || relname, 'SELECT FROM ' || oid::regclass
          FROM pg_class WHERE relnamespace = 'metrics'::regnamespace
                          AND relkind IN ('r', 'p', 'v', 'm')
          UNION ALL
          SELECT 'EXECUTE ON ' || proname || '('
                 || pg_get_function_identity_arguments(oid) || ')',
                 format('SELECT %s(%s)', oid::regproc,
                        (SELECT string_agg(
                                    CASE WHEN provariadic <> 0 AND i = pronargs
                                         THEN 'VARIADIC ' ELSE '' END
                                    || 'NULL::' || format_type(t, NULL),
                                    ', ' ORDER BY i)
                         FROM unnest(proargtypes) WITH ORDINALITY
                              AS a (t, i)))
          FROM pg_proc WHERE pronamespace = 'metrics'::regnamespace
                         AND NOT proisstrict)",
       {}},
      meshhook::pg::Clock::now() + std::chrono::seconds(20));
  std::vector<Use> uses;
  for (int row = 0; row < found.rows(); ++row) {
    uses.push_back({found.Text(row, 0), found.Text(row, 1)});
  }
  return uses;
}

}  // namespace test
