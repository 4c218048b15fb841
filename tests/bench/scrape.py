#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What a scrape costs, beside postgres_exporter, on the same server in one run.

    tests/bench/scrape.py [--tables N] [--rounds N] [--round-trips MS,MS...]

A throwaway cluster, MeshHook's tables and N more (default 10), so that each
shows about 2,000 series. Four exporters of it are scraped in turn, so that
noise falls on all alike: ours with the collectors that postgres_exporter has,
Debian 12's postgres_exporter, the newest that Debian has, and ours with all
that is on by default (30 workflows). Then the same with the server at a
distance. Each is asked as Prometheus asks, gzip included.

Server CPU is what its backends' processes used: unlike the time that
pg_stat_statements has of plans and execution, it holds parsing and logging in
too, and a busy machine disturbs it little; the same holds for the exporter's
CPU. Wall time is only worth something on a quiet machine. Needs build/release,
PostgreSQL and deb.debian.org (or what an earlier run has got from there).
"""

import argparse
import contextlib
import statistics
import time

import bench
import delay
import peers

# What both know; the newest postgres_exporter has these on by default.
SAME = """database locks replication replication_slots roles settings
stat_activity stat_archiver stat_bgwriter stat_database
stat_database_conflicts stat_progress_vacuum stat_replication stat_user_tables
statio_user_tables wal""".split()
ROLES = """
    CREATE ROLE old LOGIN; CREATE ROLE newest LOGIN; CREATE ROLE ours LOGIN;
    GRANT pg_monitor TO old, newest;
    GRANT meshhook_exporter TO ours;
    GRANT USAGE ON SCHEMA extensions TO old, newest;
"""


def seed(workflows, tables):
    """SQL for workflows with 20 runs each, and tables beside MeshHook's."""
    return bench.seed_workflows(8, workflows) + bench.seed_runs(20) + "".join(
        f"CREATE TABLE t{i} (id int PRIMARY KEY);" for i in range(tables))


def contenders(cluster):
    """How to start each of the four at a port, and its role, by name."""
    def theirs(command, role):
        return lambda port=None: bench.Served(
            command,
            DATA_SOURCE_NAME=cluster.url(role, port) + "?sslmode=disable")

    (old, old_version), (newest, newest_version) = peers.both()
    return {
        "ours": (lambda port=None: bench.Exporter(
            cluster, *bench.only(SAME), role="ours", port=port), "ours"),
        f"p_e {old_version}": (theirs(old, "old"), "old"),
        f"p_e {newest_version}": (theirs(newest, "newest"), "newest"),
        "ours, all": (lambda port=None: bench.Exporter(
            cluster, "--no-worker", port=port), "meshhook_exporter"),
    }


class Server:
    """What the backends of a role used, those that ended since included."""

    def __init__(self, cluster):
        self.cluster = cluster
        self.session = cluster.session("supabase_admin")

    def backends(self, role):
        return {int(pid): bench.cpu_ms(int(pid)) for pid, in self.session.run(
            "SELECT pid FROM pg_stat_activity "
            f"WHERE usename = '{role}' AND pid <> pg_backend_pid()") if pid}

    def cpu_ms_of(self, role, work):
        """Of that role's, as long as no other's backends end meanwhile."""
        before, gone = self.backends(role), self.cluster.reaped_cpu_ms()
        result = work()
        time.sleep(0.01)  # until one that has ended is reaped
        after = self.backends(role)
        spent = sum(used - before.get(pid, 0) for pid, used in after.items())
        ended = sum(used for pid, used in before.items() if pid not in after)
        return result, spent + self.cluster.reaped_cpu_ms() - gone - ended

    def statements(self, role):
        """Plans and execution in ms, and statements, so far."""
        return [float(cell) for cell in self.session.run(f"""
            SELECT coalesce(sum(total_exec_time + total_plan_time), 0),
                   coalesce(sum(calls), 0)
            FROM extensions.pg_stat_statements
            JOIN pg_roles ON oid = userid WHERE rolname = '{role}'""")[0]]

    def at_interval(self, role, rounds):
        """What is not asked with each scrape takes that many ms at a time."""
        return self.session.value(f"""
            SELECT coalesce(sum((total_exec_time + total_plan_time) / calls), 0)
            FROM extensions.pg_stat_statements
            JOIN pg_roles ON oid = userid
            WHERE rolname = '{role}' AND calls < {rounds} / 2""")


def costs(cluster, started, rounds):
    """The figures of each contender."""
    server = Server(cluster)
    for served, _ in started.values():
        served.settle()
    walls, server_cpu, own_cpu = ({name: [] for name in started}
                                  for _ in range(3))
    before = {name: server.statements(role)
              for name, (_, role) in started.items()}
    for _ in range(rounds):
        for name, (served, role) in started.items():
            own = bench.cpu_ms(served.pid)
            wall, spent = server.cpu_ms_of(role, served.timed)
            own_cpu[name].append(bench.cpu_ms(served.pid) - own)
            walls[name].append(wall)
            server_cpu[name].append(spent)
    figures = {}
    for name, (served, role) in started.items():
        spent, statements = ((now - then) / rounds for now, then in zip(
            server.statements(role), before[name]))
        memory = bench.memory_mb(served.pid)
        figures[name] = {
            "series": len(bench.samples_of(served.page())),
            "exporter CPU (ms)": statistics.fmean(own_cpu[name]),
            "wall, median (ms)": statistics.median(walls[name]),
            "wall, p99 (ms)": bench.quantile(walls[name], 0.99),
            "resident memory (MB)": memory["Rss"],
            "its share of that, PSS (MB)": memory["Pss"],
            # The kernel tells of ended backends in steps of 10 ms, so that
            # only a sum over many rounds is right.
            "server CPU (ms)": statistics.fmean(server_cpu[name]),
            "server, plans and execution (ms)": spent,
            "what has an interval, once (ms)":
                server.at_interval(role, rounds),
            "statements": statements,
        }
    return figures


def at_distances(cluster, specs, round_trips, rounds):
    """Rows of median wall times, and what a scrape takes of the network."""
    walls, network = {name: [] for name in specs}, {}
    for distance in round_trips:
        for name, (start, _) in specs.items():
            with delay.Proxy(cluster.port, distance) as proxy, \
                    start(proxy.port) as served:
                times, network[name] = delay.wall_and_trips(proxy, served,
                                                            rounds)
            walls[name].append(statistics.median(times))
    return walls, network


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--tables", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--round-trips", default="0,5,20,80")
    options = parser.parse_args()
    distances = [float(ms) for ms in options.round_trips.split(",")]

    # A vacuum would end between two figures and count as a backend's.
    with bench.Cluster(autovacuum="off",
                       **{"pg_stat_statements.track_planning": "on"}
                       ) as cluster:
        cluster.migrate()
        cluster.psql(seed(30, options.tables) + ROLES)
        specs = contenders(cluster)
        with contextlib.ExitStack() as stack:
            started = {name: (stack.enter_context(start()), role)
                       for name, (start, role) in specs.items()}
            figures = costs(cluster, started, options.rounds)
        print(f"{options.rounds} scrapes of each, in turn; "
              f"load {bench.load_average()}")
        ours, old, newest, _ = figures.values()
        bench.table(["a scrape", *figures, "to newer", "to old"],
                    [[row, *(each[row] for each in figures.values()),
                      *(ours[row] / each[row] if each[row] else float("nan")
                        for each in (newest, old))]
                     for row in ours])
        rounds = max(3, options.rounds // 20)
        walls, network = at_distances(cluster, specs, distances, rounds)
    print(f"\n{rounds} scrapes each; load {bench.load_average()}")
    bench.table(["wall (ms), server at", *(f"{ms:g} ms" for ms in distances),
                 "round trips", "new sessions", "most sessions", "KB sent",
                 "KB received"],
                [[name, *walls[name], used["trips"], used["connections"],
                  used["most_open"], used["sent"] / 1e3,
                  used["received"] / 1e3]
                 for name, used in network.items()])
    bench.bounds({
        "exporter CPU, ratio to the newer":
            (ours["exporter CPU (ms)"] / newest["exporter CPU (ms)"], 0.25),
        "wall, ratio to the newer":
            (ours["wall, median (ms)"] / newest["wall, median (ms)"], 0.5),
        "resident memory (MB)": (ours["resident memory (MB)"], 15),
        "server CPU, ratio to the newer":
            (ours["server CPU (ms)"] / newest["server CPU (ms)"], 1),
        **({"wall at 20 ms to the server (ms)":
            (walls["ours"][distances.index(20)], 60)}
           if 20 in distances else {}),
    })


if __name__ == "__main__":
    main()
