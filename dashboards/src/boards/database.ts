// SPDX-License-Identifier: MIT
// Database: does PostgreSQL have room, does it answer fast, and what keeps it busy?

import { labelValues } from "../lib/board.js";
import { once, rate, ratio, risen, series, total } from "../lib/promql.js";
import { tile } from "../lib/shorthand.js";
import type { Board, Panel } from "../lib/spec.js";
import { COLOR, UP_DOWN, falling, rising } from "../lib/style.js";
import { connections } from "./database/connections.js";
import { exporter } from "./database/exporter.js";
import { statements } from "./database/statements.js";
import { storage } from "./database/storage.js";
import { traffic } from "./database/traffic.js";

const DB = 'datname=~"$datname"';
const databases = (of: typeof rate, metric: string): string => total([], ["datname"], of(metric, DB));

const headline: Panel[] = [
  tile({
    title: "Database",
    about: {
      shows: "Whether an exporter reaches the database. Unknown means that no exporter is there to say.",
      good: "Up.",
      bad: "Down: it refuses connections or does not answer in time. Unknown: look at the exporter first.",
      act: "the last row of this board tells which exporter sees what; then look at PostgreSQL's own log.",
    },
    unit: "short",
    empty: "Unknown",
    emptyColor: COLOR.warn,
    states: UP_DOWN,
    expr: once([], series("pg_up")),
  }),
  tile({
    title: "Version",
    about: {
      shows: "PostgreSQL's version.",
      good: "a version that still gets fixes, with its newest minor release.",
      bad: "a change you did not plan.",
      act: "compare with the list of supported versions at postgresql.org.",
    },
    unit: "short",
    empty: "Unknown",
    showName: true,
    expr: once(["number"], `label_replace(${series("pg_static")}, "number", "$1", "short_version", "([0-9.]+).*")`),
    legend: "{{number}}",
  }),
  tile({
    title: "Connections used",
    about: {
      shows: "Client connections as a share of those that ordinary roles can have: max_connections less the reserved ones.",
      good: "below 80 %.",
      bad: "90 % and more: the next client is about to be refused.",
      act: "see by state whether they work or idle; idle ones call for a smaller pool, or for a pooler.",
    },
    unit: "percentunit",
    decimals: 0,
    thresholds: rising(0.8, 0.9),
    expr: ratio(once([], series("pg_client_connections")), once([], series("pg_client_connections_limit"))),
  }),
  tile({
    title: "Longest transaction",
    about: {
      shows: "Age of the oldest transaction that is open now.",
      good: "seconds.",
      bad: "five minutes and more: vacuum cannot clean up behind it, and its locks hold others up.",
      act: "find it in pg_stat_activity (order by xact_start) and end it if nobody needs it.",
    },
    unit: "s",
    decimals: 1,
    thresholds: rising(300, 900),
    expr: once([], series("pg_stat_activity_max_tx_duration", DB)),
  }),
  tile({
    title: "Transactions / s",
    about: {
      shows: "Transactions that end each second, committed or rolled back.",
      good: "near what this hour of the day usually brings.",
      bad: "a sudden drop (clients cannot reach it) or a flood (a client that loops).",
      act: "compare with runs per second on the Overview board.",
    },
    unit: "short",
    decimals: 0,
    expr: `${databases(rate, "pg_stat_database_xact_commit")} + ${databases(rate, "pg_stat_database_xact_rollback")}`,
  }),
  tile({
    title: "Cache hit ratio",
    about: {
      shows: "Blocks found in PostgreSQL's own cache, as a share of those asked for, over the time range.",
      good: "99 % and more.",
      bad: "below 95 %: the tables in use do not fit into shared_buffers.",
      act: "find the table that reads most below; it lacks an index or has outgrown the memory.",
    },
    unit: "percentunit",
    decimals: 2,
    thresholds: falling(0.95, 0.99),
    expr: ratio(
      databases(risen, "pg_stat_database_blks_hit"),
      `(${databases(risen, "pg_stat_database_blks_hit")} + ${databases(risen, "pg_stat_database_blks_read")})`,
    ),
  }),
  tile({
    title: "Size",
    about: {
      shows: "Space on disk of the chosen databases.",
      good: "growing slowly.",
      bad: "a jump, or nearing the size of the disk.",
      act: "see tables by size below; old partitions of events are what grows.",
    },
    unit: "bytes",
    decimals: 1,
    expr: total([], ["datname"], series("pg_database_size_bytes", DB)),
  }),
  tile({
    title: "Deadlocks",
    about: {
      shows: "Deadlocks in the time range. PostgreSQL ends one by failing one of the transactions.",
      good: "none.",
      bad: "any that come back: two code paths lock the same rows in a different order.",
      act: "PostgreSQL's log names both statements of each.",
    },
    unit: "short",
    decimals: 0,
    thresholds: rising(1, 10),
    expr: databases(risen, "pg_stat_database_deadlocks"),
  }),
];

export const database: Board = {
  uid: "meshhook-database",
  title: "MeshHook / Database",
  description: "Does PostgreSQL have room, does it answer fast, and what keeps it busy?",
  refresh: "30s",
  from: "now-1h",
  variables: [
    {
      name: "datname",
      label: "Database",
      description: "Databases of the server.",
      from: { query: labelValues("pg_stat_database_numbackends", "datname") },
    },
  ],
  headline,
  rows: [
    { title: "Connections", panels: connections },
    { title: "Traffic", panels: traffic },
    { title: "Tables", panels: storage },
    { title: "Statements", panels: statements },
    { title: "Exporter", panels: exporter },
  ],
};
