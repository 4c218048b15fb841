#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""How fast facts are folded, and what folding takes of a core.

    tests/bench/fold.py [--workflows N,N...] [--history N,N...] [--seconds N]
                        [--facts N] [--rate N]

Catching up: facts, written by many transactions, folded in batches with
nothing else going on. Keeping up: facts arrive at a rate from another session
and a fold follows each second; a fold's CPU is that of its server process, so
a busy machine disturbs it little. History: the same with facts that were
folded long ago. A run has five steps, 14 events, and one in twenty a retry.
"""

import argparse
import threading
import time

import bench

SETUP = """
CREATE SCHEMA bench;
GRANT USAGE, CREATE ON SCHEMA bench TO postgres;
SET ROLE postgres;
CREATE TABLE bench.workflows AS
SELECT (row_number() OVER ())::int AS n, project_id, id AS workflow_id
FROM workflow_definitions;
CREATE UNIQUE INDEX ON bench.workflows (n);

-- Facts of the last `span` as the trigger writes them.
CREATE FUNCTION bench.facts(facts int, span interval DEFAULT '1 s')
RETURNS void LANGUAGE sql AS $$
    INSERT INTO metrics.execution_time_statistics
        (project_id, workflow_id, run_id, status, execution_time_ms,
         created_at)
    SELECT w.project_id, w.workflow_id, gen_random_uuid(),
           CASE WHEN dice < 0.05 THEN 'failed' WHEN dice < 0.06 THEN 'canceled'
                ELSE 'succeeded' END,
           exp(6 + sqrt(-2 * ln(1 - random())) * cos(6.2831853 * random())),
           clock_timestamp() - span * (1 - i / facts::float8)
    FROM (SELECT i, random() AS dice,
                 1 + floor(random() * (SELECT count(*) FROM bench.workflows))
                     ::int AS n
          FROM generate_series(1, facts) AS i) AS drawn
    JOIN bench.workflows AS w USING (n)
$$;

-- Runs that finish now, with the events of their steps.
CREATE FUNCTION bench.runs(runs int) RETURNS void LANGUAGE sql AS $$
    WITH made AS MATERIALIZED (
        INSERT INTO workflow_runs (project_id, workflow_id, status, started_at,
                                   finished_at)
        SELECT w.project_id, w.workflow_id,
               CASE WHEN random() < 0.05 THEN 'failed' ELSE 'succeeded' END,
               now() - interval '2 s', now()
        FROM (SELECT 1 + floor(random() * (SELECT count(*)
                                           FROM bench.workflows))::int AS n
              FROM generate_series(1, runs)) AS drawn
        JOIN bench.workflows AS w USING (n)
        RETURNING id
    ), timed AS MATERIALIZED (
        SELECT id, interval '2 s' * exp(random()) AS span FROM made
    )
    INSERT INTO workflow_events (run_id, ts, type, payload)
    SELECT id, now() - span * (1 - i / 15.0), type,
           CASE WHEN node IS NULL THEN '{"body": {"lead": "a tenant''s"}}'
                ELSE jsonb_build_object('node', jsonb_build_object(
                         'id', node, 'type', kind))
                     || CASE type
                        WHEN 'http_attempted' THEN '{"status": 200}'
                        WHEN 'step_failed' THEN '{"attempt": 1,
                             "error": "Error: HTTP 503"}'
                        ELSE '{"next": "another"}' END::jsonb END
    FROM timed, (VALUES
        (1, 'run_created', NULL, NULL),
        (2, 'step_started', 'map', 'transform'),
        (3, 'step_succeeded', 'map', 'transform'),
        (4, 'step_started', 'look', 'http_call'),
        (5, 'http_attempted', 'look', 'http_call'),
        (6, 'step_succeeded', 'look', 'http_call'),
        (7, 'step_started', 'choose', 'branch'),
        (8, 'step_succeeded', 'choose', 'branch'),
        (9, 'step_started', 'tell', 'http_call'),
        (10, 'step_failed', 'tell', 'http_call'),
        (11, 'http_attempted', 'tell', 'http_call'),
        (12, 'step_succeeded', 'tell', 'http_call'),
        (13, 'step_started', 'end', 'terminate'),
        (14, 'step_succeeded', 'end', 'terminate'),
        (15, 'run_completed', NULL, NULL)) AS e (i, type, node, kind)
    WHERE type <> 'step_failed' OR random() < 0.05
    ORDER BY id, i
$$;
"""
# Each consumer's function, and how much at once, as the exporter calls it.
FOLDS = {"runs": ("metrics.fold(200000)", 200000),
         "trends": ("metrics.fold_trends(200000)", 200000),
         "steps": ("metrics.fold_steps(2000, '0')", 2000)}


def fold(session, names, least):
    """Folds, and again while there is more: with `least` 0 until a call finds
    nothing, with 1 while it finds all it may. How many, and CPU in ms."""
    done, before = 0, session.cpu_ms()
    for name in names:
        function, most = FOLDS[name]
        folded = most
        while folded > least * (most - 1):
            folded = session.value(f"SELECT {function}", int)
            done += folded
    return done, session.cpu_ms() - before


def fold_all(session, names=FOLDS):
    return fold(session, names, 0)


def catching_up(cluster, session, options):
    facts = options.facts
    for _ in range(100):
        session.run(f"SELECT bench.facts({facts // 100}, '1 hour')")
    cluster.psql("VACUUM ANALYZE metrics.execution_time_statistics")
    for name in ("runs", "trends"):
        began = time.perf_counter()
        done, cpu = fold_all(session, [name])
        took = time.perf_counter() - began
        yield [f"catching up, {name}", done / took, cpu / done * 1e3]
    fold_all(session)
    for _ in range(20):
        session.run("SELECT bench.runs(1000)")
    fold_all(session, ["runs", "trends"])
    cluster.psql("VACUUM ANALYZE workflow_events")
    began = time.perf_counter()
    done, cpu = fold_all(session, ["steps"])
    yield ["catching up, steps", done / (time.perf_counter() - began),
           cpu / done * 1e3]


class Feeder(threading.Thread):
    """Calls a function that writes `rate` rows a second, in 50 transactions."""

    def __init__(self, cluster, function, rate):
        super().__init__(daemon=True)
        self.session = cluster.session()
        self.call = f"SELECT bench.{function}({rate // 50})"
        self.ending, self.calls = threading.Event(), 0
        self.start()

    def run(self):
        began = time.perf_counter()
        while not self.ending.is_set():
            self.session.run(self.call)
            self.calls += 1
            time.sleep(max(0, began + self.calls / 50 - time.perf_counter()))

    def end(self):
        self.ending.set()
        self.join()
        self.session.close()


def keeping_up(cluster, session, options, names=FOLDS):
    """Share of a core that each fold takes at the rate, in percent."""
    for name in names:
        # Trends are folded each ten seconds, as the exporter does.
        pace = 10 if name == "trends" else 1
        fold_all(session)
        feeder = Feeder(cluster, "runs" if name == "steps" else "facts",
                        options.rate)
        done, before = 0, session.cpu_ms()
        began = time.perf_counter()
        for turn in range(1, options.seconds // pace + 1):
            time.sleep(max(0, began + turn * pace - time.perf_counter()))
            done += fold(session, [name], 1)[0]
        cpu = session.cpu_ms() - before
        feeder.end()
        # Per fact, so that a feeder that fell behind does not flatter.
        yield [f"keeping up, {name}", done / options.seconds, cpu / done * 1e3,
               cpu / done * options.rate / 10]


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    def numbers(text):
        return [int(number) for number in text.split(",")]
    parser.add_argument("--workflows", type=numbers, default=[100, 1000, 10000])
    parser.add_argument("--history", type=numbers, default=[1000000, 5000000])
    parser.add_argument("--seconds", type=int, default=20)
    parser.add_argument("--facts", type=int, default=1000000)
    parser.add_argument("--rate", type=int, default=2500)
    options = parser.parse_args()

    print(f"load average {bench.load_average()}")
    rows = []
    for workflows in options.workflows:
        with bench.Cluster("fast", max_wal_size="20GB",
                           shared_buffers="1GB") as cluster:
            cluster.psql(bench.seed_workflows(50, workflows))
            cluster.migrate()
            cluster.psql(SETUP)
            session = cluster.session()
            rows += [[f"{workflows:,} workflows, {name}", *figures]
                     for name, *figures in
                     keeping_up(cluster, session, options)]
            rows += [[f"{workflows:,} workflows, {name}", *figures, ""]
                     for name, *figures in
                     catching_up(cluster, session, options)]
            if workflows == 1000:
                for history in options.history:
                    held = session.value("SELECT count(*) FROM metrics."
                                         "execution_time_statistics", int)
                    for _ in range((history - held) // 100000):
                        session.run("SELECT bench.facts(100000, '20 days')")
                    fold_all(session)
                    rows += [[f"{history:,} facts before, {name}", *figures]
                             for name, *figures in keeping_up(
                                 cluster, session, options, ["runs", "trends"])]
            session.close()
    print(f"load average {bench.load_average()}")
    bench.table(["folding", "a second", "CPU each (us)",
                 f"% of a core at {options.rate:,} a second"], rows)


if __name__ == "__main__":
    main()
