#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""How the cost of a scrape grows with what there is to see.

    tests/bench/growth.py [--only TEXT] [--rounds N] [--dearest N]

Scrapes throwaway clusters of 10, 1,000 and 10,000 tables (two indexes and a
sequence each), of 5,000 statements, and of 1,000 and 10,000 workflows. "First"
is the one-shot command, which asks everything in line, "later" the median of
what Prometheus sees. Then, for each shape, the collectors that took longest.
Fails where a bound does not hold. Needs
build/release.
"""

import argparse
import os
import re
import statistics
import subprocess
import time

import bench

TABLES = """DO $$ BEGIN FOR i IN 1..%d LOOP
    EXECUTE format('CREATE TABLE many_%%s (id bigserial PRIMARY KEY,
                    owner uuid, body text)', i);
    EXECUTE format('CREATE INDEX ON many_%%s (owner)', i);
    IF i %% 500 = 0 THEN COMMIT; END IF;
END LOOP; END $$"""
# Statements that differ by the names of their columns are so many statements.
STATEMENTS = """DO $$ BEGIN FOR i IN 1..5000 LOOP
    EXECUTE format('SELECT %s AS n%s, now() AS at', i, i);
END LOOP; END $$"""

def workflows(count):
    return bench.seed_workflows(max(1, count // 25), count) \
        + bench.seed_runs(5)


SHAPES = {
    "10 tables": TABLES % 10,
    "1,000 tables": TABLES % 1_000,
    "10,000 tables": TABLES % 10_000,
    "5,000 statements": STATEMENTS,
    "1,000 workflows": workflows(1_000),
    "10,000 workflows": workflows(10_000),
}
# Only the most that the issue names has bounds, but no scrape may be later
# than Prometheus' usual timeout.
MOST_MS, MOST_MB, TIMEOUT_MS = 1_000, 200, 10_000


def first_scrape(cluster):
    began = time.perf_counter()
    page = subprocess.run(
        [bench.EXPORTER, "scrape"], check=True, text=True,
        env={**os.environ, "DATABASE_URL": cluster.url("meshhook_exporter")},
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout
    return (time.perf_counter() - began) * 1e3, bench.samples_of(page)


def of_collectors(samples, metric):
    found = re.compile(re.escape(metric) + r'\{collector="(.*)"\}')
    return {match[1]: value for name, value in samples.items()
            if (match := found.fullmatch(name))}


def durations(samples):
    return of_collectors(samples, "pg_scrape_collector_duration_seconds")


def measure(name, cluster, rounds):
    began = time.monotonic()

    def progress(what):
        print(f"  {time.monotonic() - began:4.0f} s  {what}", flush=True)

    cluster.migrate()
    cluster.psql(SHAPES[name])
    cluster.psql("VACUUM ANALYZE")
    progress("made")
    firsts = [first_scrape(cluster) for _ in range(min(3, rounds))]
    first = sorted(firsts, key=lambda each: each[0])[len(firsts) // 2]
    with bench.Exporter(cluster, "--no-worker") as exporter:
        progress("scraped once")
        exporter.settle()
        progress("settled")
        with cluster.session("supabase_admin") as session:
            backends = [int(pid) for pid, in session.run(
                "SELECT pid FROM pg_stat_activity "
                "WHERE usename = 'meshhook_exporter'")]
        own = bench.cpu_ms(exporter.pid)
        server = sum(map(bench.cpu_ms, backends))
        times = [exporter.timed() for _ in range(rounds)]
        own = (bench.cpu_ms(exporter.pid) - own) / rounds
        server = (sum(map(bench.cpu_ms, backends)) - server) / rounds
        memory = bench.memory_mb(exporter.pid)
        page, complaints = exporter.page(), exporter.complaints()
    later = bench.samples_of(page)
    for line in complaints.splitlines()[:5]:
        print(line)
    failed = sum(not success for success in of_collectors(
        later, "pg_scrape_collector_success").values())
    row = [name, len(later), len(page) / 1e6, first[0],
           statistics.median(times), max(times), own, server, memory["Rss"],
           failed]
    dearest = sorted(durations(first[1]).items(), key=lambda each: -each[1])
    return row, [[name, collector, seconds * 1e3,
                  durations(later).get(collector, 0) * 1e3]
                 for collector, seconds in dearest]


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--only", default="",
                        help="shapes whose name has this in it")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--dearest", type=int, default=6)
    options = parser.parse_args()
    rows, dearest = [], []
    for name in (name for name in SHAPES if options.only in name):
        print(f"{name} ...", flush=True)
        with bench.Cluster(autovacuum="off",
                           **{"pg_stat_statements.max": 10000}) as cluster:
            row, collectors = measure(name, cluster, options.rounds)
        rows.append(row)
        dearest += collectors[:options.dearest]
    print(f"\nmedians of {options.rounds} scrapes; "
          f"load {bench.load_average()}")
    bench.table(["there are", "series", "MB", "first (ms)", "later (ms)",
                 "slowest (ms)", "exporter CPU", "server CPU",
                 "resident (MB)", "failed"], rows)
    print()
    bench.table(["there are", "dearest collectors", "first (ms)",
                 "later (ms)"], dearest)
    print()
    held = {}
    for name, _, _, first, later, slowest, _, _, resident, failed in rows:
        held[f"{name}: collectors that failed"] = (failed, 0)
        held[f"{name}: slowest scrape (ms)"] = (max(first, slowest),
                                                TIMEOUT_MS)
        if name == "10,000 workflows":
            held[f"{name}: a scrape (ms)"] = (later, MOST_MS)
            held[f"{name}: resident (MB)"] = (resident, MOST_MB)
    bench.bounds(held)


if __name__ == "__main__":
    main()
