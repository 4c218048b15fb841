#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Writes what the rule files say into the documents: a table in alerts/README.md
and docs/alerts.md.

  catalogue.py --write    writes them
  catalogue.py --check    exits 1 and names those that are not current
"""

import re
import sys

from rules import ALERTS, groups

README = ALERTS / "README.md"
REFERENCE = ALERTS.parent / "docs" / "alerts.md"
MARKS = re.compile(r"(<!-- catalogue: begin -->\n).*(<!-- catalogue: end -->\n)", re.S)
SUBJECTS = {"workflows": "Workflows", "traffic": "Traffic", "exporter": "Exporter",
            "postgres": "PostgreSQL", "meta": "Monitoring itself"}


def table():
    lines = ["| Alert | Severity | It says | Held for |", "|---|---|---|---|"]
    for subject in SUBJECTS:
        for _, rule in alerts_of(subject):
            lines.append(
                f"| [{rule['alert']}](runbooks/{rule['alert']}.md) "
                f"| {rule['labels']['severity']} | {rule['annotations']['summary']} "
                f"| {rule.get('for', '0s')} |")
    return "\n".join(lines) + "\n"


def alerts_of(subject):
    for path, group in groups():
        if path.name == f"{subject}.rules.yml":
            for rule in group["rules"]:
                if "alert" in rule:
                    yield group, rule


def entry(group, rule):
    labels, held = rule["labels"], f"`for` {rule.get('for', '0s')}"
    if "keep_firing_for" in rule:
        held += f", `keep_firing_for` {rule['keep_firing_for']}"
    return (f"### {rule['alert']}\n\n{rule['annotations']['summary']} "
            f"[Runbook](../alerts/runbooks/{rule['alert']}.md). "
            f"Severity **{labels['severity']}**, component {labels['component']}, "
            f"team {labels['team']}; evaluated every {group['interval']}, {held}.\n\n"
            f"```promql\n{rule['expr'].strip()}\n```\n")


def reference():
    parts = ["# Alerts\n\nWritten by `alerts/checks/catalogue.py --write` from the rule "
             "files in [alerts/](../alerts/README.md); edit those.\n"]
    for subject, title in SUBJECTS.items():
        parts.append(f"## {title}\n")
        parts += [entry(group, rule) for group, rule in alerts_of(subject)]
    return "\n".join(parts)


def main():
    unknown = {path.name for path, _ in groups()} - {f"{s}.rules.yml" for s in SUBJECTS}
    if unknown:
        sys.exit(f"name the subjects of {', '.join(sorted(unknown))} in catalogue.py")
    readme = README.read_text(encoding="utf-8")
    if not MARKS.search(readme):
        sys.exit("alerts/README.md has lost its catalogue marks")
    current = {README: MARKS.sub(lambda m: m[1] + table() + m[2], readme),
               REFERENCE: reference()}
    if sys.argv[1:] == ["--write"]:
        for path, text in current.items():
            path.write_text(text, encoding="utf-8")
    elif sys.argv[1:] == ["--check"]:
        stale = [path for path, text in current.items()
                 if not path.exists() or path.read_text(encoding="utf-8") != text]
        for path in stale:
            print(f"{path.relative_to(ALERTS.parent)} is not current: "
                  "run alerts/checks/catalogue.py --write")
        sys.exit(bool(stale))
    else:
        sys.exit(__doc__)


if __name__ == "__main__":
    main()
