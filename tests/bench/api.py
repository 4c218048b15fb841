#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The JSON API with ten million runs behind it.

    tests/bench/api.py [--runs N] [--seconds N] [--clients N,N] [--cluster DIR]

Loads the runs (tests/bench/history.py), migrates, folds, and starts an exporter
with its API. Then wrk asks each endpoint without pause, for a tenant of 100
workflows and for an operator of all 1,000, with 1, 16 and 64 clients. Refused
are those that got 503 because too many waited already; their time is among the
others'. Scrapes go on meanwhile, one a second, and are compared with those
before.

--cluster takes a directory of scripts/lib/postgres.sh whose database `bench`
has all that already. Needs build/release, wrk and PostgreSQL; with ten million
runs half an hour to load, and then 60 times --seconds.
"""

import argparse
import collections
import datetime
import json
import os
import pathlib
import re
import secrets
import statistics
import subprocess
import sys
import tempfile
import threading

import bench
import history

sys.path.insert(0, f"{bench.ROOT}/scripts/lib")
from api_token import token  # noqa: E402  (found through the line above)

# What a caller may wait, in ms: all, and a tenant of up to 100 workflows.
MOST_MS, MOST_MS_TENANT = 300, 50
ENDPOINTS = {
    "overview": "/api/metrics",
    "workflow": "/api/metrics/workflow/%(busiest)s",
    "summary": "/api/metrics/workflows/summary",
    "summary by p95": "/api/metrics/workflows/summary?sort=p95_duration",
    "trend, days": "/api/metrics/workflows/trend",
    "trend, hours of 7 d":
        "/api/metrics/workflows/trend?bucket=hour&start_date=%(week)s",
    "execution-times": "/api/v1/statistics/execution-times",
    "execution-times, one":
        "/api/v1/statistics/execution-times?workflow_id=%(busiest)s",
    "alerts": "/api/metrics/alerts",
    "queue-depth": "/api/metrics/queue-depth",
}
OPERATORS_ONLY = {"queue-depth"}
# Percentiles and counts of the answers by status, for this program to read.
REPORT = """
local statuses = {}
local threads = {}
function setup(thread) table.insert(threads, thread) end
function init() counts = "" ; seen = {} end
function response(status)
  seen[status] = (seen[status] or 0) + 1
  counts = ""
  for s, n in pairs(seen) do counts = counts .. s .. "=" .. n .. " " end
end
function done(summary, latency)
  for _, thread in ipairs(threads) do
    for s, n in thread:get("counts"):gmatch("(%d+)=(%d+)") do
      statuses[s] = (statuses[s] or 0) + n
    end
  end
  local text = {}
  for s, n in pairs(statuses) do
    table.insert(text, string.format('"%s": %d', s, n))
  end
  io.write(string.format(
    '\\nREPORT {"p50": %f, "p99": %f, "max": %f, "seconds": %f, '
    .. '"errors": %d, "statuses": {%s}}\\n',
    latency:percentile(50) / 1000, latency:percentile(99) / 1000,
    latency.max / 1000, summary.duration / 1e6,
    summary.errors.connect + summary.errors.read + summary.errors.write
    + summary.errors.timeout, table.concat(text, ", ")))
end
"""


class Api(bench.Served):
    """An exporter with its API, keys in a file beside it."""

    def __init__(self, cluster, folder):
        self.secret = secrets.token_hex(32)
        self.report = pathlib.Path(folder, "report.lua")
        self.report.write_text(REPORT)
        keys = pathlib.Path(folder, "secret")
        keys.write_text(self.secret)
        self.api_port = bench.free_port()
        super().__init__(
            [bench.EXPORTER, f"--api.listen-address=127.0.0.1:{self.api_port}",
             f"--api.jwt-secret-file={keys}",
             "--api.requests-per-second=100000"],
            DATABASE_URL=cluster.url("meshhook_exporter"),
            API_DATABASE_URL=cluster.url("meshhook_api"))

    def ask(self, path, bearer, clients, seconds):
        """What wrk saw."""
        out = subprocess.run(
            ["wrk", "--threads", "1", "--connections", str(clients),
             "--duration", f"{seconds}s", "--timeout", "10s",
             "--header", f"Authorization: Bearer {bearer}",
             "--script", str(self.report),
             f"http://127.0.0.1:{self.api_port}{path}"],
            check=True, text=True, stdout=subprocess.PIPE).stdout
        return json.loads(re.search("^REPORT (.*)$", out, re.M)[1])


class Given:
    """A cluster that is there already, as bench.Cluster."""

    def __init__(self, path):
        self.path = path
        self.port = bench.shell(f"source {path}/postgres.env; echo $PGPORT")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    url, session, psql = (bench.Cluster.url, bench.Cluster.session,
                          bench.Cluster.psql)


def load(cluster, runs):
    history.load(cluster, runs)
    cluster.migrate()
    session = cluster.session()
    for function in ("fold(200000)", "fold_trends(200000)",
                     "fold_steps(2000, '0')"):
        while session.value(f"SELECT metrics.{function}", int):
            pass
    for _ in range(4):
        session.run("SELECT metrics.refresh_if_due()")
    session.close()
    cluster.psql("VACUUM ANALYZE")


class Scrapes:
    """One a second until the block is left."""

    def __init__(self, api):
        self.api, self.times, self.ending = api, [], threading.Event()
        self.thread = threading.Thread(target=self.scrape, daemon=True)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.ending.set()
        self.thread.join()

    def scrape(self):
        while not self.ending.wait(1):
            self.times.append(self.api.timed())


def cases(api, endpoints, tokens, clients, seconds):
    for whose, bearer in tokens.items():
        for name, path in endpoints.items():
            if name in OPERATORS_ONLY and whose != "operator":
                continue
            for count in clients:
                seen = api.ask(path, bearer, count, seconds)
                answers = collections.Counter(
                    {int(s): n for s, n in seen["statuses"].items()})
                wrong = set(answers) - {200, 503}
                if wrong or seen["errors"] or not answers[200]:
                    raise SystemExit(f"{name}: {seen} {api.complaints()}")
                yield whose, name, count, answers, seen


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--runs", type=int, default=10_000_000)
    parser.add_argument("--seconds", type=int, default=10)
    parser.add_argument("--clients", default="1,16,64")
    parser.add_argument("--cluster", help="one that has the data already")
    options = parser.parse_args()
    clients = [int(count) for count in options.clients.split(",")]

    with (Given(options.cluster) if options.cluster else
          bench.Cluster("fast", **history.SETTINGS)) as cluster, \
            tempfile.TemporaryDirectory() as folder:
        if not options.cluster:
            load(cluster, options.runs)
        history.own(cluster, 5)
        busiest = cluster.session().value(
            "SELECT workflow_id FROM metrics.workflow_run_metrics "
            "ORDER BY success_count DESC LIMIT 1", str)
        week = datetime.datetime.now(datetime.timezone.utc) \
            - datetime.timedelta(days=7)
        values = {"busiest": busiest,
                  "week": week.strftime("%Y-%m-%dT%H:%M:%SZ")}
        endpoints = {name: path % values for name, path in ENDPOINTS.items()}
        with Api(cluster, folder) as api:
            api.settle()
            tokens = {"tenant": token(api.secret, history.TENANT),
                      "operator": token(api.secret)}
            alone = [api.timed() for _ in range(30)]
            rows, worst = [], {"tenant": 0.0, "operator": 0.0}
            with Scrapes(api) as scrapes:
                for whose, name, count, answers, seen in cases(
                        api, endpoints, tokens, clients, options.seconds):
                    worst[whose] = max(worst[whose], seen["p99"])
                    rows.append([
                        f"{whose}: {name}", str(count), seen["p50"],
                        seen["p99"], seen["max"],
                        answers[200] / seen["seconds"],
                        100 * answers[503] / answers.total()])
            print(f"{os.cpu_count()} cores, load {bench.load_average()}")
            bench.table(["endpoint", "clients", "p50 (ms)", "p99 (ms)",
                         "max (ms)", "answers/s", "refused (%)"], rows)
            print("complaints:", api.complaints() or "none")
            print(f"resident: {bench.memory_mb(api.pid)['Rss']:.1f} MB")
        bench.table(
            ["scrapes", "p50 (ms)", "p99 (ms)"],
            [[what, statistics.median(times), bench.quantile(times, 0.99)]
             for what, times in (("before", alone),
                                 ("meanwhile", scrapes.times))])
        bench.bounds({
            "p99 of a tenant of 100 workflows (ms)":
                (worst["tenant"], MOST_MS_TENANT),
            "p99 of anybody (ms)": (max(worst.values()), MOST_MS)})


if __name__ == "__main__":
    main()
