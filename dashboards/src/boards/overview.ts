// SPDX-License-Identifier: MIT
// Overview: are the workflows all right, and if not, which one?

import { boardUrl } from "../lib/board.js";
import {
  CHOSEN,
  FINISHED,
  WORKFLOW,
  age,
  orZeroWhenCollected,
  rate,
  ratio,
  risen,
  series,
  total,
  workflowNames,
} from "../lib/promql.js";
import { graph, line, tile } from "../lib/shorthand.js";
import type { Board, Panel } from "../lib/spec.js";
import { COLOR, UP_DOWN, falling, rising } from "../lib/style.js";
import { FIRING, WATCHED, attention } from "./overview/attention.js";
import { pipeline } from "./overview/pipeline.js";
import { workflows } from "./overview/workflows.js";

const RUN = [...WORKFLOW, "status"];
const BUCKET = [...WORKFLOW, "le"];
const NO_RUNS = "No runs";
const runs = (matchers = ""): string => [matchers, CHOSEN].filter(Boolean).join(", ");
const perSecond = (by: string[], matchers = ""): string =>
  total(by, RUN, rate("meshhook_workflow_runs_total", runs(matchers)));
const inRange = (matchers: string): string => total([], RUN, risen("meshhook_workflow_runs_total", runs(matchers)));
/** `>= 0` leaves a gap, rather than NaN, where no run ended. */
const quantile = (q: number, buckets: string): string =>
  `histogram_quantile(${q}, ${total(["le"], BUCKET, buckets)}) >= 0`;
const durations = rate("meshhook_workflow_run_duration_seconds_bucket", CHOSEN);

const headline: Panel[] = [
  tile({
    title: "Runs / s",
    about: {
      shows: "Runs that end each second, of the chosen workflows, whatever their outcome.",
      good: "near what this hour of the day usually brings.",
      bad: "zero while webhooks come in, or far above the usual.",
      act: "at zero, look at the data freshness and then at the workers; far above, find the workflow in the table below.",
    },
    unit: "short",
    decimals: 1,
    expr: perSecond([]),
  }),
  tile({
    title: "Success ratio",
    about: {
      shows: "Succeeded runs as a share of succeeded and failed ones, over the time range. Canceled runs do not count.",
      good: "95 % and more.",
      bad: "below 90 %: one run in ten fails.",
      act: "look at the top failing workflows below; one broken workflow is the usual cause.",
    },
    unit: "percentunit",
    decimals: 1,
    empty: NO_RUNS,
    thresholds: falling(0.9, 0.95),
    expr: ratio(inRange('status="succeeded"'), inRange(FINISHED)),
  }),
  tile({
    title: "Duration p95",
    about: {
      shows: "95 of 100 runs in the time range ended within this time. Estimated from a histogram that ends at 10 minutes: 10 min means that or more.",
      good: "as it was last week.",
      bad: "a multiple of the usual.",
      act: "compare with the graph below: when all quantiles rose the system is slow, when only the upper ones did a few workflows are.",
    },
    unit: "s",
    decimals: 1,
    empty: NO_RUNS,
    expr: quantile(0.95, risen("meshhook_workflow_run_duration_seconds_bucket", CHOSEN)),
  }),
  tile({
    title: "Active runs",
    about: {
      shows: "Runs that have not ended: running and paused.",
      good: "steady.",
      bad: "climbing: runs start faster than they end.",
      act: "look whether workers are alive, and at the longest runs below.",
    },
    unit: "short",
    expr: orZeroWhenCollected(total([], RUN, series("meshhook_workflow_active_runs", CHOSEN)), "workflow_active"),
  }),
  tile({
    title: "Oldest running",
    about: {
      shows: "How long ago the oldest run that is still running began.",
      good: "minutes.",
      bad: "an hour and more: most likely its worker is gone and nothing will ever end it.",
      act: "find it in the list of active runs below, look for its last event, then resume or cancel it.",
    },
    unit: "s",
    decimals: 1,
    thresholds: rising(3600, 6 * 3600),
    expr: orZeroWhenCollected(
      `max(${series("meshhook_workflow_oldest_active_run_age_seconds", runs('status="running"'))})`,
      "workflow_active",
    ),
  }),
  tile({
    title: "Alerts firing",
    about: {
      shows: "Alerts that fire now, of all workflows and of the system itself. \"No rules\" means that Prometheus evaluates no alert rules of MeshHook, so nothing can fire.",
      good: "none.",
      bad: "any.",
      act: "read the list below from the top; the name leads to its runbook.",
    },
    unit: "short",
    thresholds: rising(1, 1),
    empty: "No rules",
    emptyColor: COLOR.warn,
    expr: `count(${FIRING}) or ${WATCHED} - 1`,
  }),
  tile({
    title: "Database",
    about: {
      shows: "Whether an exporter reaches the database. Unknown means that no exporter is there to say.",
      good: "Up.",
      bad: "Down or Unknown: every other number here is then old or missing.",
      act: "click through to the Database board; its last row tells whether the exporter or the database is away.",
    },
    unit: "short",
    empty: "Unknown",
    emptyColor: COLOR.warn,
    states: UP_DOWN,
    link: { title: "Open the Database board", url: boardUrl("meshhook-database") },
    expr: `max(${series("pg_up")})`,
  }),
  tile({
    title: "Data freshness",
    about: {
      shows: "Time since finished runs were last counted. Goes on growing after the exporter is gone.",
      good: "a few seconds.",
      bad: "a minute and more: the run numbers on this board stand still.",
      act: "look at the counting row at the bottom, then at the exporter's log.",
    },
    unit: "s",
    decimals: 0,
    empty: "Unknown",
    emptyColor: COLOR.warn,
    thresholds: rising(15, 60),
    expr: age([], "meshhook_worker_task_last_success_timestamp_seconds", 'task="fold"'),
  }),
];

const outcomes: Panel[] = [
  graph({
    title: "Runs per second by status",
    about: {
      shows: "Runs that end each second, by how they ended.",
      good: "mostly green, in its usual daily shape.",
      bad: "a red band that grows, or a sudden hole.",
      act: "for red, see the top failing workflows; for a hole, check data freshness first, then the workers.",
    },
    unit: "short",
    min: 0,
    stacked: true,
    queries: [line("{{status}}", perSecond(["status"]))],
  }),
  graph({
    title: "Failure ratio",
    about: {
      shows: "Failed runs as a share of succeeded and failed ones. The dashed lines are where a workflow of its own would alert: 10 % and 50 %.",
      good: "near zero and flat.",
      bad: "a step up that stays.",
      act: "filter by project, then open the workflow from the table of failing ones.",
    },
    unit: "percentunit",
    min: 0,
    empty: NO_RUNS,
    thresholds: [
      { from: -Infinity, color: "transparent" },
      { from: 0.1, color: "orange" },
      { from: 0.5, color: "red" },
    ],
    queries: [line("failed", ratio(perSecond([], 'status="failed"'), perSecond([], FINISHED)))],
  }),
  graph({
    title: "Run duration",
    about: {
      shows: "Half of the runs end within p50, 95 of 100 within p95, 99 of 100 within p99. Estimated from a histogram that ends at 10 minutes.",
      good: "level lines.",
      bad: "p50 rising: everything is slower. Only p99 rising: a few runs are stuck on something.",
      act: "look at the duration map for a second band, and at the table for the workflow with the longest p95.",
    },
    unit: "s",
    empty: NO_RUNS,
    log: true,
    queries: [
      line("p50", quantile(0.5, durations)),
      line("p95", quantile(0.95, durations)),
      line("p99", quantile(0.99, durations)),
    ],
  }),
];

const load: Panel[] = [
  {
    kind: "heatmap",
    title: "Durations of runs",
    about: {
      shows: "How many runs a second ended in each band of duration; brighter is more.",
      good: "one steady bright band.",
      bad: "a second band higher up (retries, timeouts), or the bright band moving upwards.",
      act: "note when the new band began and compare with deployments and with the Database board.",
    },
    unit: "short",
    w: 12,
    h: 8,
    empty: NO_RUNS,
    query: { expr: total(["le"], BUCKET, durations), legend: "{{le}}" },
  },
  graph({
    title: "Active runs by status",
    about: {
      shows: "Runs that have not ended, by status.",
      good: "a level that follows the traffic.",
      bad: "a line that only climbs.",
      act: "look at the oldest active runs; a climb after a worker restart means that it left runs behind.",
    },
    unit: "short",
    w: 12,
    min: 0,
    stacked: true,
    queries: ["running", "paused"].map((status) =>
      line(
        status,
        orZeroWhenCollected(
          total([], RUN, series("meshhook_workflow_active_runs", runs(`status="${status}"`))),
          "workflow_active",
        ),
      ),
    ),
  }),
];

export const overview: Board = {
  uid: "meshhook-overview",
  title: "MeshHook / Overview",
  description: "Are the workflows all right, and if not, which one?",
  refresh: "10s",
  from: "now-1h",
  variables: [
    {
      name: "project_id",
      label: "Project",
      description: "Projects, by name where the exporter tells names.",
      from: {
        query: `query_result(max by (project_id, project) (${workflowNames()}))`,
        regex: String.raw`/project="(?<text>.*)",\s*project_id="(?<value>[^"]+)"/`,
      },
    },
    {
      name: "workflow_id",
      label: "Workflow",
      description: "The 500 workflows that ran most, by name and version where the exporter tells them. All means all, not only these.",
      from: {
        query: `query_result(topk(500, ${total(["workflow_id"], RUN, series("meshhook_workflow_runs_total", 'project_id=~"$project_id"'))}) * on (workflow_id) group_left (label) max by (workflow_id, label) (label_join(${workflowNames('project_id=~"$project_id"')}, "label", " v", "workflow", "version")))`,
        regex: String.raw`/label="(?<text>.*?)(?: v)?",\s*workflow_id="(?<value>[^"]+)"/`,
      },
    },
    {
      name: "window",
      label: "Table window",
      description: "What the table of top workflows looks back over.",
      from: { values: ["1h", "24h", "7d"] },
    },
  ],
  headline,
  rows: [
    { title: "Runs", panels: outcomes },
    { title: "Needs attention", panels: attention },
    { title: "Workflows", panels: workflows },
    { title: "Durations and load", panels: load },
    { title: "Counting: from finished run to number", panels: pipeline },
  ],
};
