#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Checks what promtool does not: that each rule is complete, tested and documented.

  rules.py labels | annotations | runbooks | tests    one check of the rule files
  rules.py metrics FILE    each metric a rule reads stands in FILE (the output of
                           `meshhook-exporter metrics`) or is Prometheus's own

Prints a line for each fault and exits 1 if there is one.
"""

import pathlib
import re
import sys

import yaml

ALERTS = pathlib.Path(__file__).resolve().parent.parent
# Where a message's links lead. To change it: README.md, "Links".
RUNBOOKS = ("https://github.com/profullstack/meshhook-observability/"
            "blob/main/alerts/runbooks/")
DASHBOARDS = "http://localhost:3000/d/"
BOARDS = ("meshhook-overview", "meshhook-database")

SEVERITIES = {"critical", "warning", "info", "none"}
COMPONENTS = {"run", "exporter", "postgres", "meta"}
NEVER_SILENT = {"MeshHookWatchdog"}
NOT_OURS = re.compile(r"(prometheus|alertmanager)_\w+|up")
SECTIONS = ["Meaning", "Impact", "Diagnosis", "Mitigation"]


def load(path):
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def groups():
    for path in sorted(ALERTS.glob("*.rules.yml")):
        for group in load(path)["groups"]:
            yield path, group


def rules():
    for path, group in groups():
        for rule in group["rules"]:
            yield path, group, rule


def alerts():
    return [rule for _, _, rule in rules() if "alert" in rule]


def metrics_of(expression):
    """The names of the metrics that a PromQL expression reads."""
    text = re.sub(r"#.*", "", expression)
    text = re.sub(r'"(\\.|[^"\\])*"', '""', text)
    text = re.sub(r"\{[^}]*\}|\[[^]]*\]", " ", text)
    text = re.sub(r"\b(by|without|on|ignoring|group_left|group_right)\s*\([^)]*\)",
                  " ", text)
    text = re.sub(r"\b(by|without|on|ignoring|and|or|unless|offset|bool)\b|"
                  r"\b\d\w*", " ", text)
    names = re.findall(r"[a-zA-Z_:][\w:]*(?![\w:]|\s*\()", text)
    return set(names)


def sources_of(expression):
    """The same, with recorded metrics replaced by what they are made of."""
    recorded = {rule["record"]: rule["expr"]
                for _, _, rule in rules() if "record" in rule}
    found = set()
    for name in metrics_of(expression):
        found |= sources_of(recorded[name]) if name in recorded else {name}
    return found


def tests():
    """Of each test file: its path, its content."""
    return [(path, load(path)) for path in sorted(ALERTS.glob("*.test.yml"))]


def check_labels():
    seen = set()
    for path, group in groups():
        extra = set(group) - {"name", "interval", "rules"}
        if extra:
            yield f"{path.name}: group {group['name']} has {extra}, unknown to 2.42"
        if "interval" not in group:
            yield f"{path.name}: group {group['name']} has no interval"
    for rule in alerts():
        name, labels = rule["alert"], rule.get("labels", {})
        if not re.fullmatch(r"MeshHook([A-Z][a-z]+)+", name):
            yield f"{name}: is not called MeshHookCamelCase"
        if name in seen:
            yield f"{name}: stands there twice"
        seen.add(name)
        if labels.get("severity") not in SEVERITIES:
            yield f"{name}: severity is {labels.get('severity')}"
        if labels.get("service") != "meshhook":
            yield f"{name}: service is {labels.get('service')}"
        if labels.get("component") not in COMPONENTS:
            yield f"{name}: component is {labels.get('component')}"
        if not labels.get("team"):
            yield f"{name}: no team"
        if "meshhook_workflow_info" in rule["expr"]:
            yield f"{name}: depends on names, which can be switched off"


def check_annotations():
    lookups = {}
    for rule in alerts():
        name, notes = rule["alert"], rule.get("annotations", {})
        summary = notes.get("summary", "")
        if not summary.endswith(".") or "{{" in summary:
            yield f"{name}: the summary is not one fixed sentence: {summary!r}"
        description = notes.get("description", "")
        if name != "MeshHookExporterAbsent" and "$value" not in description:
            yield f"{name}: the description does not give the value"
        if "limit" not in description:
            yield f"{name}: the description does not give the limit"
        if notes.get("runbook_url") != f"{RUNBOOKS}{name}.md":
            yield f"{name}: runbook_url is {notes.get('runbook_url')}"
        if notes.get("dashboard_url") not in [DASHBOARDS + b for b in BOARDS]:
            yield f"{name}: dashboard_url is {notes.get('dashboard_url')}"
        for key in ("workflow", "project"):
            if key in notes and lookups.setdefault(key, notes[key]) != notes[key]:
                yield f"{name}: looks the {key} up in a way of its own"
    for path, content in tests():
        for name, expected in firing(content):
            if "workflow_id" not in expected.get("exp_labels", {}):
                continue
            if not {"workflow", "project"} <= set(expected.get("exp_annotations", {})):
                yield f"{path.name}: {name} does not name its workflow and project"


def check_runbooks():
    folder = ALERTS / "runbooks"
    names = {rule["alert"] for rule in alerts()}
    pages = {path.stem for path in folder.glob("*.md")}
    yield from (f"{name}: has no runbook" for name in sorted(names - pages))
    yield from (f"runbooks/{page}.md: no such alert" for page in sorted(pages - names))
    for page in sorted(names & pages):
        text = (folder / f"{page}.md").read_text(encoding="utf-8")
        if not text.startswith(f"# {page}\n"):
            yield f"runbooks/{page}.md: its title is not the alert's name"
        if re.findall(r"^## (.*)$", text, re.M) != SECTIONS:
            yield f"runbooks/{page}.md: its sections are not {', '.join(SECTIONS)}"
        if "```" not in text:
            yield f"runbooks/{page}.md: gives no command"


def firing(content):
    for test in content["tests"]:
        for case in test.get("alert_rule_test") or []:
            for expected in case.get("exp_alerts") or []:
                yield case["alertname"], expected


def silences(content):
    """Cases that expect silence, with the metrics that their test feeds in."""
    for test in content["tests"]:
        fed = {re.match(r"[\w:]+", s["series"]).group() for s in test["input_series"]}
        for case in test.get("alert_rule_test") or []:
            if not case.get("exp_alerts"):
                yield case["alertname"], fed


def check_tests():
    for path, _ in groups():
        if not path.with_name(path.name.replace(".rules.", ".test.")).exists():
            yield f"{path.name}: has no test file"
    fires, silent, text = set(), {}, ""
    for path, content in tests():
        if "evaluation_interval" not in content:
            yield f"{path.name}: no evaluation_interval"
        for test in content["tests"]:
            if "interval" not in test:
                yield (f"{path.name}: {test.get('name')}: no interval, so promtool "
                       "2.42 forms no series")
        fires |= {name for name, _ in firing(content)}
        for name, fed in silences(content):
            silent.setdefault(name, []).append(fed)
        text += path.read_text(encoding="utf-8")
    for _, _, rule in rules():
        if "record" in rule:
            if f"expr: {rule['record']}\n" not in text:
                yield f"{rule['record']}: no test reads it"
            continue
        name = rule["alert"]
        if name not in fires:
            yield f"{name}: no test fires it"
        if name in NEVER_SILENT:
            continue
        if not any(fed & sources_of(rule["expr"]) for fed in silent.get(name, [])):
            yield f"{name}: no test with its metrics keeps it silent"


def check_metrics(listing):
    published = set(re.findall(r"\b(?:meshhook|pg|process)_\w+", listing))
    if len(published) < 20:
        yield f"only {len(published)} metrics in the list: is it the right file?"
    for _, _, rule in rules():
        used = sources_of(rule["expr"])
        for note in rule.get("annotations", {}).values():
            used |= set(re.findall(r"\bmeshhook_workflow_info\b", note))
        for name in sorted(used):
            plain = re.sub(r"_(bucket|count|sum)$", "", name)
            if not (name in published or plain in published
                    or NOT_OURS.fullmatch(name)):
                yield f"{rule.get('alert', rule.get('record'))}: nobody publishes {name}"


def main():
    checks = {"labels": check_labels, "annotations": check_annotations,
              "runbooks": check_runbooks, "tests": check_tests}
    if len(sys.argv) == 3 and sys.argv[1] == "metrics":
        listing = pathlib.Path(sys.argv[2]).read_text(encoding="utf-8")
        faults = list(check_metrics(listing))
    elif len(sys.argv) == 2 and sys.argv[1] in checks:
        faults = list(checks[sys.argv[1]]())
    else:
        sys.exit(__doc__)
    for fault in faults:
        print(fault)
    sys.exit(bool(faults))


if __name__ == "__main__":
    main()
