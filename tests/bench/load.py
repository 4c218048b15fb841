#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Scrapes while the database is under full load, and what they take from it.

    tests/bench/load.py [--seconds N] [--rounds N] [--scrapers N]
                        [--interval N] [--clients N]

pgbench keeps every core busy with MeshHook's transaction: a run that starts,
writes its events and ends. First 20 scrapers ask without a pause for a minute,
and no answer may be late or the program grow. Then what MeshHook gets done
with and without scrapes, in arms that take turns: nobody scrapes, nobody
again (how far its ratio is from 1 is what a ratio is worth here), and 20
scrapers ask at the same moment every five seconds. "Of all cores" is CPU of the
program and its backends by their own clocks: where nothing is idle that much
is lost, and it is exact where throughput drowns in noise. Needs build/release
and PostgreSQL with pgbench.
"""

import argparse
import os
import pathlib
import statistics
import threading
import time

import bench
import trigger

TIMEOUT_MS = 10_000
ARMS = ("off", "off again", "scraped")


class Scrapers:
    """Scrape from so many threads until the block is left: again at once, or
    all together at each interval."""

    def __init__(self, exporter, count, interval=None):
        self.exporter, self.interval = exporter, interval
        self.times, self.failures, self.memory = [], [], []
        self.ending = threading.Event()
        self.began = time.monotonic()
        self.threads = [threading.Thread(target=self.scrape, daemon=True)
                        for _ in range(count)]
        self.threads.append(threading.Thread(target=self.watch, daemon=True))

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.ending.set()
        for thread in self.threads:
            thread.join()

    def scrape(self):
        turn = 0
        while not self.ending.is_set():
            try:
                self.times.append(self.exporter.timed())
            except OSError as error:
                self.failures.append(error)
                time.sleep(0.1)
            if self.interval:
                turn += 1
                self.ending.wait(max(0, self.began + turn * self.interval
                                     - time.monotonic()))

    def watch(self):
        while not self.ending.wait(1):
            self.memory.append(bench.memory_mb(self.exporter.pid)["Rss"])


def without_a_pause(cluster, script, options):
    with bench.Exporter(cluster, "--no-worker") as exporter:
        exporter.settle()
        with Scrapers(exporter, options.scrapers) as scrapers:
            rate, _ = trigger.load(cluster, script, options.seconds,
                                   options.clients)
        with cluster.session("supabase_admin") as session:
            sessions = session.value(
                "SELECT count(*) FROM pg_stat_activity "
                "WHERE usename = 'meshhook_exporter'", int)
        page = bench.samples_of(exporter.page())
        for line in exporter.complaints().splitlines()[:5]:
            print(line)
    # Every thread has its own first allocations; the first quarter is theirs.
    quarter = max(1, len(scrapers.memory) // 4)
    early, late = (statistics.median(part) for part in (
        scrapers.memory[quarter:2 * quarter], scrapers.memory[-quarter:]))
    print(f"{options.scrapers} scrapers for {options.seconds} s, beside "
          f"{rate:,.0f} transactions a second; load {bench.load_average()}")
    bench.table(
        ["scrapes", "failed", "median (ms)", "p99 (ms)", "slowest (ms)",
         "MB, second quarter", "MB, last quarter", "most MB", "sessions",
         "collections"],
        [[len(scrapers.times), len(scrapers.failures),
          statistics.median(scrapers.times),
          bench.quantile(scrapers.times, 0.99), max(scrapers.times),
          early, late, max(scrapers.memory), sessions,
          int(page["pg_exporter_scrapes_total"])]])
    return {"scrapes that failed": (len(scrapers.failures), 0),
            "p99 of a scrape (ms)":
                (bench.quantile(scrapers.times, 0.99), TIMEOUT_MS),
            "resident, last quarter / second": (late / early, 1.05)}


def arm(cluster, script, options, scraped):
    """Transactions a second, and the part of all cores that scraping took."""
    if not scraped:
        return trigger.load(cluster, script, options.arm_seconds,
                            options.clients)[0], 0.0
    with bench.Exporter(cluster, "--no-worker") as exporter, \
            cluster.session("supabase_admin") as session:
        def spent():
            pids = session.run("SELECT pid FROM pg_stat_activity "
                               "WHERE usename = 'meshhook_exporter'")
            return sum(bench.cpu_ms(int(pid)) for pid, in pids) \
                + bench.cpu_ms(exporter.pid)
        exporter.settle()
        before, began = spent(), time.perf_counter()
        with Scrapers(exporter, options.scrapers, options.interval):
            rate, _ = trigger.load(cluster, script, options.arm_seconds,
                                   options.clients)
        elapsed = (time.perf_counter() - began) * 1e3
        return rate, (spent() - before) / elapsed / os.cpu_count()


def at_intervals(cluster, script, options):
    session, admin = cluster.session(), cluster.session("supabase_admin")
    rates, shares = {name: [] for name in ARMS}, []
    for turn in range(options.rounds):
        first = turn % len(ARMS)
        order = ARMS[first:] + ARMS[:first]
        for name in order if turn % 2 else reversed(order):
            trigger.settle(session, True)
            admin.run("CHECKPOINT")
            rate, share = arm(cluster, script, options, name == "scraped")
            rates[name].append(rate)
            if name == "scraped":
                shares.append(share)
        print(f"round {turn + 1} of {options.rounds}", flush=True)
    session.close()
    admin.close()
    ratios = {name: [b / a for a, b in zip(rates["off"], rates[name])]
              for name in ARMS[1:]}
    print(f"\n{options.rounds} rounds of {options.arm_seconds} s an arm, "
          f"{options.scrapers} scrapers every {options.interval:g} s, "
          f"{options.clients} clients; load {bench.load_average()}")
    bench.table(
        ["transactions of MeshHook", *ARMS, "off again / off",
         "scraped / off", "scraping, % of all cores"],
        [["a second", *(statistics.median(rates[name]) for name in ARMS),
          *(statistics.median(each) for each in ratios.values()),
          statistics.median(shares) * 100]])
    for name, each in ratios.items():
        print(f"{name} / off, by round:", *(f"{x:.3f}" for x in sorted(each)))
    return {"scraping, % of all cores": (statistics.median(shares) * 100, 1)}


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--arm-seconds", type=int, default=15)
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--scrapers", type=int, default=20)
    parser.add_argument("--interval", type=float, default=5)
    parser.add_argument("--clients", type=int, default=8)
    options = parser.parse_args()
    # A checkpoint or a vacuum would hit one arm and not the others.
    with bench.Cluster("safe", autovacuum="off", max_wal_size="20GB",
                       checkpoint_timeout="1h",
                       shared_buffers="1GB") as cluster:
        cluster.psql(bench.seed_workflows(8, trigger.WORKFLOWS)
                     + trigger.SETUP)
        cluster.migrate()
        script = pathlib.Path(cluster.directory, "run.sql")
        script.write_text(trigger.run_script(trigger.WORKFLOWS))
        held = without_a_pause(cluster, script, options)
        print()
        held.update(at_intervals(cluster, script, options))
    print()
    bench.bounds(held)


if __name__ == "__main__":
    main()
