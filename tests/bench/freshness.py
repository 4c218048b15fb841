#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""From a run's commit until /metrics shows it, while MeshHook is at work.

    tests/bench/freshness.py [--rate N] [--seconds N] [--workflows N]

A real exporter folds and serves; pgbench finishes runs at the rate, with their
events; a prober finishes runs of a workflow of its own and, from its commit's
return on, asks every 20 ms for the counter until it has moved. What a poll
costs is in the figure, so it is an upper bound.
"""

import argparse
import pathlib
import random
import re
import subprocess
import time

import bench
import trigger

PROBE = """
INSERT INTO workflow_runs (project_id, workflow_id, status)
SELECT project_id, id, 'running' FROM workflow_definitions WHERE slug = 'probe';
UPDATE workflow_runs SET status = 'succeeded', finished_at = clock_timestamp()
WHERE status = 'running'
  AND workflow_id = (SELECT id FROM workflow_definitions WHERE slug = 'probe')
"""
POLL = 0.02


def collectors_but(kept):
    help_text = subprocess.run([bench.EXPORTER, "--help"], text=True,
                               check=True, stdout=subprocess.PIPE).stdout
    return [f"--no-collector.{name}" for name in
            re.findall(r"^  --collector\.(\w+),", help_text, re.MULTILINE)
            if name != kept]


class Prober:
    def __init__(self, cluster, exporter):
        self.session, self.exporter = cluster.session(), exporter
        workflow = self.session.value("SELECT id FROM workflow_definitions "
                                      "WHERE slug = 'probe'", str)
        self.series = re.compile(
            rf'^meshhook_workflow_runs_total\{{(?=[^}}]*{workflow})'
            rf'(?=[^}}]*"succeeded")[^}}]*\}} (\S+)', re.MULTILINE)

    def seen(self):
        found = self.series.search(self.exporter.page())
        return float(found[1]) if found else 0

    def once(self):
        """Seconds from the commit of a run to its count."""
        before = self.seen()
        self.session.run(PROBE)
        committed = time.perf_counter()
        while self.seen() <= before:
            time.sleep(POLL)
        return time.perf_counter() - committed


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rate", type=int, default=1000)
    parser.add_argument("--seconds", type=int, default=120)
    parser.add_argument("--workflows", type=int, default=1000)
    options = parser.parse_args()

    print(f"load average {bench.load_average()}")
    with bench.Cluster("safe", shared_buffers="1GB",
                       max_wal_size="8GB") as cluster:
        cluster.psql(bench.seed_workflows(50, options.workflows)
                     + trigger.SETUP + """
            INSERT INTO workflow_definitions (project_id, slug, name, status)
            SELECT id, 'probe', 'Probe', 'published' FROM projects LIMIT 1;""")
        cluster.migrate()
        script = pathlib.Path(cluster.directory, "run.sql")
        script.write_text(trigger.run_script(options.workflows))
        with bench.Exporter(cluster,
                            *collectors_but("workflow_runs")) as exporter:
            prober = Prober(cluster, exporter)
            load = subprocess.Popen(
                ["pgbench", "--no-vacuum", "--protocol=prepared",
                 "--client=8", "--jobs=1", f"--rate={options.rate}",
                 f"--time={options.seconds + 5}", f"--file={script}",
                 cluster.url()], text=True, stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL)
            time.sleep(5)
            ends, delays = time.perf_counter() + options.seconds, []
            while time.perf_counter() < ends:
                delays.append(prober.once() * 1e3)
                time.sleep(random.random())  # not in step with the fold
            said = load.communicate()[0]
            prober.session.close()
    rate = next(line.split()[2] for line in said.splitlines()
                if line.startswith("tps ="))
    print(f"{rate} runs a second of {options.workflows:,} workflows; load "
          f"average {bench.load_average()}")
    bench.table(["commit to /metrics", "probes", "p50 (ms)", "p99 (ms)",
                 "most (ms)"],
                [["", len(delays), bench.quantile(delays, 0.5),
                  bench.quantile(delays, 0.99), max(delays)]])


if __name__ == "__main__":
    main()
