// SPDX-License-Identifier: MIT
// Database, statements: where the time goes. Only ids are exported; the text stays in the database.

import { once, rate, ratio, risen, total } from "../../lib/promql.js";
import { graph, line } from "../../lib/shorthand.js";
import type { Panel } from "../../lib/spec.js";

const DB = 'datname=~"$datname"';
const STATEMENT = ["user", "datname", "queryid"];
const EMPTY = "No statements: is pg_stat_statements installed?";

const inRange = (metric: string): string => once(STATEMENT, risen(`pg_stat_statements_${metric}`, DB));
const top = `topk(25, ${inRange("seconds_total")} > 0)`;
const ofTop = (expr: string): string => `${expr} and on (user, datname, queryid) ${top}`;
const perSecond = (metric: string): string => total(["user"], STATEMENT, rate(`pg_stat_statements_${metric}`, DB));

export const statements: Panel[] = [
  {
    kind: "table",
    title: "Top statements by time",
    about: {
      shows: "The 25 statements that took most time in the time range. Read the text of one with: select query from pg_stat_statements where queryid = …",
      good: "time spread over many statements with a short mean.",
      bad: "one statement with most of the time, or a mean of more than a second.",
      act: "with a great number of calls, call it less; with a long mean, run explain (analyze, buffers) on it.",
    },
    unit: "short",
    w: 24,
    h: 9,
    empty: EMPTY,
    queries: [
      { expr: top },
      { expr: ofTop(inRange("calls_total")) },
      { expr: ofTop(ratio(inRange("seconds_total"), inRange("calls_total"))) },
      { expr: ofTop(ratio(inRange("rows_total"), inRange("calls_total"))) },
      { expr: ofTop(inRange("block_read_seconds_total")) },
    ],
    columns: [
      { field: "queryid", title: "Query id" },
      { field: "user", title: "User", width: 190 },
      { field: "datname", title: "Database", width: 150 },
      { field: "Value #A", title: "Total time", width: 260, unit: "s", decimals: 1, bar: "auto" },
      { field: "Value #B", title: "Calls", width: 120, unit: "locale", decimals: 0 },
      { field: "Value #C", title: "Mean", width: 110, unit: "s" },
      { field: "Value #D", title: "Rows per call", width: 120, unit: "short", decimals: 1 },
      { field: "Value #E", title: "Reading blocks", width: 130, unit: "s" },
    ],
    sort: { column: "Total time", desc: true },
  },
  graph({
    title: "Calls per second",
    about: {
      shows: "Statements run each second, by user, of those that the exporter follows.",
      good: "in step with traffic.",
      bad: "a user that leaps up.",
      act: "find its statement in the table above.",
    },
    unit: "short",
    w: 12,
    min: 0,
    empty: EMPTY,
    queries: [line("{{user}}", perSecond("calls_total"))],
  }),
  graph({
    title: "Mean time of a call",
    about: {
      shows: "Time a statement took on average, by user.",
      good: "milliseconds, level.",
      bad: "a step up.",
      act: "see whether I/O time or locks rose with it; if not, a plan has changed.",
    },
    unit: "s",
    w: 12,
    min: 0,
    empty: EMPTY,
    queries: [line("{{user}}", ratio(perSecond("seconds_total"), perSecond("calls_total")))],
  }),
];
