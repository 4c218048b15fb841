#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Checks in a running Alertmanager which alerts silence which.

Starts one of its own on loopback, on the configuration of this folder with
receivers that lead nowhere, and stops it. Prints a line for each fault and
exits 1 if there is one. ALERTMANAGER names the program, if it is not on PATH as
prometheus-alertmanager (Debian) or alertmanager.
"""

import json
import os
import pathlib
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

ALERTS = pathlib.Path(__file__).resolve().parent.parent

RATIO = {"alertname": "MeshHookWorkflowFailureRatioHigh", "severity": "warning",
         "project_id": "p1", "workflow_id": "w1"}
PAGE = {**RATIO, "alertname": "MeshHookWorkflowFailing", "severity": "critical"}
ONLY = {**RATIO, "alertname": "MeshHookWorkflowOnlyFails"}
HIGH = {"alertname": "MeshHookConnectionsHigh", "job": "meshhook"}
FULL = {"alertname": "MeshHookConnectionsExhausted", "job": "meshhook"}
DOWN = {"alertname": "MeshHookExporterDown", "job": "meshhook", "instance": "a"}
ABSENT = {"alertname": "MeshHookExporterAbsent", "job": "meshhook"}
DATABASE = {"alertname": "MeshHookDatabaseDown", "job": "meshhook", "instance": "a"}
COLLECTOR = {"alertname": "MeshHookCollectorFailing", "job": "meshhook",
             "instance": "a", "collector": "locks"}
SILENT = {"alertname": "MeshHookWorkflowSilent", "project_id": "p1",
          "workflow_id": "w1"}
STOPPED = {"alertname": "MeshHookRunsStopped"}
FOLD = {"alertname": "MeshHookFoldStale", "job": "meshhook", "task": "fold"}
STUCK = {"alertname": "MeshHookRunStuck", "project_id": "p1", "workflow_id": "w1"}

LIMIT = {"alertname": "MeshHookThresholdWarning", "project_id": "p1",
         "workflow_id": "w1", "metric": "failure_ratio", "window": "1h"}
WORSE = {**LIMIT, "alertname": "MeshHookThresholdCritical"}

# What fires, what is asked about, and whether it is silenced. Each case has its
# own `cluster`, so they do not meet: which is a test of `equal` by itself.
CASES = [
    ("the page silences the warning of its workflow", PAGE, RATIO, True),
    ("but not of another workflow", PAGE, {**RATIO, "workflow_id": "w2"}, False),
    ("nor of another project", PAGE, {**RATIO, "project_id": "p2"}, False),
    ("the warning never silences the page", RATIO, PAGE, False),
    ("the page silences that its workflow only fails", PAGE, ONLY, True),
    ("and so does the ratio", RATIO, ONLY, True),
    ("but not for another workflow", RATIO, {**ONLY, "workflow_id": "w2"}, False),
    ("a page without a workflow silences no workflow's warning",
     {"alertname": "MeshHookWorkflowFailing"}, RATIO, False),
    ("a page does not silence other alerts of its workflow", PAGE, STUCK, False),
    ("a critical limit that was set silences the milder one", WORSE, LIMIT, True),
    ("but not that of another metric", WORSE, {**LIMIT, "metric": "stuck_runs"},
     False),
    ("nor of another workflow", WORSE, {**LIMIT, "workflow_id": "w2"}, False),
    ("the milder limit never silences the critical one", LIMIT, WORSE, False),
    ("exhausted connections silence high ones", FULL, HIGH, True),
    ("but not those of another job", FULL, {**HIGH, "job": "other"}, False),
    ("all exporters down silences each of them", ABSENT, DOWN, True),
    ("one exporter down does not silence that all are", DOWN, ABSENT, False),
    ("database down silences the exporter's collectors", DATABASE, COLLECTOR, True),
    ("but not another exporter's", DATABASE, {**COLLECTOR, "instance": "b"}, False),
    ("nor those of another job", DATABASE, {**COLLECTOR, "job": "other"}, False),
    ("database down does not silence a failing workflow", DATABASE, PAGE, False),
    ("database down does not silence connections, which have no instance",
     DATABASE, FULL, False),
    ("database down silences silent workflows", DATABASE, SILENT, True),
    ("a stale fold silences silent workflows", FOLD, SILENT, True),
    ("a stale fold silences that all runs stopped", FOLD, STOPPED, True),
    ("runs that stopped silence silent workflows", STOPPED, SILENT, True),
    ("but not a stuck run", STOPPED, STUCK, False),
    ("one exporter down silences no silent workflow", DOWN, SILENT, False),
]


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def configuration(folder):
    """The configuration with paths of this machine and receivers of none."""
    (folder / "slack_url").write_text("http://127.0.0.1:9/")
    (folder / "smtp_password").write_text("none")
    text = (ALERTS / "alertmanager.yml").read_text(encoding="utf-8")
    for old, new in (("/etc/alertmanager/secrets", str(folder)),
                     ("/etc/alertmanager/templates", str(ALERTS / "templates")),
                     ("mail:1025", "127.0.0.1:9")):
        if old not in text:
            sys.exit(f"alertmanager.yml does not mention {old}")
        text = text.replace(old, new)
    path = folder / "alertmanager.yml"
    path.write_text(text, encoding="utf-8")
    return path


def call(url, body=None):
    data = json.dumps(body).encode() if body is not None else None
    request = urllib.request.Request(url, data, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=5) as answer:
        return answer.read()


def wait_until_ready(url, process):
    for _ in range(100):
        if process.poll() is not None:
            sys.exit(f"Alertmanager ended with {process.returncode}")
        try:
            return call(url + "/-/ready")
        except (urllib.error.URLError, ConnectionError):
            time.sleep(0.1)
    sys.exit("Alertmanager did not become ready within 10 s")


def send(url):
    sent = []
    for number, (_, source, target, _) in enumerate(CASES):
        for role, labels in (("source", source), ("target", target)):
            sent.append({"labels": {**labels, "service": "meshhook",
                                    "cluster": f"case {number}", "role": role}})
    call(url + "/api/v2/alerts", sent)


def faults(url):
    known = json.loads(call(url + "/api/v2/alerts"))
    if len(known) != 2 * len(CASES):
        yield f"Alertmanager knows {len(known)} alerts of {2 * len(CASES)}"
    silenced = {alert["labels"]["cluster"]: bool(alert["status"]["inhibitedBy"])
                for alert in known if alert["labels"]["role"] == "target"}
    for number, (name, _, _, expected) in enumerate(CASES):
        if silenced.get(f"case {number}") != expected:
            yield f"not so: {name}"


def main():
    program = os.environ.get("ALERTMANAGER") or shutil.which(
        "prometheus-alertmanager") or shutil.which("alertmanager")
    if not program:
        sys.exit("no Alertmanager: install prometheus-alertmanager")
    with tempfile.TemporaryDirectory(prefix="meshhook-alerts-") as name:
        folder = pathlib.Path(name)
        port = free_port()
        with open(folder / "log", "w", encoding="utf-8") as log:
            process = subprocess.Popen(
                [program, f"--config.file={configuration(folder)}",
                 f"--storage.path={folder}/data", "--cluster.listen-address=",
                 f"--web.listen-address=127.0.0.1:{port}"],
                stdout=log, stderr=log)
            try:
                url = f"http://127.0.0.1:{port}"
                wait_until_ready(url, process)
                send(url)
                for _ in range(10):  # it takes them in the background
                    time.sleep(0.3)
                    found = list(faults(url))
                    if not found:
                        break
            finally:
                process.terminate()
                process.wait(10)
    for fault in found:
        print(fault)
    sys.exit(bool(found))


if __name__ == "__main__":
    main()
