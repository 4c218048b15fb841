// SPDX-License-Identifier: MIT
// The look all boards share. A colour means one thing everywhere.

export const COLOR = {
  good: "green",
  warn: "orange",
  bad: "red",
  plain: "blue",
  muted: "#8E8EA0",
} as const;

/** Series that mean the same on every board wear the same colour on every board, by legend name. */
export const SERIES_COLORS: Readonly<Record<string, string>> = {
  // how a run ended or stands
  succeeded: COLOR.good,
  failed: COLOR.bad,
  canceled: COLOR.muted,
  running: COLOR.plain,
  paused: "dark-yellow",
  // quantiles: the rarer, the warmer
  p50: "light-blue",
  p95: "blue",
  p99: "purple",
  // how a transaction ended
  committed: COLOR.good,
  "rolled back": COLOR.bad,
  // what a database session does
  active: COLOR.good,
  idle: COLOR.muted,
  "idle in transaction": COLOR.warn,
  "idle in transaction (aborted)": COLOR.bad,
  // reading and writing
  read: "blue",
  written: "orange",
  inserted: "green",
  updated: "blue",
  deleted: "red",
  fetched: "light-blue",
  returned: "blue",
  // the exporter's own tasks
  fold: "blue",
  mv_workflow_metrics: "purple",
  maintenance: COLOR.muted,
  counted: COLOR.plain,
  waiting: COLOR.plain,
  "whole table": COLOR.warn,
  index: COLOR.plain,
  vacuum: COLOR.plain,
  analyze: "purple",
  deadlocks: COLOR.bad,
  conflicts: COLOR.warn,
  // locks, from those that hold up nobody to the one that holds up everybody
  accesssharelock: "super-light-blue",
  rowsharelock: "light-blue",
  rowexclusivelock: "blue",
  sireadlock: COLOR.muted,
  shareupdateexclusivelock: "purple",
  sharelock: "light-yellow",
  sharerowexclusivelock: "yellow",
  exclusivelock: COLOR.warn,
  accessexclusivelock: COLOR.bad,
  // bounds and what they bound
  used: COLOR.plain,
  limit: COLOR.bad,
};

export const LOCK_MODES = Object.keys(SERIES_COLORS).filter((name) => name.endsWith("lock"));

export interface Threshold {
  /** Where the colour begins. */
  from: number;
  color: string;
}

/** Green below `warn`, orange from there, red from `bad`. */
export const rising = (warn: number, bad: number): Threshold[] => [
  { from: -Infinity, color: COLOR.good },
  { from: warn, color: COLOR.warn },
  { from: bad, color: COLOR.bad },
];

/** Red below `bad`, orange below `good`, green from there. */
export const falling = (bad: number, good: number): Threshold[] => [
  { from: -Infinity, color: COLOR.bad },
  { from: bad, color: COLOR.warn },
  { from: good, color: COLOR.good },
];

/** A number that is neither good nor bad in itself. */
export const neutral: Threshold[] = [{ from: -Infinity, color: COLOR.plain }];

export interface State {
  text: string;
  color: string;
}
export const UP_DOWN: Readonly<Record<string, State>> = {
  "1": { text: "Up", color: COLOR.good },
  "0": { text: "Down", color: COLOR.bad },
};
/** Severities stand as their rank, so that sorting puts the worst first. */
export const SEVERITY: Readonly<Record<string, State>> = {
  "1": { text: "critical", color: COLOR.bad },
  "2": { text: "warning", color: COLOR.warn },
  "3": { text: "info", color: COLOR.plain },
};
export const RUN_STATUS: Readonly<Record<string, State>> = {
  running: { text: "running", color: COLOR.plain },
  paused: { text: "paused", color: "dark-yellow" },
};
