// SPDX-License-Identifier: MIT
// Database, what goes in and out: transactions, rows, blocks, and what gets in the way.

import { rate, ratio, series, total } from "../../lib/promql.js";
import { graph, line } from "../../lib/shorthand.js";
import type { Panel } from "../../lib/spec.js";

const DB = 'datname=~"$datname"';
const perSecond = (metric: string, by: string[] = []): string => total(by, ["datname"], rate(`pg_stat_database_${metric}`, DB));
const perDatabase = (metric: string): string => perSecond(metric, ["datname"]);

export const traffic: Panel[] = [
  graph({
    title: "Transactions per second",
    about: {
      shows: "Transactions that end each second, by how they end.",
      good: "the daily shape, almost all committed.",
      bad: "a red band: something fails again and again.",
      act: "PostgreSQL's log tells what; with runs failing at the same time, start on the Overview board.",
    },
    unit: "short",
    min: 0,
    stacked: true,
    queries: [line("rolled back", perSecond("xact_rollback")), line("committed", perSecond("xact_commit"))],
  }),
  graph({
    title: "Rollback ratio",
    about: {
      shows: "Transactions rolled back, as a share of all, by database.",
      good: "below 1 %.",
      bad: "above 5 %.",
      act: "see which statements fail in PostgreSQL's log; unique violations used as a lock are a common cause.",
    },
    unit: "percentunit",
    min: 0,
    softMax: 0.01,
    empty: "No transactions",
    queries: [
      line(
        "{{datname}}",
        ratio(perDatabase("xact_rollback"), `(${perDatabase("xact_commit")} + ${perDatabase("xact_rollback")})`),
      ),
    ],
  }),
  graph({
    title: "Locks by mode",
    about: {
      shows: "Locks held or awaited in the chosen databases, by mode.",
      good: "a low, noisy floor of share and row locks.",
      bad: "accessexclusivelock that stays: it blocks every reader of a table.",
      act: "pg_blocking_pids() tells who waits for whom; schema changes should run with a lock_timeout.",
    },
    unit: "short",
    min: 0,
    softMax: 5,
    stacked: true,
    empty: "No locks",
    queries: [line("{{mode}}", `${total(["mode"], ["datname", "mode"], series("pg_locks_count", DB))} > 0`)],
  }),
  graph({
    title: "Rows written per second",
    about: {
      shows: "Rows inserted, updated and deleted each second.",
      good: "in step with runs per second.",
      bad: "far more updates than runs explain.",
      act: "see top statements below, ordered by calls.",
    },
    unit: "short",
    min: 0,
    queries: [
      line("inserted", perSecond("tup_inserted")),
      line("updated", perSecond("tup_updated")),
      line("deleted", perSecond("tup_deleted")),
    ],
  }),
  graph({
    title: "Rows read per second",
    about: {
      shows: "Rows that scans went through (returned) and rows fetched through an index (fetched).",
      good: "both of the same magnitude.",
      bad: "returned far above fetched: whole tables are read to find a few rows.",
      act: "find the table under sequential scans below and give it an index.",
    },
    unit: "short",
    min: 0,
    queries: [line("returned", perSecond("tup_returned")), line("fetched", perSecond("tup_fetched"))],
  }),
  graph({
    title: "Cache hit ratio by database",
    about: {
      shows: "Blocks found in PostgreSQL's own cache, as a share of those asked for, by database.",
      good: "99 % and more.",
      bad: "a fall that stays.",
      act: "see which table reads most from disk below.",
    },
    unit: "percentunit",
    max: 1,
    softMin: 0.95,
    empty: "No blocks asked for",
    queries: [
      line("{{datname}}", ratio(perDatabase("blks_hit"), `(${perDatabase("blks_hit")} + ${perDatabase("blks_read")})`)),
    ],
  }),
  graph({
    title: "I/O time per second",
    about: {
      shows: "Time that sessions spent waiting for blocks each second; 1 s means one session waits all the time. Needs track_io_timing, without which it is zero.",
      good: "a small part of a second.",
      bad: "rising while traffic does not: the disk has become slow.",
      act: "compare with the host's disk latency; then with checkpoints and backups.",
    },
    unit: "s",
    min: 0,
    softMax: 0.01,
    queries: [
      line("read", `${perSecond("blk_read_time")} / 1000`),
      line("written", `${perSecond("blk_write_time")} / 1000`),
    ],
  }),
  graph({
    title: "Temporary files",
    about: {
      shows: "Bytes each second that sorts and hashes wrote to disk, by database, because they did not fit into work_mem.",
      good: "zero, with rare spikes.",
      bad: "a steady flow.",
      act: "log_temp_files names the statements; raise work_mem for that role, or sort less.",
    },
    unit: "Bps",
    min: 0,
    softMax: 1024,
    queries: [line("{{datname}}", perDatabase("temp_bytes"))],
  }),
  graph({
    title: "Deadlocks and conflicts per second",
    about: {
      shows: "Transactions that PostgreSQL ended because of a deadlock, or (on a replica) because of recovery.",
      good: "zero.",
      bad: "spikes that come back.",
      act: "PostgreSQL's log names both statements of a deadlock; make both lock rows in the same order.",
    },
    unit: "short",
    min: 0,
    softMax: 0.1,
    queries: [line("deadlocks", perSecond("deadlocks")), line("conflicts", perSecond("conflicts"))],
  }),
];
