// SPDX-License-Identifier: MIT
// Asks promtool whether each query is PromQL, by writing each into a recording rule.

import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseable } from "./expr.js";
import type { Outcome } from "./lint.js";

export interface Named {
  where: string;
  expr: string;
}

export function checkWithPromtool(queries: readonly Named[]): Outcome[] {
  const dir = mkdtempSync(join(tmpdir(), "meshhook-dashboards-"));
  try {
    // JSON is YAML. Rule n is named after its number, which is how an error is led back to its query.
    const rules = queries.map(({ expr }, index) => ({ record: `query:${index}:`, expr: parseable(expr) }));
    const file = join(dir, "queries.rules.yml");
    writeFileSync(file, JSON.stringify({ groups: [{ name: "queries", rules }] }));
    const run = spawnSync("promtool", ["check", "rules", "--lint=none", file], { encoding: "utf8" });
    if (run.error !== undefined) {
      return [{ check: "promtool", problems: [`${run.error.message}; install it with: apt-get install prometheus`] }];
    }
    const said = `${run.stdout}\n${run.stderr}`.split("\n").filter((line) => line.trim() !== "");
    const outcomes = queries.map(({ where }, index) => ({
      check: `promtool: ${where}`,
      problems: said.filter((line) => line.includes(`"query:${index}:"`)),
    }));
    const blamed = outcomes.some(({ problems }) => problems.length > 0);
    return run.status === 0 || blamed ? outcomes : [{ check: "promtool", problems: said }];
  } finally {
    rmSync(dir, { recursive: true });
  }
}
