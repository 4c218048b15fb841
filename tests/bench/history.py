# SPDX-License-Identifier: MIT
"""A database with years' worth of runs, loaded before the data layer is.

30 days, 1,000 workflows in 50 projects of 20, one workflow with half of all
runs, log-normal durations, 5 % failed, 1 % canceled; five events a run on the
last day. Project 1 has that workflow; projects 1 to 5 are the tenant's.
"""

import bench

SETTINGS = {"shared_buffers": "2GB", "max_wal_size": "20GB",
            "maintenance_work_mem": "1GB", "checkpoint_timeout": "1h"}
TENANT = "00000000-0000-4000-8000-00000000000a"
OTHER = "00000000-0000-4000-8000-00000000000b"
BATCH = 500000

SETUP = f"""
CREATE SCHEMA bench;
CREATE TABLE bench.workflows AS
SELECT row_number() OVER (ORDER BY length(p.name), p.name, w.slug)::int AS n,
       p.id AS project_id, w.id AS workflow_id
FROM workflow_definitions AS w JOIN projects AS p ON p.id = w.project_id;
CREATE UNIQUE INDEX ON bench.workflows (n);
CREATE TABLE bench.indexes AS
SELECT pg_get_indexdef(indexrelid) AS definition,
       indexrelid::regclass::text AS name
FROM pg_index
WHERE indrelid = 'workflow_runs'::regclass AND NOT indisprimary;
SELECT format('DROP INDEX %s', name) FROM bench.indexes \\gexec
"""

# Runs number %(first)d to %(last)d of %(runs)d, which end in that order.
RUNS = """
SET session_replication_role = replica;
SET search_path = public, pg_catalog;
INSERT INTO workflow_runs (project_id, workflow_id, status, started_at,
                           finished_at, created_at, updated_at)
SELECT w.project_id, w.workflow_id,
       CASE WHEN dice < 0.05 THEN 'failed' WHEN dice < 0.06 THEN 'canceled'
            ELSE 'succeeded' END,
       ended - took, ended, ended - took, ended
FROM (SELECT now() - interval '30 days' * (1 - i / %(runs)d::float8) AS ended,
             interval '1 ms'
             * exp(6 + 1.2 * sqrt(-2 * ln(1 - random()))
                           * cos(6.2831853 * random())) AS took,
             random() AS dice,
             CASE WHEN random() < 0.5 THEN 1
                  ELSE 2 + floor(random() * 999)::int END AS n
      FROM generate_series(%(first)d, %(last)d) AS i) AS drawn
JOIN bench.workflows AS w USING (n);
"""

EVENTS = """
SET session_replication_role = replica;
INSERT INTO public.workflow_events (run_id, ts, type, payload)
SELECT id, started_at + (finished_at - started_at) * i / 6, type,
       CASE WHEN node IS NULL THEN '{"body": {"lead": "a tenant''s"}}'
            ELSE jsonb_build_object('node', jsonb_build_object(
                     'id', node, 'type', kind), 'error',
                     CASE WHEN type = 'step_failed' THEN 'Error: HTTP 503' END)
       END
FROM public.workflow_runs,
     LATERAL (VALUES (1, 'run_created', NULL, NULL),
                     (2, 'step_started', 'map', 'transform'),
                     (3, 'step_succeeded', 'map', 'transform'),
                     (4, 'step_started', 'tell', 'http_call'),
                     (5, CASE status WHEN 'failed' THEN 'step_failed'
                         ELSE 'step_succeeded' END, 'tell', 'http_call'))
         AS e (i, type, node, kind)
WHERE finished_at >= now() - interval '1 day'
ORDER BY finished_at, i;
"""


def load(cluster, runs):
    """Loads that many runs, in the order of time; no data layer yet."""
    cluster.psql(bench.seed_workflows(50, 1000) + SETUP)
    own(cluster, 5)
    for first in range(1, runs + 1, BATCH):
        cluster.psql(RUNS % {"first": first, "runs": runs,
                             "last": min(first + BATCH - 1, runs)})
    cluster.psql("SELECT definition FROM bench.indexes \\gexec")
    cluster.psql(EVENTS)
    cluster.psql("VACUUM ANALYZE")


def own(cluster, projects):
    """Gives the tenant that many projects, of which 1 is the busiest."""
    cluster.psql(f"""
        UPDATE projects SET owner = CASE WHEN substr(name, 9)::int <= {projects}
            THEN '{TENANT}'::uuid ELSE '{OTHER}'::uuid END""")


def tenant(cluster):
    """A session that is a tenant's request, as MeshHook's API makes it."""
    session = cluster.session("meshhook_api")
    session.run("SET ROLE authenticated")
    session.run("""SET request.jwt.claims = '{"sub": "%s"}'""" % TENANT)
    return session
