// SPDX-License-Identifier: MIT
// Overview, workflows side by side: which ones run most, and which ones fail.

import { boardUrl } from "../../lib/board.js";
import { CHOSEN, FINISHED, WORKFLOW, once, ratio, risen, series, total, withNames } from "../../lib/promql.js";
import type { Column, Panel } from "../../lib/spec.js";
import { rising } from "../../lib/style.js";

export const WORKFLOW_LINK = {
  title: "Show this workflow alone",
  url: boardUrl(
    "meshhook-overview",
    '&var-project_id=${__data.fields.project_id}&var-workflow_id=${__data.fields.workflow_id}',
  ),
};
/** The ids behind the names: links need them, eyes do not. */
export const IDS: Column[] = [
  { field: "project_id", title: "project_id", hidden: true },
  { field: "workflow_id", title: "workflow_id", hidden: true },
];
const NAMES: Column[] = [
  { field: "workflow", title: "Workflow", link: WORKFLOW_LINK },
  { field: "version", title: "Version", width: 74 },
  { field: "project", title: "Project", width: 90 },
];
const FAILURE_COLORS = rising(0.1, 0.5);

const windowed = (metric: string, matchers = ""): string =>
  once(WORKFLOW, series(metric, [`window="$window"`, matchers, CHOSEN].filter(Boolean).join(", ")));
/** The busiest 25: all columns of the table are kept to these. */
const busiest = `topk(25, ${windowed("meshhook_workflow_window_runs")})`;
const ofBusiest = (expr: string): string => withNames(`${expr} and on (project_id, workflow_id) ${busiest}`);

const RUN = [...WORKFLOW, "status"];
const ended = (matchers: string): string =>
  total([...WORKFLOW], RUN, risen("meshhook_workflow_runs_total", `${matchers}, ${CHOSEN}`));
const failures = ended('status="failed"');

export const workflows: Panel[] = [
  {
    kind: "table",
    title: "Top workflows, last $window",
    about: {
      shows: "The 25 workflows that ran most within the table window, not the time range. Durations are exact, from the database's own summary, which is refreshed every few seconds to five minutes.",
      good: "no orange and no red.",
      bad: "a failure ratio above 10 %, or a p95 that is not what the workflow is known for.",
      act: "click a workflow to see this board for it alone.",
    },
    unit: "short",
    w: 14,
    h: 10,
    empty: "No runs reported in this window",
    queries: [
      { expr: withNames(busiest) },
      { expr: ofBusiest(windowed("meshhook_workflow_window_failure_ratio")) },
      { expr: ofBusiest(windowed("meshhook_workflow_window_duration_seconds", 'quantile="0.5"')) },
      { expr: ofBusiest(windowed("meshhook_workflow_window_duration_seconds", 'quantile="0.95"')) },
    ],
    columns: [
      ...NAMES,
      { field: "Value #A", title: "Runs", width: 150, unit: "locale", decimals: 0, bar: "auto" },
      { field: "Value #B", title: "Failed", width: 75, unit: "percentunit", decimals: 1, thresholds: FAILURE_COLORS },
      { field: "Value #C", title: "p50", width: 75, unit: "s" },
      { field: "Value #D", title: "p95", width: 75, unit: "s" },
      ...IDS,
    ],
    sort: { column: "Runs", desc: true },
  },
  {
    kind: "table",
    title: "Top failing workflows",
    about: {
      shows: "The 25 workflows with the most failed runs in the time range, and the share of their runs that failed.",
      good: "small numbers, spread thinly.",
      bad: "one workflow far above the rest, or a ratio near 100 %: it is broken, not unlucky.",
      act: "click it, note when it began, and look at the errors of its last runs in MeshHook.",
    },
    unit: "short",
    w: 10,
    h: 10,
    empty: "No failures reported in this range",
    queries: [
      { expr: withNames(`topk(25, ${failures} > 0)`) },
      { expr: withNames(`${ratio(failures, ended(FINISHED))} and on (project_id, workflow_id) topk(25, ${failures} > 0)`) },
    ],
    columns: [
      ...NAMES,
      { field: "Value #A", title: "Failures", width: 120, unit: "locale", decimals: 0, bar: "auto" },
      { field: "Value #B", title: "Failed", width: 75, unit: "percentunit", decimals: 1, thresholds: FAILURE_COLORS },
      ...IDS,
    ],
    sort: { column: "Failures", desc: true },
  },
];
