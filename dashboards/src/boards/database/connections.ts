// SPDX-License-Identifier: MIT
// Database, who is connected and what they wait for.

import { once, series, total } from "../../lib/promql.js";
import { graph, line } from "../../lib/shorthand.js";
import type { Panel } from "../../lib/spec.js";

const DB = 'datname=~"$datname"';
const SESSION = [
  "datname",
  "state",
  "usename",
  "application_name",
  "backend_type",
  "wait_event_type",
  "wait_event",
];

export const connections: Panel[] = [
  graph({
    title: "Connections against the limit",
    about: {
      shows: "Client connections of the whole server, and how many ordinary roles can have (dashed).",
      good: "well below the dashed line.",
      bad: "touching it: new clients get \"too many clients already\".",
      act: "see by state beside it; put a pooler in front, or shrink the pools of the clients.",
    },
    unit: "short",
    min: 0,
    bounds: ["limit"],
    queries: [
      line("used", once([], series("pg_client_connections"))),
      line("limit", once([], series("pg_client_connections_limit"))),
    ],
  }),
  graph({
    title: "Connections by state",
    about: {
      shows: "Sessions in the chosen databases, by what they do.",
      good: "mostly idle, some active.",
      bad: "orange that stays: clients that open a transaction and then do something else.",
      act: "pg_stat_activity tells which application; a worker must not call out to the network inside a transaction.",
    },
    unit: "short",
    min: 0,
    stacked: true,
    queries: [line("{{state}}", `${total(["state"], SESSION, series("pg_stat_activity_count", DB))} > 0`)],
  }),
  graph({
    title: "Longest transaction by state",
    about: {
      shows: "Age of the oldest open transaction, by what its session does.",
      good: "short teeth.",
      bad: "a straight line upwards: one and the same transaction stays open.",
      act: "idle in transaction: its client forgot it, end it. Active: see the statement in pg_stat_activity.",
    },
    unit: "s",
    min: 0,
    softMax: 10,
    queries: [
      line(
        "{{state}}",
        once(["state"], series("pg_stat_activity_max_tx_duration", `${DB}, state=~"active|idle in transaction.*"`)),
      ),
    ],
  }),
];
