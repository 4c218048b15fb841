// SPDX-License-Identifier: MIT
// Database, the exporter itself: can the numbers on this board be believed, and what do they cost?

import { ofExporters, once, rate, series } from "../../lib/promql.js";
import { graph, line } from "../../lib/shorthand.js";
import type { Panel } from "../../lib/spec.js";
import { COLOR } from "../../lib/style.js";

const each = (expr: string): string => once(["instance"], expr);

export const exporter: Panel[] = [
  {
    kind: "timeline",
    title: "Exporters",
    about: {
      shows: "Whether Prometheus reaches each exporter, and whether each exporter reaches the database.",
      good: "green throughout.",
      bad: "an exporter down: look there. Exporter up and database down: look at the database.",
      act: "the exporter's log has the reason; its check command tells what is missing.",
    },
    unit: "short",
    w: 12,
    h: 6,
    states: { "1": { text: "up", color: COLOR.good }, "0": { text: "down", color: COLOR.bad } },
    queries: [
      line("{{instance}}: exporter", each(ofExporters(series("up")))),
      line("{{instance}}: database", each(series("pg_up"))),
    ],
  },
  graph({
    title: "Exporter CPU",
    about: {
      shows: "CPU time of each exporter; 100 % is one core.",
      good: "about one percent.",
      bad: "tens of percent.",
      act: "see which collector takes long; a longer scrape interval halves the cost.",
    },
    unit: "percentunit",
    w: 6,
    h: 6,
    min: 0,
    queries: [line("{{instance}}", each(ofExporters(rate("process_cpu_seconds_total"))))],
  }),
  graph({
    title: "Exporter memory",
    about: {
      shows: "Resident memory of each exporter.",
      good: "level, some tens of megabytes at most.",
      bad: "climbing for hours.",
      act: "count the series it publishes; thousands of workflows or tables cost memory.",
    },
    unit: "bytes",
    w: 6,
    h: 6,
    min: 0,
    queries: [line("{{instance}}", each(ofExporters(series("process_resident_memory_bytes"))))],
  }),
  {
    kind: "timeline",
    title: "Collectors",
    about: {
      shows: "Whether each collector worked in each scrape; with several exporters, on the one that did worst.",
      good: "green throughout.",
      bad: "a red bar: the panels that live from it have a hole there.",
      act: "the exporter's log names the reason once; a missing permission or extension is the usual one.",
    },
    unit: "short",
    w: 12,
    h: 10,
    states: { "1": { text: "worked", color: COLOR.good }, "0": { text: "failed", color: COLOR.bad } },
    queries: [line("{{collector}}", `min by (collector) (${series("pg_scrape_collector_success")})`)],
  },
  graph({
    title: "Scrape duration by collector",
    about: {
      shows: "How long each collector's query took; with several exporters, on the slowest.",
      good: "milliseconds.",
      bad: "hundreds of milliseconds, or one that rises with the size of the database.",
      act: "switch that collector off with --no-collector.NAME, or scrape less often.",
    },
    unit: "s",
    w: 12,
    h: 10,
    min: 0,
    legendTable: true,
    queries: [line("{{collector}}", once(["collector"], series("pg_scrape_collector_duration_seconds")))],
  }),
];
