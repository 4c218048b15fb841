// SPDX-License-Identifier: MIT
// Grafana's JSON as far as the checks read it. They read what is committed, not the sources it came from.

import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";

export interface Target {
  refId: string;
  expr: string;
  instant?: boolean;
  datasource?: { uid?: string };
}
export interface GridPos {
  x: number;
  y: number;
  w: number;
  h: number;
}
export interface PanelJson {
  id: number;
  type: string;
  title: string;
  description?: string;
  gridPos: GridPos;
  datasource?: { uid?: string };
  targets?: Target[];
  fieldConfig?: { defaults: { unit?: string; noValue?: string } };
}
export interface VariableJson {
  name: string;
  type: string;
  label?: string;
  query: string | { query: string };
  regex?: string;
  multi?: boolean;
  includeAll?: boolean;
  allValue?: string;
  refresh?: number;
  current?: { value: string | string[] };
  datasource?: { uid?: string };
}
export interface BoardJson {
  id: number | null;
  uid: string;
  title: string;
  editable: boolean;
  schemaVersion: number;
  tags?: string[];
  panels: PanelJson[];
  templating: { list: VariableJson[] };
}

export function readBoards(dir: string): BoardJson[] {
  const files = readdirSync(dir).filter((name) => name.endsWith(".json")).sort();
  return files.map((name) => JSON.parse(readFileSync(join(dir, name), "utf8")) as BoardJson);
}

/** The text of a variable's query. */
export const queryText = ({ query }: VariableJson): string => (typeof query === "string" ? query : query.query);

/** A query and where it stands. */
export interface Found {
  /** For people: board, panel, query. */
  where: string;
  /** For machines: uid/panel id/refId. */
  key: string;
  expr: string;
  instant: boolean;
}

export function targetsOf(board: BoardJson): Found[] {
  return board.panels.flatMap((panel) =>
    (panel.targets ?? []).map(({ refId, expr, instant }) => ({
      where: `${board.title}: "${panel.title}", query ${refId}`,
      key: `${board.uid}/${panel.id}/${refId}`,
      expr,
      instant: instant === true,
    })),
  );
}

/** What a variable asks Prometheus: a label's values, or a query's result. */
export type Lookup = { kind: "labels"; selector: string; label: string } | { kind: "query"; expr: string };

export function lookupOf(variable: VariableJson): Lookup | undefined {
  const text = queryText(variable);
  const values = /^label_values\((.+),\s*(\w+)\)$/s.exec(text);
  if (values !== null) return { kind: "labels", selector: values[1] ?? "", label: values[2] ?? "" };
  const result = /^query_result\((.+)\)$/s.exec(text);
  return result === null ? undefined : { kind: "query", expr: result[1] ?? "" };
}
export const exprOf = (lookup: Lookup): string => (lookup.kind === "labels" ? lookup.selector : lookup.expr);
