// SPDX-License-Identifier: MIT
// Runs every query of every panel and variable against a Prometheus, with variables as Grafana would fill them in.

import { queriesOf, type Board } from "../lib/spec.js";
import { place } from "../lib/board.js";
import { refId } from "../lib/parts.js";
import type { Outcome } from "./lint.js";
import { lookupOf, targetsOf, type BoardJson, type VariableJson } from "./model.js";

const RANGE_SECONDS = 300;
const STEP_SECONDS = 15;
const FIXED = { $__rate_interval: "30s", $__range: "1h", $__interval: "15s" };

interface Series {
  metric: Record<string, string>;
  value?: [number, string];
  values?: [number, string][];
}

/** Queries that may rightly find nothing, with the reason, as the sources say it. */
export function excused(boards: readonly Board[]): Map<string, string> {
  const found = new Map<string, string>();
  for (const board of boards) {
    for (const { panel, id } of place(board).flatMap((row) => row.panels)) {
      for (const [index, { mayBeEmpty }] of queriesOf(panel).entries()) {
        if (mayBeEmpty !== undefined) found.set(`${board.uid}/${id}/${refId(index)}`, mayBeEmpty);
      }
    }
  }
  return found;
}

/** All where there is an All, and the first choice where there is none. */
function valueOf({ allValue, current }: VariableJson): string {
  if (allValue !== undefined && allValue !== "") return allValue;
  return String(current?.value ?? "");
}

function fill(board: BoardJson, expr: string): string {
  let filled = expr;
  for (const [name, value] of Object.entries(FIXED)) filled = filled.replaceAll(name, value);
  for (const variable of board.templating.list) filled = filled.replaceAll(`$${variable.name}`, valueOf(variable));
  return filled;
}

async function ask<T>(url: string, path: string, params: Record<string, string>): Promise<T> {
  const response = await fetch(`${url.replace(/\/$/, "")}/api/v1/${path}?${new URLSearchParams(params)}`);
  const text = await response.text();
  let answer: { status: string; error?: string; data: T };
  try {
    answer = JSON.parse(text) as typeof answer;
  } catch {
    throw new Error(`HTTP ${response.status}: ${text.slice(0, 200)}`);
  }
  if (answer.status !== "success") throw new Error(answer.error ?? `HTTP ${response.status}`);
  return answer.data;
}

const hasNumber = ({ value, values }: Series): boolean =>
  [...(value === undefined ? [] : [value]), ...(values ?? [])].some(([, number]) => number !== "NaN");

/** Runs the query and says whether any of its values is a number. */
async function found(url: string, expr: string, instant: boolean): Promise<boolean> {
  const now = Math.floor(Date.now() / 1000);
  const { result } = instant
    ? await ask<{ result: Series[] }>(url, "query", { query: expr, time: `${now}` })
    : await ask<{ result: Series[] }>(url, "query_range", {
        query: expr,
        start: `${now - RANGE_SECONDS}`,
        end: `${now}`,
        step: `${STEP_SECONDS}`,
      });
  return result.some(hasNumber);
}

const message = (error: unknown): string =>
  error instanceof Error ? [error.message, (error.cause as Error | undefined)?.message].filter(Boolean).join(": ") : String(error);

async function checkVariable(url: string, board: BoardJson, variable: VariableJson): Promise<string[]> {
  const lookup = lookupOf(variable);
  if (lookup === undefined) return [];
  if (lookup.kind === "labels") {
    const values = await ask<string[]>(url, `label/${lookup.label}/values`, { "match[]": fill(board, lookup.selector) });
    return values.length > 0 ? [] : ["no values"];
  }
  const { result } = await ask<{ result: Series[] }>(url, "query", { query: fill(board, lookup.expr) });
  // How Grafana writes a result before it applies the regex: labels in order, then value and time.
  const lines = result.map(({ metric, value }) => {
    const labels = Object.entries(metric).map(([name, label]) => `${name}="${label}"`);
    return `{${labels.join(",")}} ${value?.[1] ?? ""} ${(value?.[0] ?? 0) * 1000}`;
  });
  const regex = new RegExp((variable.regex ?? "").replace(/^\/(.*)\/$/s, "$1"));
  const named = lines.filter((line) => {
    const groups = regex.exec(line)?.groups;
    return groups === undefined || ((groups["text"] ?? "") !== "" && (groups["value"] ?? "") !== "");
  });
  if (named.length === 0) return ["no values"];
  return named.length === lines.length ? [] : [`the regex finds no text and value in some results: ${lines[0] ?? ""}`];
}

type Check = () => Promise<Outcome>;

function checksOf(url: string, board: BoardJson, reasons: ReadonlyMap<string, string>): Check[] {
  const outcome = async (check: string, run: () => Promise<string[]>): Promise<Outcome> => {
    try {
      return { check, problems: await run() };
    } catch (error) {
      return { check, problems: [message(error)] };
    }
  };
  const variables = board.templating.list
    .filter(({ type }) => type === "query")
    .map((variable) => () => outcome(`${board.title}: variable ${variable.name}`, () => checkVariable(url, board, variable)));
  const targets = targetsOf(board).map(({ where, key, expr, instant }) => () =>
    outcome(where, async () => {
      const query = fill(board, expr);
      return (await found(url, query, instant)) || reasons.has(key) ? [] : [`no data: ${query}`];
    }),
  );
  return [...variables, ...targets];
}

/** Asks again for what found nothing until `seconds` are over: a young system has no rates yet. */
export async function checkLive(
  url: string,
  boards: readonly BoardJson[],
  reasons: ReadonlyMap<string, string>,
  seconds: number,
): Promise<Outcome[]> {
  const deadline = Date.now() + seconds * 1000;
  const outcomes: Outcome[] = [];
  let open = boards.flatMap((board) => checksOf(url, board, reasons));
  for (;;) {
    const failed: { check: Check; outcome: Outcome }[] = [];
    for (const check of open) {
      const outcome = await check();
      if (outcome.problems.length === 0) outcomes.push(outcome);
      else failed.push({ check, outcome });
    }
    if (failed.length === 0 || Date.now() >= deadline) return [...outcomes, ...failed.map(({ outcome }) => outcome)];
    open = failed.map(({ check }) => check);
    await new Promise((resume) => setTimeout(resume, 3000));
  }
}
