#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What the data layer costs MeshHook's own transactions.

    tests/bench/trigger.py [--pairs N] [--seconds N] [--clients N]

A transaction inserts a run, writes its events and finishes it, on a cluster
that is as durable as in production. Four arms take turns, in an order that changes,
so that noise falls on all alike: the data layer's triggers off, off once more
(what a ratio is worth here), on, and on with an exporter that folds at its
pace. Ratios are medians of those of each round. The clients keep every core busy, so throughput is the inverse of
CPU, and CPU (of all server processes that served the arm, the folds' included)
tells of the cost where the machine is not quiet. Needs build/release and
PostgreSQL with pgbench.
"""

import argparse
import contextlib
import pathlib
import statistics
import subprocess
import tempfile
import time

import bench

WORKFLOWS = 200
SETUP = """
CREATE SCHEMA bench;
CREATE TABLE bench.workflows AS
SELECT (row_number() OVER ())::int AS n, project_id, id AS workflow_id
FROM workflow_definitions;
CREATE UNIQUE INDEX ON bench.workflows (n);
GRANT USAGE ON SCHEMA bench TO postgres;
GRANT SELECT ON bench.workflows TO postgres;
ANALYZE;
"""
RUN = """
\\set n random(1, %d)
BEGIN;
SELECT project_id, workflow_id FROM bench.workflows WHERE n = :n \\gset
INSERT INTO workflow_runs (project_id, workflow_id, status)
VALUES (:project_id, :workflow_id, 'running') RETURNING id \\gset
INSERT INTO workflow_events (run_id, type, payload)
VALUES (:id, 'run_created', '{"headers": {}, "body": {"lead": 1}}');
INSERT INTO workflow_events (run_id, type, payload)
VALUES (:id, 'step_started', '{"node": {"id": "map", "type": "transform"}}');
INSERT INTO workflow_events (run_id, type, payload)
VALUES (:id, 'step_succeeded',
        '{"node": {"id": "map", "type": "transform"}, "next": "end"}');
INSERT INTO workflow_events (run_id, type, payload)
VALUES (:id, 'run_completed', '{}');
UPDATE workflow_runs SET status = 'succeeded', finished_at = clock_timestamp()
WHERE id = :id;
COMMIT;
"""
TRIGGERS = ("metrics_record_finished_update", "metrics_record_finished_insert",
            "metrics_note_reopened")
ARMS = {"off": (False, False), "off again": (False, False), "on": (True, False),
        "folding": (True, True)}


def run_script(workflows):
    """MeshHook's transaction, for pgbench with --protocol=prepared."""
    return RUN % workflows


def settle(session, enable):
    """Leaves nothing behind that the next arm would pay for."""
    while session.value("SELECT metrics.fold() + metrics.fold_trends()") > 0:
        pass
    while session.value("SELECT metrics.fold_steps(20000, '0')") > 0:
        pass
    verb = "ENABLE" if enable else "DISABLE"
    session.run(f"ALTER TABLE public.workflow_runs "
                + ", ".join(f"{verb} TRIGGER {name}" for name in TRIGGERS))


def load(cluster, script, seconds, clients):
    """Runs a second, and each one's latency in ms."""
    with tempfile.TemporaryDirectory() as directory:
        out = subprocess.run(
            ["pgbench", "--no-vacuum", "--protocol=prepared", "--log",
             f"--log-prefix={directory}/log", f"--client={clients}",
             "--jobs=1", f"--time={seconds}", f"--file={script}",
             cluster.url()], check=True, text=True, stdout=subprocess.PIPE).stdout
        rate = next(float(line.split()[2]) for line in out.splitlines()
                    if line.startswith("tps ="))
        latencies = [int(line.split()[2]) / 1e3
                     for log in pathlib.Path(directory).glob("log*")
                     for line in log.read_text().splitlines()]
    return rate, latencies


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--pairs", type=int, default=15)
    parser.add_argument("--seconds", type=int, default=3)
    parser.add_argument("--clients", type=int, default=8)
    options = parser.parse_args()

    print(f"load average {bench.load_average()}")
    # A checkpoint or a vacuum would hit one arm and not the others.
    with bench.Cluster("safe", autovacuum="off", max_wal_size="20GB",
                       checkpoint_timeout="1h",
                       shared_buffers="1GB") as cluster:
        cluster.psql(bench.seed_workflows(8, WORKFLOWS) + SETUP)
        cluster.migrate()
        script = pathlib.Path(cluster.directory, "run.sql")
        script.write_text(run_script(WORKFLOWS))
        session, admin = cluster.session(), cluster.session("supabase_admin")
        load(cluster, script, options.seconds, options.clients)
        rates, cpu, latencies = ({arm: [] for arm in ARMS} for _ in range(3))
        for pair in range(options.pairs):
            order = list(ARMS)[pair % len(ARMS):] + list(ARMS)[:pair % len(ARMS)]
            for arm in order if pair % 2 else reversed(order):
                enable, folding = ARMS[arm]
                settle(session, enable)
                admin.run("CHECKPOINT")
                before = cluster.reaped_cpu_ms()
                with (bench.Exporter(cluster) if folding
                      else contextlib.nullcontext()):
                    rate, times = load(cluster, script, options.seconds,
                                       options.clients)
                time.sleep(0.3)  # until the last of them is reaped
                rates[arm].append(rate)
                cpu[arm].append((cluster.reaped_cpu_ms() - before)
                                / len(times))
                latencies[arm].append(times)
        print(f"{options.pairs} rounds of {options.seconds} s an arm, "
              f"{options.clients} clients; load average "
              f"{bench.load_average()}")

        def figures(name, values):
            ratio = {arm: statistics.median(
                b / a for a, b in zip(values["off"], values[arm]))
                for arm in ARMS}
            return [name, *(statistics.median(values[arm]) for arm in ARMS),
                    *list(ratio.values())[1:]]
        bench.table(
            ["transactions of MeshHook", *ARMS,
             *(f"{arm} / off" for arm in list(ARMS)[1:])],
            [figures("a second", rates),
             figures("server CPU each (ms)", cpu)] +
            [figures(f"latency, p{rank * 100:.0f} (ms)",
                     {arm: [bench.quantile(times, rank)
                            for times in latencies[arm]] for arm in ARMS})
             for rank in (0.5, 0.99)])
        for name, values in (("a second", rates), ("CPU", cpu)):
            for arm in ("off again", "on"):
                print(f"{name}, {arm} / off, by round:", *(
                    f"{b / a:.3f}" for a, b in zip(values["off"], values[arm])))


if __name__ == "__main__":
    main()
