// SPDX-License-Identifier: MIT
// Checks the committed boards. Usage: node build/check/main.js --generated DIR --exporter FILE [--live URL [--wait SECONDS]]
// Exit status 1 if a check fails, 2 if it is called wrongly.

import { parseArgs } from "node:util";
import { BOARDS } from "../boards/all.js";
import { toGrafana } from "../lib/board.js";
import { checkCurrent } from "./current.js";
import { lint, type Outcome } from "./lint.js";
import { checkLive, excused } from "./live.js";
import { checkMetrics } from "./metrics.js";
import { exprOf, lookupOf, readBoards, targetsOf } from "./model.js";
import { checkWithPromtool } from "./promtool.js";

/** More than this and the live check would no longer mean much. */
const MOST_EXCUSED = 3;

const { values } = parseArgs({
  options: {
    generated: { type: "string" },
    exporter: { type: "string" },
    live: { type: "string" },
    wait: { type: "string", default: "0" },
  },
});
const { generated, exporter, live, wait } = values;
if (generated === undefined || exporter === undefined || !/^\d+$/.test(wait)) {
  console.error("usage: main.js --generated DIR --exporter FILE [--live URL [--wait SECONDS]]");
  process.exit(2);
}

const boards = readBoards(generated);
const reasons = excused(BOARDS);
const outcomes: Outcome[] = [];
if (live !== undefined) {
  outcomes.push(...(await checkLive(live, boards, reasons, Number(wait))));
  for (const [key, reason] of reasons) console.log(`may be empty: ${key}: ${reason}`);
} else {
  outcomes.push(...checkCurrent(generated, new Map(BOARDS.map((board) => [`${board.uid}.json`, toGrafana(board)]))));
  outcomes.push(...boards.flatMap(lint));
  const queries = boards.flatMap((board) => [
    ...targetsOf(board),
    ...board.templating.list.flatMap((variable) => {
      const lookup = lookupOf(variable);
      return lookup === undefined ? [] : [{ where: `${board.title}: variable ${variable.name}`, expr: exprOf(lookup) }];
    }),
  ]);
  outcomes.push(...checkWithPromtool(queries));
  const metrics = checkMetrics(boards, exporter);
  if (metrics === undefined) console.log(`not checked: whether metrics are exported, as ${exporter} is not built`);
  else outcomes.push(...metrics);
  const tooMany = reasons.size > MOST_EXCUSED ? [`${reasons.size} queries may be empty; at most ${MOST_EXCUSED}`] : [];
  outcomes.push({ check: "few queries may be empty", problems: tooMany });
}

const failed = outcomes.filter(({ problems }) => problems.length > 0);
for (const { check, problems } of failed) console.log([`FAIL ${check}`, ...problems.map((p) => `  ${p}`)].join("\n"));
console.log(`${outcomes.length - failed.length} passed, ${failed.length} failed`);
process.exitCode = failed.length > 0 || outcomes.length === 0 ? 1 : 0;
