// SPDX-License-Identifier: MIT
// Database, tables: what is big, what is dead, and what is read the slow way.

import { once, rate, ratio, risen, series, total } from "../../lib/promql.js";
import { graph, line } from "../../lib/shorthand.js";
import type { Column, Panel } from "../../lib/spec.js";
import { falling, rising } from "../../lib/style.js";

const DB = 'datname=~"$datname"';
const TABLE = ["datname", "schemaname", "relname"];
const SAME = "on (datname, schemaname, relname)";

const now = (metric: string): string => once(TABLE, series(`pg_stat_user_tables_${metric}`, DB));
const inRange = (metric: string): string => once(TABLE, risen(`pg_stat_user_tables_${metric}`, DB));
const perSecond = (metric: string): string => total([], TABLE, rate(`pg_stat_user_tables_${metric}`, DB));
const blocks = (kind: string, how: "read" | "hit"): string =>
  once(TABLE, risen(`pg_statio_user_tables_${kind}_blocks_${how}`, DB));

const NAME: Column[] = [
  { field: "relname", title: "Table" },
  { field: "schemaname", title: "Schema", width: 90 },
];
const size = `${now("table_size_bytes")} + ${now("index_size_bytes")}`;
/** At the end of the time range, so that the same tables are drawn over all of it. */
const lastDead = once(TABLE, `${series("pg_stat_user_tables_n_dead_tup", DB)} @ end()`);
const biggest = `topk(25, ${size})`;
const ofBiggest = (expr: string): string => `(${expr}) and ${SAME} ${biggest}`;
const scanned = `topk(25, ${inRange("seq_tup_read")})`;
const blocksRead = `${blocks("heap", "read")} + ${blocks("idx", "read")}`;
const readMost = `topk(25, ${blocksRead})`;
const hitRatio = (kind: string): string =>
  `(${ratio(blocks(kind, "hit"), `(${blocks(kind, "hit")} + ${blocks(kind, "read")})`)}) and ${SAME} ${readMost}`;

export const storage: Panel[] = [
  {
    kind: "table",
    title: "Tables by size",
    about: {
      shows: "The 25 biggest tables: space of rows and of indexes, live rows, the share of dead ones, and how long ago autovacuum last came by.",
      good: "indexes smaller than rows, dead rows below 20 %.",
      bad: "a big table with many dead rows that autovacuum has not seen for hours.",
      act: "look for a long transaction that holds vacuum back; lower autovacuum_vacuum_scale_factor for that table.",
    },
    unit: "bytes",
    w: 16,
    h: 9,
    queries: [
      { expr: biggest },
      { expr: ofBiggest(now("index_size_bytes")) },
      { expr: ofBiggest(now("n_live_tup")) },
      { expr: ofBiggest(ratio(now("n_dead_tup"), `(${now("n_live_tup")} + ${now("n_dead_tup")})`)) },
      {
        expr: ofBiggest(`time() - (${now("last_autovacuum")} > 0)`),
        mayBeEmpty: "autovacuum has not yet come by on a young database",
      },
    ],
    columns: [
      ...NAME,
      { field: "Value #A", title: "Size", width: 170, unit: "bytes", decimals: 1, bar: "auto" },
      { field: "Value #B", title: "Indexes", width: 90, unit: "bytes", decimals: 1 },
      { field: "Value #C", title: "Live rows", width: 90, unit: "short" },
      { field: "Value #D", title: "Dead", width: 75, unit: "percentunit", decimals: 1, thresholds: rising(0.2, 0.5) },
      { field: "Value #E", title: "Autovacuum", width: 110, unit: "s", decimals: 0, empty: "never" },
    ],
    sort: { column: "Size", desc: true },
  },
  graph({
    title: "Database size",
    about: {
      shows: "Space on disk, by database.",
      good: "a gentle slope.",
      bad: "a slope that reaches the end of the disk within weeks.",
      act: "drop old partitions of events, or shorten retention.",
    },
    unit: "bytes",
    h: 9,
    min: 0,
    queries: [line("{{datname}}", once(["datname"], series("pg_database_size_bytes", DB)))],
  }),
  graph({
    title: "Dead rows",
    about: {
      shows: "Rows that no transaction can see any more and that vacuum has not yet cleaned up: the five tables with most.",
      good: "a saw tooth: autovacuum comes and goes.",
      bad: "a line that only climbs.",
      act: "look for a long transaction above; then at autovacuum's settings for that table.",
    },
    unit: "short",
    min: 0,
    queries: [line("{{schemaname}}.{{relname}}", `${now("n_dead_tup")} and ${SAME} topk(5, ${lastDead})`)],
  }),
  graph({
    title: "Scans per second",
    about: {
      shows: "Scans that read a whole table, and scans that use an index.",
      good: "index scans far above.",
      bad: "whole-table scans in step with traffic, unless the tables are tiny.",
      act: "see which tables in the list of sequential scans.",
    },
    unit: "short",
    min: 0,
    queries: [line("whole table", perSecond("seq_scan")), line("index", perSecond("idx_scan"))],
  }),
  graph({
    title: "Vacuum and analyze runs per minute",
    about: {
      shows: "Tables that autovacuum cleaned up or analysed each minute.",
      good: "now and then, in step with writes.",
      bad: "none for hours while dead rows climb.",
      act: "check that autovacuum is on and that no long transaction holds it back.",
    },
    unit: "short",
    min: 0,
    softMax: 1,
    queries: [
      line("vacuum", `60 * ${perSecond("autovacuum_count")}`),
      line("analyze", `60 * ${perSecond("autoanalyze_count")}`),
    ],
  }),
  {
    kind: "table",
    title: "Tables that read from disk",
    about: {
      shows: "The 25 tables that asked for most blocks that were not in the cache in the time range, and how often rows and indexes were found in it.",
      good: "ratios of 99 % and more for tables in use.",
      bad: "a low index ratio: even the index does not fit.",
      act: "drop unused indexes, add memory, or read less of the table.",
    },
    unit: "short",
    w: 12,
    h: 8,
    queries: [
      { expr: readMost },
      { expr: hitRatio("heap") },
      { expr: hitRatio("idx") },
    ],
    columns: [
      ...NAME,
      { field: "Value #A", title: "Blocks read", width: 150, unit: "locale", decimals: 0, bar: "auto" },
      { field: "Value #B", title: "Rows cached", width: 110, unit: "percentunit", decimals: 1, thresholds: falling(0.9, 0.99) },
      { field: "Value #C", title: "Index cached", width: 110, unit: "percentunit", decimals: 1, thresholds: falling(0.9, 0.99) },
    ],
    sort: { column: "Blocks read", desc: true },
  },
  {
    kind: "table",
    title: "Sequential scans",
    about: {
      shows: "The 25 tables of which most rows were read by scanning them whole in the time range, and how many of their scans were such.",
      good: "small tables only.",
      bad: "a big table, scanned whole often.",
      act: "take the statement from the list below, run explain on it, and add the index it lacks.",
    },
    unit: "short",
    w: 12,
    h: 8,
    queries: [
      { expr: scanned },
      { expr: `${inRange("seq_scan")} and ${SAME} ${scanned}` },
      { expr: `${inRange("idx_scan")} and ${SAME} ${scanned}` },
      { expr: `${now("n_live_tup")} and ${SAME} ${scanned}` },
    ],
    columns: [
      ...NAME,
      { field: "Value #A", title: "Rows scanned", width: 150, unit: "short", bar: "auto" },
      { field: "Value #B", title: "Seq scans", width: 85, unit: "short" },
      { field: "Value #C", title: "Index scans", width: 95, unit: "short" },
      { field: "Value #D", title: "Live rows", width: 85, unit: "short" },
    ],
    sort: { column: "Rows scanned", desc: true },
  },
];
