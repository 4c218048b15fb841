// SPDX-License-Identifier: MIT
// Overview, what needs a human: alerts that fire, and runs that do not end.

import { CHOSEN, WORKFLOW, once, series, withNames } from "../../lib/promql.js";
import type { Panel } from "../../lib/spec.js";
import { RUN_STATUS, SEVERITY, rising } from "../../lib/style.js";
import { IDS, WORKFLOW_LINK } from "./workflows.js";

const RUN = [...WORKFLOW, "status"];

/** What fires and is meant for a human: severity `none` marks the alert that always fires to prove that alerting works. */
export const FIRING = 'ALERTS{alertstate="firing", service="meshhook", severity!="none"}';
/** 1 while the rules are loaded and evaluated, which is when no firing alert means that all is well. */
export const WATCHED = 'max(ALERTS{alertstate="firing", service="meshhook", severity="none"})';

/** Seconds an alert has been active, with the names of its workflow if it has one. */
function firing(): string {
  const since = `time() - (ALERTS_FOR_STATE and ignoring (alertstate) ${FIRING})`;
  // What an alert is about is told by whichever of these labels it has.
  const about = ["workflow", "datname", "collector", "task", "rule_group", "integration", "instance"];
  const sources = about.map((label) => `"${label}"`).join(", ");
  const subject = `label_join(${withNames(since, "")}, "subject", " ", ${sources})`;
  const ranked = ["critical", "warning", "info"].reduce(
    (expr, severity, rank) => `label_replace(${expr}, "severity", "${rank + 1}", "severity", "${severity}")`,
    subject,
  );
  return once(["alertname", "severity", "subject", "project", ...WORKFLOW], ranked);
}

export const attention: Panel[] = [
  {
    kind: "table",
    title: "Firing alerts",
    about: {
      shows: "Alerts that fire now, whichever workflow is chosen above, and how long each has been active.",
      good: "an empty list.",
      bad: "critical ones: they have paged somebody.",
      act: "open the runbook named after the alert; click a workflow to see this board for it alone.",
    },
    unit: "s",
    w: 12,
    h: 7,
    empty: "No alert is firing",
    queries: [{ expr: firing(), mayBeEmpty: "nothing fires on a healthy system" }],
    columns: [
      { field: "severity", title: "Severity", width: 75, states: SEVERITY },
      { field: "alertname", title: "Alert" },
      { field: "subject", title: "About", width: 140, link: WORKFLOW_LINK },
      { field: "project", title: "Project", width: 90 },
      { field: "Value #A", title: "Active for", width: 90, unit: "s", decimals: 0 },
      ...IDS,
    ],
    sort: { column: "Severity", desc: false },
  },
  {
    kind: "table",
    title: "Longest active runs",
    about: {
      shows: "The workflows whose oldest unended run is oldest, at most 25, with the number of their active runs.",
      good: "ages near the usual duration of the workflow.",
      bad: "hours for a workflow that takes seconds: the run is stuck, its worker most likely gone.",
      act: "look for the run's last event; then resume or cancel it. A paused run waits for somebody.",
    },
    unit: "s",
    w: 12,
    h: 7,
    empty: "No active runs reported",
    queries: [
      {
        expr: withNames(
          `topk(25, ${once(RUN, series("meshhook_workflow_oldest_active_run_age_seconds", CHOSEN))})`,
        ),
      },
      { expr: withNames(once(RUN, series("meshhook_workflow_active_runs", CHOSEN))) },
    ],
    columns: [
      { field: "workflow", title: "Workflow", link: WORKFLOW_LINK },
      { field: "version", title: "Version", width: 74 },
      { field: "project", title: "Project", width: 90 },
      { field: "status", title: "Status", width: 70, states: RUN_STATUS },
      { field: "Value #B", title: "Runs", width: 60, unit: "short" },
      { field: "Value #A", title: "Oldest", width: 100, unit: "s", decimals: 1, thresholds: rising(3600, 6 * 3600) },
      ...IDS,
    ],
    sort: { column: "Oldest", desc: true },
  },
];
