#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Where a scrape's time and the program's memory go.

    tests/bench/anatomy.py [--rounds N] [--workflows N] [--tables N]
                           [--dearest N] [--same]

Scrapes a throwaway cluster and prints: what the server's backends used, how
much of that is planning and execution (the rest is parsing, the protocol and
logging in), the guards that give each query its timeouts, and the dearest
queries; where perf is installed, the functions that the program's own CPU goes
to, with what they call; and whose pages its memory is. With --same only the
collectors that scrape.py compares. Needs build/release.
"""

import argparse
import collections
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time

import bench
import scrape

# Others' functions that are worth a line; of our own all are.
OTHERS = re.compile(r"malloc|c?free|deflate|PQ\w+|exc_page_fault|"
                    r"__memmove_\w+|mg_\w+")


def by_mapping(pid):
    """Resident and shared-out memory in MB, by what is mapped."""
    sizes = collections.defaultdict(lambda: [0.0, 0.0])
    with open(f"/proc/{pid}/smaps", encoding="utf-8") as smaps:
        for line in smaps:
            if mapped := re.match(r"[0-9a-f]+-\S+ \S+ \S+ \S+ \S+\s*(.*)",
                                  line):
                name = os.path.basename(mapped[1]) or "anonymous"
            elif line.startswith(("Rss:", "Pss:")):
                sizes[name][line[0] == "P"] += int(line.split()[1]) / 1e3
    return sizes


def memory_row(name, pid):
    memory = bench.memory_mb(pid)
    return [name, memory["Rss"], memory["Pss"],
            len(os.listdir(f"/proc/{pid}/task"))]


def functions(exporter, rounds):
    """Rows of a function's share with and without what it calls."""
    with tempfile.TemporaryDirectory() as directory:
        data = f"{directory}/perf.data"
        recording = subprocess.Popen(
            ["perf", "record", "--quiet", "--event=cpu-clock", "-F", "2000",
             "--call-graph=dwarf,16384", f"--pid={exporter.pid}",
             f"--output={data}"])
        time.sleep(0.5)  # until it listens; it does not say
        for _ in range(rounds):
            exporter.page()
        recording.send_signal(signal.SIGINT)
        recording.wait()
        report = subprocess.run(
            ["perf", "report", f"--input={data}", "--children", "--stdio",
             "--sort=symbol", "--call-graph=none"], check=True, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout
    shares = collections.defaultdict(lambda: [0.0, 0.0])
    for line in report.splitlines():
        found = re.match(r" *([\d.]+)% +([\d.]+)% +\[.\] (.*?)\s*( +- +- *)?$",
                         line)
        if not found:
            continue
        name = re.sub(r"\(anonymous namespace\)::|\[abi:cxx11\]", "", found[3])
        if name.startswith("meshhook::") or OTHERS.fullmatch(name):
            shares[name][0] += float(found[1])
            shares[name][1] += float(found[2])
    return sorted(([name, *share] for name, share in shares.items()
                   if share[0] >= 1), key=lambda row: -row[1])


def queries(session, rounds, most):
    """What pg_stat_statements has of the program, in ms a scrape."""
    ours = """FROM extensions.pg_stat_statements
              JOIN pg_roles ON oid = userid
              WHERE rolname = 'meshhook_exporter'"""
    figures = [float(cell) for cell in session.run(f"""
        SELECT coalesce(sum(total_plan_time), 0),
               coalesce(sum(total_exec_time), 0),
               coalesce(sum(total_plan_time + total_exec_time)
                        FILTER (WHERE query LIKE '%set_config(%'), 0)
        {ours}""")[0]]
    # A text begins as many do; what it reads tells it from the others.
    dearest = session.run(f"""
        SELECT total_plan_time + total_exec_time, total_plan_time,
               total_exec_time, calls, rows / calls,
               coalesce((SELECT left(string_agg(DISTINCT read[1], ' '), 70)
                         FROM regexp_matches(
                             query, '(?:FROM|JOIN)\s+((?:pg|metrics)[_.]\w+)',
                             'gi') AS read),
                        left(regexp_replace(query, '\\s+', ' ', 'g'), 70))
        {ours} ORDER BY 1 DESC LIMIT {most}""")
    return ([figure / rounds for figure in figures],
            [[text, float(both) / rounds, float(plan) / rounds,
              float(run) / rounds, int(calls), int(rows)]
             for both, plan, run, calls, rows, text in dearest])


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--workflows", type=int, default=30)
    parser.add_argument("--tables", type=int, default=30)
    parser.add_argument("--dearest", type=int, default=15)
    parser.add_argument("--same", action="store_true")
    options = parser.parse_args()
    chosen = bench.only(scrape.SAME) if options.same else ["--no-worker"]
    with bench.Cluster(autovacuum="off",
                       **{"pg_stat_statements.track_planning": "on"}
                       ) as cluster:
        cluster.migrate()
        cluster.psql(scrape.seed(options.workflows, options.tables))
        with bench.Exporter(cluster, *chosen) as exporter, \
                cluster.session("supabase_admin") as session:
            memory = [memory_row("after a scrape", exporter.pid)]
            exporter.settle()
            backends = [int(pid) for pid, in session.run(
                "SELECT pid FROM pg_stat_activity "
                "WHERE usename = 'meshhook_exporter'")]
            session.run("SELECT extensions.pg_stat_statements_reset()")
            own = bench.cpu_ms(exporter.pid)
            server = sum(map(bench.cpu_ms, backends))
            for _ in range(options.rounds):
                page = exporter.page()
            own = (bench.cpu_ms(exporter.pid) - own) / options.rounds
            server = (sum(map(bench.cpu_ms, backends)) - server) \
                / options.rounds
            memory.append(memory_row(f"after {options.rounds}", exporter.pid))
            mappings = by_mapping(exporter.pid)
            (plan, run, guards), dearest = queries(session, options.rounds,
                                                   options.dearest)
            shares = (functions(exporter, options.rounds)
                      if shutil.which("perf") else [])
    print(f"a scrape of {options.rounds}; load {bench.load_average()}")
    bench.table(["series", "exporter CPU (ms)", "server CPU (ms)",
                 "plans (ms)", "execution (ms)", "of both, guards (ms)"],
                [[len(bench.samples_of(page)), own, server, plan, run,
                  guards]])
    print()
    bench.table(["a query that reads", "ms a scrape", "plan", "execution",
                 "calls", "rows"], dearest)
    print()
    bench.table(["memory", "resident (MB)", "PSS (MB)", "threads"], memory)
    print()
    bench.table(["mapped", "resident (MB)", "PSS (MB)"],
                sorted(([name, *sizes] for name, sizes in mappings.items()
                        if sizes[0] >= 0.1), key=lambda row: -row[1]))
    if shares:
        print()
        bench.table(["function", "with what it calls (%)", "itself (%)"],
                    shares)


if __name__ == "__main__":
    main()
