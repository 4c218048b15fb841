#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What collectors of relations cost in a database of many tables.

    tests/bench/many_tables.py [--tables N] [--rounds N]

Starts a throwaway cluster with N tables (default 10,000) of two indexes and a
sequence each, and scrapes it. Prints the time of each collector that reads
relations, as the program measures it. Fails where a scrape is not complete, ends after Prometheus'
usual timeout, or has more series than its budget. Needs build/release.
"""

import argparse
import re
import statistics
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


def scrape(port):
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/metrics",
        headers={"X-Prometheus-Scrape-Timeout-Seconds": str(TIMEOUT)})
    began = time.perf_counter()
    with urllib.request.urlopen(request, timeout=30) as response:
        page = response.read().decode()
    took = time.perf_counter() - began
    samples = dict(line.rsplit(" ", 1) for line in page.splitlines()
                   if line and not line.startswith("#"))
    return took, samples


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
        with bench.Exporter(cluster, "--no-worker",
                            "--collector.statio_user_indexes") as exporter:
            rounds = [scrape(exporter.port) for _ in range(asked.rounds)]
    durations = [of_collectors(samples, "pg_scrape_collector_duration_seconds")
                 for _, samples in rounds]
    took = {name: [each[name] for each in durations]
            for name in durations[0] if NAME.search(name)}
    took["the whole scrape"] = [seconds for seconds, _ in rounds]
    bench.table(["collector", "median (ms)", "most (ms)"],
                [[name, statistics.median(times) * 1e3, max(times) * 1e3]
                 for name, times in took.items()])
    samples = rounds[-1][1]
    print(f"{len(samples):,} series of {BUDGET:,}, "
          f"load {bench.load_average()}")
    failed = [name for name, success in
              of_collectors(samples, "pg_scrape_collector_success").items()
              if not success]
    if (failed or max(took["the whole scrape"]) > TIMEOUT
            or len(samples) > BUDGET):
        raise SystemExit(f"FAIL: {failed or 'the timeout or the budget'}")


if __name__ == "__main__":
    main()
