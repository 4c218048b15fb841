// SPDX-License-Identifier: MIT
// Whether every metric a board asks for is one that is exported, and a counter where a rate of it is taken.

import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { metricsUsed, type Outcome, type Use } from "./lint.js";
import type { BoardJson } from "./model.js";

/** Not the exporter's: from Prometheus itself and from node_exporter. */
const OTHERS = /^(up|ALERTS|ALERTS_FOR_STATE|node_\w+)$/;

/** Name and type of what the Markdown table of `meshhook-exporter metrics` lists, or undefined where it is not built. */
function exported(binary: string): Map<string, string> | undefined {
  if (!existsSync(binary)) return undefined;
  const run = spawnSync(binary, ["metrics"], { encoding: "utf8" });
  if (run.status !== 0) throw new Error(`${binary} metrics failed: ${run.error?.message ?? run.stderr}`);
  const rows = [...run.stdout.matchAll(/^\| `(\w+)` \| (\w+) \|/gm)];
  if (rows.length === 0) throw new Error(`${binary} metrics prints no table of metrics`);
  return new Map(rows.map(([, name = "", type = ""]) => [name, type]));
}

export function checkMetrics(boards: readonly BoardJson[], binary: string): Outcome[] | undefined {
  const types = exported(binary);
  if (types === undefined) return undefined;
  const problem = ({ metric, where, counted }: Use): string[] => {
    if (OTHERS.test(metric)) return [];
    const type = types.get(metric) ?? types.get(metric.replace(/_(bucket|sum|count)$/, ""));
    if (type === undefined) return [`${metric} is not exported (asked for by ${where})`];
    return counted && type === "gauge" ? [`${metric} is a gauge: it has no rate (${where})`] : [];
  };
  return boards.map((board) => ({
    check: `${board.title}: metrics are exported`,
    problems: [...new Set(metricsUsed(board).flatMap(problem))],
  }));
}
