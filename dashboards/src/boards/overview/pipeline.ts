// SPDX-License-Identifier: MIT
// Overview, the way of a finished run into the numbers: counted by the fold, summarised by the refresh.

import { age, once, rate, risen, series } from "../../lib/promql.js";
import { graph, line } from "../../lib/shorthand.js";
import type { Panel, Query } from "../../lib/spec.js";
import { rising } from "../../lib/style.js";

const SUCCESS = "meshhook_worker_task_last_success_timestamp_seconds";

const byTask = (expr: string): Query[] => [line("{{task}}", once(["task"], expr))];

export const pipeline: Panel[] = [
  graph({
    title: "Runs counted per second",
    about: {
      shows: "Finished runs that the fold adds to the counters each second.",
      good: "the same as runs per second above, a second or two later.",
      bad: "zero while runs finish, or a tall spike: it is catching up after a pause.",
      act: "look at the time since the last success beside it; at zero read the exporter's log for the task's error.",
    },
    unit: "short",
    min: 0,
    queries: [line("counted", once([], rate("meshhook_fold_facts_total", 'stream="runs"')))],
  }),
  graph({
    title: "Runs waiting to be counted",
    about: {
      shows: "Finished runs that are recorded and not yet in the counters.",
      good: "about one second's worth of runs.",
      bad: "growing: counting is slower than finishing, or has stopped.",
      act: "look at the task durations, then for locks and slow I/O on the Database board.",
    },
    unit: "short",
    min: 0,
    queries: [line("waiting", once([], series("meshhook_fold_pending_facts", 'stream="runs"')))],
  }),
  graph({
    title: "Time since last success",
    about: {
      shows: "How old the counters (fold, every second) and the summary behind the window tables (mv_workflow_metrics, every few seconds to five minutes) are.",
      good: "flat near zero, and a saw tooth below five minutes.",
      bad: "a line that climbs without falling back: the numbers on this board are that old.",
      act: "look at the failures of that task below and at the exporter's log.",
    },
    unit: "s",
    min: 0,
    queries: [line("{{task}}", age(["task"], SUCCESS, 'task=~"fold|mv_workflow_metrics"'))],
  }),
  {
    kind: "table",
    title: "Tasks",
    about: {
      shows: "What the exporter does in the database by itself: when each task last worked, how long it took, how often it ran and failed in the time range. Maintenance (partitions, retention) runs hourly.",
      good: "a fold seconds ago, a refresh minutes ago, no failures.",
      bad: "failures, or a last success long ago. Nothing is lost by one: the next attempt takes up the same work.",
      act: "the exporter's log has the error; a lost connection heals by itself, a missing permission does not.",
    },
    unit: "short",
    w: 8,
    h: 7,
    empty: "No exporter reports its tasks",
    queries: [
      { expr: age(["task"], SUCCESS) },
      { expr: once(["task"], series("meshhook_worker_task_last_duration_seconds")) },
      { expr: once(["task"], risen("meshhook_worker_task_runs_total")) },
      { expr: once(["task"], risen("meshhook_worker_task_failures_total")) },
    ],
    columns: [
      { field: "task", title: "Task" },
      { field: "Value #A", title: "Last success", width: 105, unit: "s", decimals: 0 },
      { field: "Value #B", title: "Took", width: 80, unit: "s" },
      { field: "Value #C", title: "Runs", width: 75, unit: "locale", decimals: 0 },
      { field: "Value #D", title: "Failures", width: 80, unit: "locale", decimals: 0, thresholds: rising(1, 10) },
    ],
    sort: { column: "Task", desc: false },
  },
  graph({
    title: "Task duration",
    about: {
      shows: "How long the last run of each task took.",
      good: "milliseconds for the fold; the refresh may take seconds on a big database.",
      bad: "a fold that needs more than a second cannot keep up.",
      act: "look for I/O time, locks and long transactions on the Database board.",
    },
    unit: "s",
    log: true,
    queries: byTask(series("meshhook_worker_task_last_duration_seconds")),
  }),
  graph({
    title: "Time spent in tasks",
    about: {
      shows: "The share of the time that each task is at work. The refresh paces itself to at most 5 % (dashed line).",
      good: "a few percent.",
      bad: "the fold near 100 %: it has no time to spare.",
      act: "find out what slowed it down: the database's load, or far more runs than before.",
    },
    unit: "percentunit",
    min: 0,
    thresholds: [
      { from: -Infinity, color: "transparent" },
      { from: 0.05, color: "orange" },
    ],
    queries: byTask(rate("meshhook_worker_task_busy_seconds_total")),
  }),
];
