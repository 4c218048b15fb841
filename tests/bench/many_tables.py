#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What collectors of relations cost in a database of many tables.

    tests/bench/many_tables.py [--tables N] [--rounds N]

Starts a throwaway cluster with N tables (default 10,000) of two indexes and a
sequence each, and scrapes it. Prints the time of each collector that reads
relations, as the program measures it: where all are asked, as a program that
has just begun does, and in the scrapes that follow, where those with an
interval are not. Fails where a scrape is not complete, ends after Prometheus'
usual timeout, or has more series than its budget. Needs build/release.
"""

import argparse
import os
import re
import statistics
import subprocess
import time
import urllib.request

import bench

BUDGET, TIMEOUT = 250_000, 10.0
NAME = re.compile(r"tables|index|foreign_keys|sequen|bloat|materialized_views")
MAKE = """DO $$ BEGIN FOR i IN 1..%d LOOP
    EXECUTE format('CREATE TABLE many_%%s (id bigserial PRIMARY KEY,
                    owner uuid, body text)', i);
    EXECUTE format('CREATE INDEX ON many_%%s (owner)', i);
    IF i %% 500 = 0 THEN COMMIT; END IF;
END LOOP; END $$"""


OPTIONS = ["--no-worker", "--collector.statio_user_indexes"]


def samples_of(page):
    return dict(line.rsplit(" ", 1) for line in page.splitlines()
                if line and not line.startswith("#"))


def first_scrape(cluster):
    began = time.perf_counter()
    page = subprocess.run(
        [bench.EXPORTER, "scrape", *OPTIONS], check=True, text=True,
        env={**os.environ, "DATABASE_URL": cluster.url("meshhook_exporter")},
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout
    return time.perf_counter() - began, samples_of(page)


def scrape(port):
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/metrics",
        headers={"X-Prometheus-Scrape-Timeout-Seconds": str(TIMEOUT)})
    began = time.perf_counter()
    with urllib.request.urlopen(request, timeout=30) as response:
        page = response.read().decode()
    took = time.perf_counter() - began
    return took, samples_of(page)


def of_collectors(samples, metric):
    found = re.compile(re.escape(metric) + r'\{collector="(.*)"\}')
    return {match[1]: float(value) for name, value in samples.items()
            if (match := found.fullmatch(name))}


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--tables", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=7)
    asked = parser.parse_args()
    with bench.Cluster() as cluster:
        cluster.migrate()
        cluster.session().run(MAKE % asked.tables)
        cluster.psql("VACUUM ANALYZE")
        first = [first_scrape(cluster) for _ in range(asked.rounds)]
        with bench.Exporter(cluster, *OPTIONS) as exporter:
            rounds = [scrape(exporter.port) for _ in range(asked.rounds)]

    def took(scrapes):
        durations = [
            of_collectors(samples, "pg_scrape_collector_duration_seconds")
            for _, samples in scrapes]
        times = {name: statistics.median(each[name] for each in durations)
                 for name in durations[0] if NAME.search(name)}
        times["the whole scrape"] = statistics.median(
            seconds for seconds, _ in scrapes)
        return times

    at_first, later = took(first), took(rounds)
    bench.table(["collector, median", "all asked (ms)", "later (ms)"],
                [[name, at_first[name] * 1e3, later[name] * 1e3]
                 for name in at_first])
    samples = rounds[-1][1]
    print(f"{len(samples):,} series of {BUDGET:,}, "
          f"load {bench.load_average()}")
    failed = [name for name, success in
              of_collectors(samples, "pg_scrape_collector_success").items()
              if not success]
    slowest = max(seconds for seconds, _ in first + rounds)
    if failed or slowest > TIMEOUT or len(samples) > BUDGET:
        raise SystemExit(f"FAIL: {failed or 'the timeout or the budget'}")


if __name__ == "__main__":
    main()
