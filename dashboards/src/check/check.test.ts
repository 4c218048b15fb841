// SPDX-License-Identifier: MIT
// The checks themselves: each finds the fault it is there for, and a sound board passes.

import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { BOARDS } from "../boards/all.js";
import { toGrafana } from "../lib/board.js";
import { toJson } from "../lib/json.js";
import { checkCurrent } from "./current.js";
import { analyse } from "./expr.js";
import { lint, type Outcome } from "./lint.js";
import { checkLive, excused } from "./live.js";
import type { BoardJson, PanelJson } from "./model.js";
import { checkWithPromtool } from "./promtool.js";

const SELF = 'job=~"$job", instance=~"$instance"';
const board = (): BoardJson => JSON.parse(toJson(toGrafana(BOARDS[0]!))) as BoardJson;
const firstPanel = (of: BoardJson): PanelJson => of.panels.find((panel) => panel.type !== "row")!;
const problems = (outcomes: readonly Outcome[]): string => outcomes.flatMap((outcome) => outcome.problems).join("\n");
const broken = (change: (of: BoardJson) => void): string => {
  const changed = board();
  change(changed);
  return problems(lint(changed));
};

test("a sound board passes", () => {
  assert.equal(problems(lint(board())), "");
});

test("faults of a board are found", () => {
  assert.match(broken((b) => (b.editable = true)), /editable is not false/);
  assert.match(broken((b) => Object.assign(b, { id: 7 })), /id is not null/);
  assert.match(broken((b) => Object.assign(firstPanel(b), { id: b.panels[1]!.id })), /used twice/);
  assert.match(broken((b) => Object.assign(firstPanel(b).gridPos, { w: 4 })), /overlap/);
  assert.match(broken((b) => Object.assign(firstPanel(b).gridPos, { x: 23 })), /leaves the grid/);
  assert.match(broken((b) => Object.assign(firstPanel(b), { description: "Runs." })), /lacks \*\*Good/);
  assert.match(broken((b) => delete firstPanel(b).fieldConfig!.defaults.unit), /no unit/);
  assert.match(broken((b) => delete firstPanel(b).fieldConfig!.defaults.noValue), /no data/);
  assert.match(broken((b) => Object.assign(firstPanel(b), { datasource: { uid: "${DS_PROMETHEUS}" } })), /import page/);
  assert.match(broken((b) => Object.assign(firstPanel(b), { title: "Runs of $tenant" })), /\$tenant is no variable/);
  assert.match(broken((b) => Object.assign(b.templating.list[1]!, { allValue: ".*" })), /All does not stand for/);
});

test("faults of a query are found", () => {
  const of = (expr: string): string => analyse(expr).problems.join("\n");
  assert.equal(of(`sum(max by (status) (rate(runs_total{${SELF}}[$__rate_interval])))`), "");
  assert.match(of(`sum(rate(runs_total{${SELF}}[$__rate_interval]))`), /two exporters would double it/);
  assert.match(of(`runs{${SELF}}`), /two exporters would double it/);
  assert.match(of(`max(rate(runs_total{${SELF}}[5m]))`), /other than \$__rate_interval/);
  assert.match(of('max(runs{job=~"$job"})'), /is not kept to instance/);
  assert.match(of(`max(runs{${SELF}}`), /does not parse/);
  assert.deepEqual(analyse(`max(increase(a_total{${SELF}}[$__range])) / max(b{${SELF}})`).counters, ["a_total"]);
});

test("promtool blames the query that is wrong", () => {
  const outcomes = checkWithPromtool([
    { where: "right", expr: "max(up)" },
    { where: "wrong", expr: "max(up" },
  ]);
  assert.deepEqual(outcomes.map((outcome) => outcome.problems.length > 0), [false, true]);
});

test("a stale, a missing and a stray file are found", () => {
  const dir = mkdtempSync(join(tmpdir(), "meshhook-dashboards-"));
  try {
    writeFileSync(join(dir, "stale.json"), toJson({ title: "old" }));
    writeFileSync(join(dir, "stray.json"), "{}");
    const outcomes = checkCurrent(dir, new Map([["stale.json", { title: "new" }], ["missing.json", {}]]));
    assert.match(problems(outcomes), /-  "title": "old"\n\+  "title": "new"[^]*npm --prefix dashboards run generate/);
    assert.match(problems(outcomes), /missing\.json is missing/);
    assert.match(problems(outcomes), /no source makes .*stray\.json/);
  } finally {
    rmSync(dir, { recursive: true });
  }
});

test("the live check fails on no data and on NaN, but not where a query is excused", async () => {
  const empty = { status: "success", data: { result: [] } };
  const nan = { status: "success", data: { result: [{ metric: {}, value: [0, "NaN"], values: [[0, "NaN"]] }] } };
  const b = { ...board(), templating: { list: [] } };
  for (const answer of [empty, nan]) {
    const server = createServer((_, response) => response.end(JSON.stringify(answer)));
    await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening));
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const outcomes = await checkLive(url, [b], excused(BOARDS), 0);
    server.close();
    const passed = outcomes.filter((outcome) => outcome.problems.length === 0).map((outcome) => outcome.check);
    assert.deepEqual(passed, ['MeshHook / Overview: "Firing alerts", query A']);
  }
});
