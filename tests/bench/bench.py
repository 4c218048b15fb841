# SPDX-License-Identifier: MIT
"""What the benches share: a throwaway cluster, sessions, exporters, tables.

Needs build/release (meshhook-exporter; BENCH_EXPORTER names another build's)
and PostgreSQL with pgbench.
"""

import gzip
import http.client
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
EXPORTER = os.environ.get("BENCH_EXPORTER",
                          f"{ROOT}/build/release/meshhook-exporter")

# So that nothing is left running when a bench is told to end.
signal.signal(signal.SIGTERM, lambda *_: sys.exit("terminated"))


def shell(command):
    return subprocess.run(
        ["bash", "-euc", f"source {ROOT}/scripts/lib/postgres.sh; {command}"],
        check=True, text=True, stdout=subprocess.PIPE).stdout.strip()


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def quantile(values, rank):
    ordered = sorted(values)
    return ordered[min(int(len(ordered) * rank), len(ordered) - 1)]


def cpu_ms(pid):
    """What a process and its threads have used of a core, to the ns."""
    return time.clock_gettime_ns(~pid << 3 | 2) / 1e6


def memory_mb(pid):
    """Resident memory, and what of it is this process' own: pages that n
    processes share count 1/n."""
    rollup = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text()
    return {name: int(re.search(rf"^{name}: +(\d+)", rollup, re.M)[1]) / 1e3
            for name in ("Rss", "Pss")}


def samples_of(page):
    """The value of each series, by its name with labels."""
    return {name: float(value) for name, value in
            (line.rsplit(" ", 1) for line in page.splitlines()
             if line and not line.startswith("#"))}


def load_average():
    return " ".join(pathlib.Path("/proc/loadavg").read_text().split()[:3])


def table(heads, rows):
    """Prints a table; figures go to the right."""
    cells = [[f"{cell:,.2f}" if isinstance(cell, float) else
              f"{cell:,}" if isinstance(cell, int) else cell for cell in row]
             for row in rows]
    wide = [max(len(line[i]) for line in [heads, *cells])
            for i in range(len(heads))]
    right = [bool(rows) and not isinstance(rows[0][i], str)
             for i in range(len(heads))]

    def line(texts):
        return "| " + " | ".join(
            text.rjust(width) if to_right else text.ljust(width)
            for text, width, to_right in zip(texts, wide, right)) + " |"
    print(line(heads))
    print("|" + "|".join("-" * (width + 1) + (":" if to_right else "-")
                         for width, to_right in zip(wide, right)) + "|")
    for row in cells:
        print(line(row), flush=True)


def bounds(held):
    """Prints each figure beside the most it may be; fails where one is more."""
    table(["bound", "is", "at most", ""],
          [[name, float(value), float(most),
            "met" if value <= most else "MISSED"]
           for name, (value, most) in held.items()])
    if missed := [name for name, (value, most) in held.items()
                  if not value <= most]:
        raise SystemExit(f"missed: {'; '.join(missed)}")


class Session:
    """A psql that stays connected, so that a call's time is only the call's.

    One thread at a time. SystemExit where a statement fails.
    """

    def __init__(self, url):
        self.process = subprocess.Popen(
            ["psql", "--no-psqlrc", "--quiet", "--tuples-only", "--no-align",
             "--field-separator=\t", "--set=ON_ERROR_STOP=1", url],
            text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.pid = self.value("SELECT pg_backend_pid()", int)

    def run(self, sql):
        self.process.stdin.write(f"{sql}\n;\\echo ==done==\n")
        self.process.stdin.flush()
        rows = []
        for line in self.process.stdout:
            if line == "==done==\n":
                return rows
            rows.append(line[:-1].split("\t"))
        raise SystemExit(f"failed: {sql}")

    def value(self, sql, kind=float):
        return kind(self.run(sql)[0][0])

    def timed(self, sql):
        """How long a statement takes, in ms."""
        began = time.perf_counter()
        self.run(sql)
        return (time.perf_counter() - began) * 1e3

    def cpu_ms(self):
        """What its server process has used of a core so far."""
        return cpu_ms(self.pid)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.process.stdin.close()
        self.process.wait()


class Served:
    """A running program with a page of metrics; leave the block and it ends."""

    # As Prometheus asks.
    HEADERS = {
        "Accept": "application/openmetrics-text;version=1.0.0,"
                  "application/openmetrics-text;version=0.0.1;q=0.75,"
                  "text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
        "Accept-Encoding": "gzip",
        "X-Prometheus-Scrape-Timeout-Seconds": "10",
    }

    def __init__(self, command, **environment):
        self.port = free_port()
        self.process = subprocess.Popen(
            [*command, f"--web.listen-address=127.0.0.1:{self.port}"],
            env={**os.environ, **environment}, stdout=subprocess.DEVNULL,
            stderr=(log := tempfile.NamedTemporaryFile("w")))
        self.pid, self.log = self.process.pid, log

    def __enter__(self):
        for _ in range(200):
            try:
                if "\npg_up 1" in self.page():
                    return self
            except OSError:
                pass
            time.sleep(0.1)
        self.__exit__()
        raise SystemExit(f"{self.process.args[0]} does not reach the database:"
                         f" {self.complaints()}")

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait()

    def complaints(self):
        """What it logged that is no news."""
        with open(self.log.name, encoding="utf-8") as log:  # a place of its own
            return "".join(line for line in log if "level=info" not in line)

    def packed(self, timeout=60):
        """The body as it is sent, and how long it took, in ms. A connection of
        its own, as a scrape 15 s after the last has."""
        began = time.perf_counter()
        connection = http.client.HTTPConnection("127.0.0.1", self.port,
                                                timeout=timeout)
        connection.request("GET", "/metrics", headers=self.HEADERS)
        body = connection.getresponse().read()
        connection.close()
        return body, (time.perf_counter() - began) * 1e3

    def page(self):
        body = self.packed()[0]
        return (gzip.decompress(body) if body[:2] == b"\x1f\x8b" else body
                ).decode()

    def timed(self):
        return self.packed()[1]

    def settle(self):
        """Waits until what is asked in the background is on the page too,
        which is when the page grows no more."""
        seen, until = [], time.monotonic() + 30
        while len(seen) < 4 or max(seen[-4:]) > min(seen[-4:]) * 1.001:
            seen.append(len(samples_of(self.page())))
            if time.monotonic() > until:
                raise SystemExit(f"the page does not settle: {seen}")
            time.sleep(0.25)


class Exporter(Served):
    """Ours, of a cluster; `port` where its server is found elsewhere."""

    def __init__(self, cluster, *options, role="meshhook_exporter", port=None):
        super().__init__([EXPORTER, *options],
                         DATABASE_URL=cluster.url(role, port))


def only(collectors):
    """Options that leave those on, and no other."""
    text = subprocess.run([EXPORTER, "--help"], check=True, text=True,
                          stdout=subprocess.PIPE).stdout
    known = set(re.findall(r"--no-collector\.([a-z_]+)", text))
    if missing := set(collectors) - known:
        raise SystemExit(f"no collector is called {missing}")
    return ["--no-worker", *(f"--no-collector.{name}"
                             for name in sorted(known - set(collectors)))]


class Cluster:
    """A throwaway cluster with MeshHook's tables in the database `bench`.

    `safe` is as durable as a server in production, `fast` has fsync off.
    """

    def __init__(self, durability="fast", **settings):
        self.durability, self.settings = durability, settings
        self.directory = tempfile.mkdtemp(prefix="meshhook-bench-", dir="/tmp")
        os.chmod(self.directory, 0o711)  # the server's user passes through
        self.path = f"{self.directory}/cluster"

    def __enter__(self):
        try:
            shell(f"pg_cluster_create {self.path} {self.durability}")
            self.port = shell(f"source {self.path}/postgres.env; echo $PGPORT")
            for name, value in self.settings.items():
                self.psql(f"ALTER SYSTEM SET {name} = '{value}'", "postgres")
            shell(f"pg_cluster_stop {self.path}; pg_cluster_start {self.path};"
                  f"pg_database_create {self.path} bench;"
                  f"pg_fixtures_load {self.path} bench")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        subprocess.run(
            ["bash", "-c", f"source {ROOT}/scripts/lib/postgres.sh; "
             f"pg_cluster_stop {self.path} immediate"], check=False)
        shutil.rmtree(self.directory)

    def url(self, role="postgres", port=None):
        return f"postgresql://{role}@127.0.0.1:{port or self.port}/bench"

    def reaped_cpu_ms(self):
        """What the server processes that have ended used of a core in all."""
        pid = pathlib.Path(self.path, "data/postmaster.pid").read_text()
        stat = pathlib.Path(f"/proc/{pid.split()[0]}/stat").read_text()
        ticks = stat.rpartition(")")[2].split()[13:15]
        return sum(map(int, ticks)) * 1e3 / os.sysconf("SC_CLK_TCK")

    def session(self, role="postgres"):
        return Session(self.url(role))

    def psql(self, sql, database="bench"):
        """Runs statements as the superuser, each in a transaction."""
        subprocess.run(
            ["bash", "-euc", f"source {ROOT}/scripts/lib/postgres.sh; "
             f"pg_psql {self.path} {database} --output=/dev/null"],
            check=True, text=True, input=sql)

    def migrate(self):
        """Installs the data layer, backfill included; how long it took, s."""
        began = time.perf_counter()
        subprocess.run([EXPORTER, "migrate"], check=True,
                       stdout=subprocess.DEVNULL,
                       env={**os.environ, "DATABASE_URL": self.url()})
        return time.perf_counter() - began


def seed_workflows(projects, workflows):
    """SQL for that many projects of one owner each, and their workflows."""
    return f"""
        INSERT INTO projects (owner, name)
        SELECT gen_random_uuid(), 'Project ' || i
        FROM generate_series(1, {projects}) AS i;
        INSERT INTO workflow_definitions (project_id, slug, name, status)
        SELECT p.id, 'w' || i, 'Workflow ' || i, 'published'
        FROM generate_series(1, {workflows}) AS i
        JOIN (SELECT id, row_number() OVER (ORDER BY id) AS n FROM projects)
            AS p ON p.n = 1 + i % {projects};
    """


def seed_runs(each):
    """SQL for so many finished runs of each workflow, folded."""
    return f"""
        INSERT INTO workflow_runs
            (project_id, workflow_id, status, started_at, finished_at)
        SELECT project_id, id,
               CASE WHEN random() < 0.02 THEN 'failed' ELSE 'succeeded' END,
               now() - random() * interval '9 seconds', now()
        FROM workflow_definitions, generate_series(1, {each});
        SELECT metrics.fold(), metrics.fold_trends();
        SELECT metrics.refresh_if_due();
    """
