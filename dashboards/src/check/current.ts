// SPDX-License-Identifier: MIT
// Whether what is committed is what the sources make.

import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { toJson } from "../lib/json.js";
import type { Outcome } from "./lint.js";

const REMEDY = "run `npm --prefix dashboards run generate` and commit dashboards/generated";
const MOST_LINES = 30;

export function checkCurrent(dir: string, boards: ReadonlyMap<string, unknown>): Outcome[] {
  const scratch = mkdtempSync(join(tmpdir(), "meshhook-dashboards-"));
  try {
    const outcomes = [...boards].map(([name, board]) => {
      const check = `${name} is current`;
      const committed = join(dir, name);
      const fresh = join(scratch, name);
      writeFileSync(fresh, toJson(board));
      if (!existsSync(committed)) return { check, problems: [`${committed} is missing`, REMEDY] };
      const labels = ["--label", `committed/${name}`, "--label", `generated/${name}`];
      const diff = spawnSync("diff", ["-u", ...labels, committed, fresh], { encoding: "utf8" });
      if (diff.error !== undefined) throw diff.error;
      return { check, problems: diff.status === 0 ? [] : [...diff.stdout.split("\n").slice(0, MOST_LINES), REMEDY] };
    });
    const strays = readdirSync(dir).filter((name) => !boards.has(name));
    return [...outcomes, { check: "no stray files", problems: strays.map((name) => `no source makes ${join(dir, name)}`) }];
  } finally {
    rmSync(scratch, { recursive: true });
  }
}
