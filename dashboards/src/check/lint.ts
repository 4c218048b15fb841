// SPDX-License-Identifier: MIT
// Rules that every board keeps.

import { analyse } from "./expr.js";
import { exprOf, lookupOf, targetsOf, type BoardJson, type GridPos, type PanelJson, type VariableJson } from "./model.js";

/** The name of a check and what it found; nothing found is a pass. */
export interface Outcome {
  check: string;
  problems: string[];
}

const GRID = 24;
const DATASOURCE = "${datasource}";

const overlap = (a: GridPos, b: GridPos): boolean =>
  a.x < b.x + b.w && b.x < a.x + a.w && a.y < b.y + b.h && b.y < a.y + a.h;

function twice<T>(values: readonly T[]): T[] {
  return [...new Set(values.filter((value, index) => values.indexOf(value) !== index))];
}

function lintBoard(board: BoardJson): string[] {
  const problems: string[] = [];
  const must = (holds: boolean, problem: string): void => void (holds || problems.push(problem));
  must(board.id === null, "id is not null");
  must(/^[a-z0-9-]{1,40}$/.test(board.uid), `uid "${board.uid}" is not lower case, or longer than 40`);
  must(!board.editable, "editable is not false");
  must(board.schemaVersion === 42, `schemaVersion is ${board.schemaVersion}, not 42, the last of the classic schema`);
  must(board.tags?.includes("meshhook") === true, "the tag meshhook, which links the boards, is missing");
  must(!JSON.stringify(board).includes("${DS_"), "a datasource input that only an import page would fill in");
  for (const id of twice(board.panels.map((panel) => panel.id))) problems.push(`panel id ${id} is used twice`);
  for (const title of twice(board.panels.map((panel) => panel.title))) problems.push(`panel title "${title}" is used twice`);
  for (const [index, a] of board.panels.entries()) {
    must(a.gridPos.x >= 0 && a.gridPos.x + a.gridPos.w <= GRID, `"${a.title}" leaves the grid`);
    for (const b of board.panels.slice(index + 1)) {
      must(!overlap(a.gridPos, b.gridPos), `"${a.title}" and "${b.title}" overlap`);
    }
  }
  return problems;
}

function lintVariables({ templating: { list } }: BoardJson): string[] {
  const problems: string[] = [];
  const [first] = list;
  if (first?.type !== "datasource" || first.name !== "datasource" || first.label !== "Data source") {
    problems.push('the first variable is not the data source, named "datasource" and labelled "Data source"');
  }
  for (const name of ["job", "instance"]) {
    if (!list.some((variable) => variable.name === name)) problems.push(`there is no variable ${name}`);
  }
  return [...problems, ...list.filter(({ type }) => type === "query").flatMap(lintQueryVariable)];
}

function lintQueryVariable(variable: VariableJson): string[] {
  const problems: string[] = [];
  const must = (holds: boolean, problem: string): void => void (holds || problems.push(`variable ${variable.name}: ${problem}`));
  must(variable.datasource?.uid === DATASOURCE, "does not use the datasource variable");
  must(variable.refresh === 2, "is not refreshed when the time range changes");
  must(variable.multi === true && variable.includeAll === true, "is not multi-value with All");
  must(variable.allValue === ".+", "All does not stand for .+");
  must((variable.label ?? "") !== "", "has no label");
  must(lookupOf(variable) !== undefined, "its query is neither label_values nor query_result");
  return problems;
}

function lintPanel(panel: PanelJson): string[] {
  const problems: string[] = [];
  const must = (holds: boolean, problem: string): void => void (holds || problems.push(problem));
  const { description = "", targets = [] } = panel;
  must(panel.title !== "", "no title");
  for (const part of ["**Good:**", "**Bad:**", "**Do:**"]) must(description.includes(part), `the description lacks ${part}`);
  must((panel.fieldConfig?.defaults.unit ?? "") !== "", "no unit");
  must((panel.fieldConfig?.defaults.noValue ?? "") !== "", "nothing is said when there is no data");
  must(panel.datasource?.uid === DATASOURCE, "does not use the datasource variable");
  must(targets.length > 0, "no query");
  for (const target of targets) must(target.datasource?.uid === DATASOURCE, `query ${target.refId} does not use the datasource variable`);
  for (const refId of twice(targets.map((target) => target.refId))) problems.push(`refId ${refId} is used twice`);
  return problems;
}

/** Variables Grafana has by itself. */
const BUILT_IN = /^__/;

function unknownVariables(board: BoardJson): string[] {
  const known = new Set(board.templating.list.map((variable) => variable.name));
  const used = [...JSON.stringify(board).matchAll(/\$\{?([A-Za-z_]\w*)/g)].map((match) => match[1] ?? "");
  return [...new Set(used)].filter((name) => !known.has(name) && !BUILT_IN.test(name)).map((name) => `$${name} is no variable`);
}

export function lint(board: BoardJson): Outcome[] {
  const panels = board.panels.filter((panel) => panel.type !== "row");
  const variables = board.templating.list.flatMap((variable) => {
    const lookup = variable.type === "query" ? lookupOf(variable) : undefined;
    if (lookup === undefined) return [];
    // A list of names is the same however many exporters tell it: only queries are held to the rule against doubling.
    const { problems } = analyse(lookup.kind === "labels" ? `max(${lookup.selector})` : lookup.expr);
    const own = variable.name === "job" || variable.name === "instance";
    return [{ check: `${board.title}: query of variable ${variable.name}`, problems: own ? [] : problems }];
  });
  return [
    { check: `${board.title}: board`, problems: lintBoard(board) },
    { check: `${board.title}: variables`, problems: [...lintVariables(board), ...unknownVariables(board)] },
    ...panels.map((panel) => ({ check: `${board.title}: panel "${panel.title}"`, problems: lintPanel(panel) })),
    ...variables,
    ...targetsOf(board).map(({ where, expr }) => ({ check: where, problems: analyse(expr).problems })),
  ];
}

export interface Use {
  metric: string;
  where: string;
  /** Whether rate or increase is taken of it. */
  counted: boolean;
}

export function metricsUsed(board: BoardJson): Use[] {
  const asked = [
    ...targetsOf(board).map(({ where, expr }) => ({ where, expr })),
    ...board.templating.list.flatMap((variable) => {
      const lookup = lookupOf(variable);
      return lookup === undefined ? [] : [{ where: `${board.title}: variable ${variable.name}`, expr: exprOf(lookup) }];
    }),
  ];
  return asked.flatMap(({ where, expr }) => {
    const { metrics, counters } = analyse(expr);
    return metrics.map((metric) => ({ metric, where, counted: counters.includes(metric) }));
  });
}
