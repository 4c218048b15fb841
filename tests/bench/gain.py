#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What a tenant's figures cost, from the data layer and from workflow_runs.

    tests/bench/gain.py [--runs N,N...]

The same questions of the same tenant, with row level security, answered by the
data layer and by the query that MeshHook would send without it. The tenant has
100 of 1,000 workflows, the busiest among them. Medians of five calls.
"""

import argparse
import statistics

import bench
import history

FIGURES = """
    count(*), avg((status = 'failed')::int) FILTER (WHERE status <> 'canceled'),
    avg(extract(epoch FROM finished_at - started_at)),
    percentile_cont(0.95) WITHIN GROUP (
        ORDER BY extract(epoch FROM finished_at - started_at))
FROM public.workflow_runs
WHERE status IN ('succeeded', 'failed', 'canceled')"""
DAY = "AND finished_at >= now() - interval '24 hours'"
# Name, from the data layer, from the runs.
QUESTIONS = [
    ("100 workflows, 24 h and lifetime",
     """SELECT workflow_id, execution_count, failure_rate, average_duration,
        execution_count_24h, failure_rate_24h, p95_duration_24h
        FROM metrics.my_workflow_metrics""",
     f"""SELECT workflow_id, {FIGURES} GROUP BY workflow_id;
        SELECT workflow_id, {FIGURES} {DAY} GROUP BY workflow_id"""),
    ("100 workflows together, 24 h",
     """SELECT * FROM metrics.my_execution_times(
        start_date => now() - interval '24 hours')""",
     f"SELECT {FIGURES} {DAY}"),
    ("100 workflows together, lifetime",
     "SELECT * FROM metrics.my_execution_times()",
     f"SELECT {FIGURES}"),
    ("the busiest workflow, lifetime",
     "SELECT * FROM metrics.my_execution_times('%(busiest)s')",
     f"SELECT {FIGURES} AND workflow_id = '%(busiest)s'"),
]


def compare(cluster, runs):
    """Rows of name, ms from the data layer, ms from the runs, ratio."""
    admin = cluster.session("supabase_admin")
    busiest = admin.value("SELECT workflow_id FROM bench.workflows "
                          "WHERE n = 1", str)
    admin.close()
    session = history.tenant(cluster)
    for name, layer, plain in QUESTIONS:
        ours, theirs = (statistics.median(
            session.timed(sql % {"busiest": busiest} if "%(" in sql else sql)
            for _ in range(5)) for sql in (layer, plain))
        yield [f"{runs:,} runs, {name}", ours, theirs, theirs / ours]
    session.close()


HEADS = ["a question", "data layer (ms)", "workflow_runs (ms)", "ratio"]


def fold_all(session):
    """Folds all there is and refreshes every view."""
    for function in ("fold(200000)", "fold_trends(200000)",
                     "fold_steps(20000, '0')"):
        while session.value(f"SELECT metrics.{function}") > 0:
            pass
    for _ in range(4):
        session.run("SELECT metrics.refresh_if_due()")


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--runs", default="100000,1000000",
                        help="sizes; ten_million.py prints it for its own")
    options = parser.parse_args()
    rows = []
    for runs in map(int, options.runs.split(",")):
        with bench.Cluster("fast", **history.SETTINGS) as cluster:
            history.load(cluster, runs)
            cluster.migrate()
            session = cluster.session()
            fold_all(session)
            session.close()
            cluster.psql("VACUUM ANALYZE")
            rows += compare(cluster, runs)
    print(f"load average {bench.load_average()}")
    bench.table(HEADS, rows)


if __name__ == "__main__":
    main()
