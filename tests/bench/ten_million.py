#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Installs the data layer beside ten million runs and times all it does there.

    tests/bench/ten_million.py [--runs N] [--calls N]

Loads the runs (tests/bench/history.py), migrates with the backfill, folds to
the end, and then times each view's refresh, every function behind the API for
a tenant of 100 workflows and for one of all, checking and making anew, and the
end of a month. Needs 15 GB of disk and, with ten million, about half an hour.
"""

import argparse
import statistics
import time

import bench
import gain
import history

VIEWS = ("mv_workflow_metrics", "mv_step_latency", "mv_job_tracking",
         "mv_failure_hotspots")
CALLS = {
    "my_overview": "SELECT * FROM metrics.my_overview()",
    "my_execution_times, all time":
        "SELECT * FROM metrics.my_execution_times()",
    "my_execution_times, 30 d": """SELECT * FROM metrics.my_execution_times(
        start_date => now() - interval '30 days')""",
    "my_execution_times, odd hours": """SELECT * FROM
        metrics.my_execution_times(start_date => now() - interval '229 hours',
                                   end_date => now() - interval '5 hours')""",
    "my_execution_times, one workflow":
        "SELECT * FROM metrics.my_execution_times('%(busiest)s')",
    "my_trend, hours of 7 d": """SELECT * FROM metrics.my_trend(
        'hour', now() - interval '7 days', now())""",
    "my_trend, hours of 30 d": """SELECT * FROM metrics.my_trend(
        'hour', now() - interval '30 days', now())""",
    "my_trend, days of 7 d": """SELECT * FROM metrics.my_trend(
        'day', now() - interval '7 days', now())""",
    "my_trend, days of 30 d": """SELECT * FROM metrics.my_trend(
        'day', now() - interval '30 days', now())""",
    "my_trend, hours of 30 d, one": """SELECT * FROM metrics.my_trend(
        'hour', now() - interval '30 days', now(), '%(busiest)s')""",
    "my_workflow_metrics, worst 50": """SELECT * FROM
        metrics.my_workflow_metrics
        ORDER BY failure_rate_24h DESC NULLS LAST, workflow_id LIMIT 50""",
    "my_step_latency": "SELECT * FROM metrics.my_step_latency",
    "my_failure_hotspots": "SELECT * FROM metrics.my_failure_hotspots",
}
SIZES = """
    SELECT schema || '.' || name, sum(rows)::bigint, sum(table_size)::bigint,
           sum(index_size)::bigint
    FROM (SELECT n.nspname AS schema,
                 regexp_replace(c.relname, '_(default|y\\d{4}m\\d\\d)$', '')
                     AS name, greatest(c.reltuples, 0) AS rows,
                 pg_table_size(c.oid) AS table_size,
                 pg_indexes_size(c.oid) AS index_size
          FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
          WHERE n.nspname IN ('public', 'metrics') AND c.relkind IN ('r', 'm'))
         AS tables
    GROUP BY 1 HAVING sum(table_size + index_size) > 1000000
    ORDER BY sum(table_size + index_size) DESC"""


def said(text):
    print(f"[{time.strftime('%H:%M:%S')}, load {bench.load_average()}] {text}",
          flush=True)


def fold(session, function):
    done, began = 0, time.perf_counter()
    while folded := session.value(f"SELECT metrics.{function}", int):
        done += folded
    took = time.perf_counter() - began
    return [function, took, done, done / took]


def refreshes(session, state):
    for view in VIEWS:
        yield [f"{view}, {state}", statistics.median(session.timed(
            f"SET jit = off; REFRESH MATERIALIZED VIEW CONCURRENTLY "
            f"metrics.{view}") for _ in range(3))]


def in_order_of_time(cluster):
    """Facts as they lie when they arrive live; the backfill goes by run id."""
    cluster.psql("""
        SELECT format('CREATE INDEX in_order ON %1$s (created_at); '
                      'CLUSTER %1$s USING in_order; '
                      'DROP INDEX metrics.in_order; ANALYZE %1$s;', inhrelid::regclass)
        FROM pg_inherits
        WHERE inhparent = 'metrics.execution_time_statistics'::regclass
        \\gexec""")


def calls(cluster, busiest, count):
    session = history.tenant(cluster)
    for name, sql in CALLS.items():
        sql = sql % {"busiest": busiest}
        times = [session.timed(sql) for _ in range(count + 3)][3:]
        yield [name, statistics.median(times), bench.quantile(times, 0.99)]
    session.close()


def upkeep(session):
    yield ["verify()", session.timed("SELECT count(*) FROM metrics.verify()"),
           f"{session.value('SELECT count(*) FROM metrics.verify()', int)} "
           "differences"]
    yield ["rebuild()", session.timed("SELECT metrics.rebuild()"), ""]
    session.run("""UPDATE metrics.retention SET period = '8 days'
                   WHERE table_name = 'execution_time_statistics'""")
    for what in ("maintain(), takes a month off", "maintain(), drops it",
                 "maintain(), nothing to do"):
        took = session.timed("SELECT metrics.maintain()")
        yield [what, took, session.run(
            "SELECT coalesce(string_agg(partition, ' '), '') "
            "FROM metrics.detached_partitions")[0][0]]


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--runs", type=int, default=10000000)
    parser.add_argument("--calls", type=int, default=200)
    options = parser.parse_args()

    with bench.Cluster("fast", **history.SETTINGS) as cluster:
        began = time.perf_counter()
        history.load(cluster, options.runs)
        said(f"loaded {options.runs:,} runs in "
             f"{time.perf_counter() - began:,.0f} s")
        took = cluster.migrate()
        said(f"migrate with its backfill: {took:,.0f} s, "
             f"{options.runs / took:,.0f} runs a second")
        session = cluster.session()
        bench.table(["folding to the end", "s", "facts", "facts a second"],
                    [fold(session, function) for function in
                     ("fold(200000)", "fold_trends(200000)",
                      "fold_steps(2000, '0')")])
        cluster.psql("VACUUM ANALYZE")
        said("sizes")
        sizes = session.run(SIZES)
        bench.table(["a table", "rows", "table (MB)", "indexes (MB)"],
                    [[name, int(rows), int(of_table) / 1e6, int(of_index) / 1e6]
                     for name, rows, of_table, of_index in sizes])
        for _ in VIEWS:
            session.run("SELECT metrics.refresh_if_due()")
        said("refreshes")
        rows = list(refreshes(session, "facts as backfilled"))
        in_order_of_time(cluster)
        bench.table(["a refresh", "ms"],
                    rows + list(refreshes(session, "facts in order")))
        busiest = session.value("SELECT workflow_id FROM metrics."
                                "workflow_run_metrics ORDER BY success_count "
                                "DESC LIMIT 1", str)
        cluster.psql("VACUUM ANALYZE")
        for projects, whose in ((5, "100 workflows"), (50, "all")):
            history.own(cluster, projects)
            said(f"calls of a tenant of {whose}")
            bench.table([f"a call, {whose}", "p50 (ms)", "p99 (ms)"],
                        list(calls(cluster, busiest, options.calls)))
        history.own(cluster, 5)
        said("the same from workflow_runs")
        bench.table(gain.HEADS, list(gain.compare(cluster, options.runs)))
        said("upkeep")
        bench.table(["upkeep", "ms", ""], list(upkeep(session)))
        said("done")


if __name__ == "__main__":
    main()
