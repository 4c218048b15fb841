#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What a scrape costs, beside postgres_exporter, on the same server in one run.

    tests/bench/scrape.py [--workflows N] [--tables N] [--rounds N]

Starts a throwaway cluster with N workflows (default 30, about 2,000 series)
and N empty tables more, then both exporters, and scrapes them in turn, so that
noise falls on both alike. Wall time is seen by the client; CPU, memory and
series are what each says of itself; server time is what pg_stat_statements
counted for its role. Needs build/release and the packages of the groups stack
and bench (scripts/lib/packages.sh).
"""

import argparse
import gzip
import os
import pathlib
import shutil
import socket
import statistics
import subprocess
import tempfile
import time
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]
SEED = """
    INSERT INTO projects (owner, name)
    SELECT gen_random_uuid(), 'Project ' || i FROM generate_series(1, 8) AS i;
    INSERT INTO workflow_definitions
        (project_id, slug, version, definition, name, status)
    SELECT (SELECT id FROM projects ORDER BY name OFFSET i %% 8 LIMIT 1),
           'w' || i, 1, '{}', 'Workflow ' || i, 'published'
    FROM generate_series(1, %d) AS i;
    INSERT INTO workflow_runs
        (project_id, workflow_id, status, started_at, finished_at)
    SELECT project_id, id,
           CASE WHEN random() < 0.02 THEN 'failed' ELSE 'succeeded' END,
           now() - random() * interval '9 seconds', now()
    FROM workflow_definitions, generate_series(1, 20);
"""


def shell(command):
    return subprocess.run(
        ["bash", "-euc", f"source {ROOT}/scripts/lib/postgres.sh; {command}"],
        check=True, text=True, stdout=subprocess.PIPE).stdout.strip()


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Exporter:
    """A running exporter, and what its scrapes took."""

    def __init__(self, name, command, environment, role):
        self.name, self.role, self.times = name, role, []
        self.port = free_port()
        self.process = subprocess.Popen(
            [*command, f"--web.listen-address=127.0.0.1:{self.port}"],
            env={**os.environ, **environment}, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL)

    def page(self):
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}/metrics",
            headers={"Accept-Encoding": "gzip"})
        with urllib.request.urlopen(request, timeout=30) as response:
            body = response.read()
            packed = response.headers.get("Content-Encoding") == "gzip"
        return (gzip.decompress(body) if packed else body).decode()

    def wait(self):
        for _ in range(100):
            try:
                if "\npg_up 1" in self.page():
                    return
            except OSError:
                pass
            time.sleep(0.1)
        raise SystemExit(f"{self.name} does not reach the database")

    def scrape(self):
        began = time.perf_counter()
        self.page()
        self.times.append(time.perf_counter() - began)

    def of_itself(self):
        lines = [line for line in self.page().splitlines()
                 if line and not line.startswith("#")]
        value = {name: float(rest) for name, _, rest in
                 (line.rpartition(" ") for line in lines)}
        return {"series": len(lines),
                "cpu": value["process_cpu_seconds_total"],
                "resident": value["process_resident_memory_bytes"]}


def measure(cluster, port, exporters, rounds):
    def server(role):
        row = shell(f"""pg_psql {cluster} bench --tuples-only --no-align \
            --command="SELECT coalesce(sum(total_exec_time + total_plan_time),
            0), coalesce(sum(calls), 0)
            FROM extensions.pg_stat_statements JOIN pg_roles ON oid = userid
            WHERE rolname = '{role}'" """)
        return [float(cell) for cell in row.split("|")]

    for exporter in exporters:
        for _ in range(10):
            exporter.page()
    before = [(e.of_itself(), server(e.role)) for e in exporters]
    for _ in range(rounds):
        for exporter in exporters:
            exporter.scrape()
    figures = []
    for exporter, (itself, spent) in zip(exporters, before):
        now, used = exporter.of_itself(), server(exporter.role)
        times = sorted(exporter.times)
        figures.append({
            "series": now["series"],
            "wall, median (ms)": statistics.median(times) * 1e3,
            "wall, p99 (ms)": times[int(len(times) * 0.99)] * 1e3,
            "exporter CPU a scrape (ms)":
                (now["cpu"] - itself["cpu"]) / rounds * 1e3,
            "exporter CPU a 1,000 series (ms)":
                (now["cpu"] - itself["cpu"]) / rounds / now["series"] * 1e6,
            "resident memory (MB)": now["resident"] / 1e6,
            "server time a scrape (ms)": (used[0] - spent[0]) / rounds,
            "statements a scrape": (used[1] - spent[1]) / rounds,
        })
    return figures


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--workflows", type=int, default=30)
    parser.add_argument("--tables", type=int, default=0)
    parser.add_argument("--rounds", type=int, default=200)
    options = parser.parse_args()

    directory = tempfile.mkdtemp(prefix="meshhook-bench-", dir="/tmp")
    cluster = f"{directory}/cluster"
    os.chmod(directory, 0o711)  # the server's own user must pass through
    ours = f"{ROOT}/build/release/meshhook-exporter"
    exporters = []
    try:
        shell(f"pg_cluster_create {cluster} fast; "
              f"pg_database_create {cluster} bench; "
              f"pg_fixtures_load {cluster} bench")
        port = shell(f"source {cluster}/postgres.env; echo $PGPORT")
        at = f"127.0.0.1:{port}/bench"
        subprocess.run([ours, "migrate"], check=True,
                       stdout=subprocess.DEVNULL,
                       env={**os.environ,
                            "DATABASE_URL": f"postgresql://postgres@{at}"})
        tables = "".join(f"CREATE TABLE t{i} (id int PRIMARY KEY);"
                         for i in range(options.tables))
        seed = pathlib.Path(directory, "seed.sql")
        seed.write_text(
            SEED % options.workflows + tables +
            "SELECT metrics.fold(); SELECT metrics.refresh_if_due();"
            "CREATE ROLE peer LOGIN; GRANT pg_monitor TO peer;"
            "GRANT USAGE ON SCHEMA extensions TO peer;")
        shell(f"pg_psql {cluster} bench --output=/dev/null --file={seed}")
        exporters = [
            Exporter("meshhook-exporter", [ours, "--no-worker"],
                     {"DATABASE_URL": f"postgresql://meshhook_exporter@{at}"},
                     "meshhook_exporter"),
            Exporter("postgres_exporter", ["prometheus-postgres-exporter"],
                     {"DATA_SOURCE_NAME":
                      f"postgresql://peer@{at}?sslmode=disable"}, "peer")]
        for exporter in exporters:
            exporter.wait()
        print(f"{options.rounds} scrapes of each, in turn; "
              f"{options.workflows} workflows, {options.tables} more tables")
        figures = measure(cluster, port, exporters, options.rounds)
        print(f"| {'a scrape':34}| {exporters[0].name:>18} "
              f"| {exporters[1].name:>18} | ratio |")
        print(f"|{'-' * 35}|{'-' * 19}:|{'-' * 19}:|------:|")
        for name in figures[0]:
            a, b = figures[0][name], figures[1][name]
            print(f"| {name:34}| {a:18,.2f} | {b:18,.2f} "
                  f"| {a / b if b else float('nan'):5.2f} |")
    finally:
        for exporter in exporters:
            exporter.process.kill()
            exporter.process.wait()
        subprocess.run(["bash", "-c",
                        f"source {ROOT}/scripts/lib/postgres.sh; "
                        f"pg_cluster_stop {cluster} immediate"], check=False)
        shutil.rmtree(directory)


if __name__ == "__main__":
    main()
