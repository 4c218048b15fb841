#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Prints the state of a running stack in a few lines, as Prometheus knows it.

  summary.py PROMETHEUS_URL NOTIFICATIONS [--line]

NOTIFICATIONS is the catcher's file. With --line all stands in one line. What
Prometheus does not know (yet) is a dash. Always exits 0: that Prometheus is
away is a state too.
"""

import argparse
import json
import time
import urllib.error
import urllib.parse
import urllib.request

FINISHED = 'meshhook_workflow_runs_total{status=~"succeeded|failed"}'
SUCCEEDED = 'meshhook_workflow_runs_total{status="succeeded"}'
FOLD = 'meshhook_worker_task_last_success_timestamp_seconds{task="fold"}'

QUERIES = {
    "rate": f"sum(rate({FINISHED}[30s]))",
    "success": f"sum(rate({SUCCEEDED}[1m])) / sum(rate({FINISHED}[1m]))",
    "p95": "histogram_quantile(0.95, sum by (le) "
           "(rate(meshhook_workflow_run_duration_seconds_bucket[1m])))",
    "active": "sum(meshhook_workflow_active_runs)",
    "age": f"time() - max({FOLD})",
    "up": "max(pg_up)",
    "size": "max(pg_database_size_bytes)",
    "connections": "max(pg_client_connections)",
    "limit": "max(pg_client_connections_limit)",
    "alerts": 'ALERTS{alertstate="firing",severity!="none"}',
}


def ask(base, expression):
    """The query's samples as (labels, value); none if nobody answers."""
    url = f"{base}/api/v1/query?" + urllib.parse.urlencode({"query": expression})
    try:
        with OPENER.open(url, timeout=3) as answer:
            result = json.load(answer)["data"]["result"]
    except (OSError, ValueError, KeyError):
        return []
    return [(row["metric"], float(row["value"][1])) for row in result]


def number(samples, show):
    """The first sample through `show`; a dash for none and for 0/0."""
    value = samples[0][1] if samples else float("nan")
    return "-" if value != value else show(value)


def duration(seconds):
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    return f"{seconds:.1f} s" if seconds < 120 else f"{seconds / 60:.0f} min"


def size(count):
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"


def firing(samples):
    counts = {}
    for labels, _ in samples:
        name = labels.get("alertname", "?")
        counts[name] = counts.get(name, 0) + 1
    if not counts:
        return "none firing"
    names = [f"{name} ×{n}" if n > 1 else name for name, n in sorted(counts.items())]
    more = f" and {len(names) - 4} more" if len(names) > 4 else ""
    return f"{sum(counts.values())} firing: {', '.join(names[:4])}{more}"


def notified(path):
    with open(path, encoding="utf-8") as file:
        records = [json.loads(line) for line in file if line.endswith("\n")]
    if not records:
        return "nobody yet"
    slack = sum(record["channel"] == "slack" for record in records)
    last = records[-1]
    return (f"{slack} × Slack, {len(records) - slack} × mail, last "
            f"{last['at'][11:19]} UTC: {last['subject'][:60]}")


def rows(got, notifications):
    """(title, text) of each line."""
    state = number(got["up"], lambda v: "up" if v else "DOWN")
    rate = number(got["rate"], "{:.1f}/s".format)
    success = number(got["success"], "{:.1%} succeed".format)
    if state == "-":
        return [("database", "unknown until the exporter is scraped")]
    return [
        ("database", f"{state}, {number(got['size'], size)}, "
                     f"{number(got['connections'], '{:.0f}'.format)} of "
                     f"{number(got['limit'], '{:.0f}'.format)} connections"),
        ("runs", f"{rate}, {success}, p95 {number(got['p95'], duration)}, "
                 f"{number(got['active'], '{:.0f}'.format)} active"),
        ("data age", number(got["age"], duration)),
        ("alerts", firing(got["alerts"])),
        ("notified", notified(notifications)),
    ]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("prometheus")
    parser.add_argument("notifications")
    parser.add_argument("--line", action="store_true")
    arguments = parser.parse_args()
    got = {name: ask(arguments.prometheus, query) for name, query in QUERIES.items()}
    clock = time.strftime("%H:%M:%S")
    if arguments.line:
        print(clock, " | ".join(f"{title}: {text}" for title, text in
                                rows(got, arguments.notifications)), flush=True)
    else:
        print(f"  {clock}")
        for title, text in rows(got, arguments.notifications):
            print(f"  {title:<10}{text}")


# A proxy of the user's environment has no business with loopback.
OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))

if __name__ == "__main__":
    main()
