// SPDX-License-Identifier: MIT
// A whole board: variables, links, and panels laid out row by row from left to right.

import * as dashboard from "@grafana/grafana-foundation-sdk/dashboard";
import { build } from "./panels.js";
import { DATASOURCE } from "./parts.js";
import type { Board, Panel, Variable } from "./spec.js";
import { series } from "./promql.js";

export const GRID = 24;
const TAG = "meshhook";
const ALL = { selected: true, text: "All", value: "$__all" };

/** All boards have these, under these names: links between boards carry them along. */
const EXPORTER_VARIABLES: Variable[] = [
  {
    name: "job",
    label: "Job",
    description: "The scrape job of the exporters.",
    from: { query: "label_values(pg_up, job)" },
  },
  {
    name: "instance",
    label: "Instance",
    description: "The exporters. Several that watch one database count once; pick one where they watch different databases.",
    from: { query: 'label_values(pg_up{job=~"$job"}, instance)' },
  },
];

/** A link to another board that keeps the time range and the exporters. */
export const boardUrl = (uid: string, more = ""): string =>
  `/d/${uid}?\${__url_time_range}&\${datasource:queryparam}&\${job:queryparam}&\${instance:queryparam}${more}`;

function variable(spec: Variable): dashboard.QueryVariableBuilder | dashboard.CustomVariableBuilder {
  if ("values" in spec.from) {
    const [first = ""] = spec.from.values;
    return new dashboard.CustomVariableBuilder(spec.name)
      .label(spec.label)
      .description(spec.description)
      .values(spec.from.values.join(","))
      .options(spec.from.values.map((value) => ({ selected: value === first, text: value, value })))
      .current({ selected: true, text: first, value: first });
  }
  const builder = new dashboard.QueryVariableBuilder(spec.name)
    .label(spec.label)
    .description(spec.description)
    .datasource(DATASOURCE)
    .query({ query: spec.from.query, refId: `variable-${spec.name}` })
    .definition(spec.from.query)
    .refresh(dashboard.VariableRefresh.OnTimeRangeChanged)
    .sort(dashboard.VariableSort.AlphabeticalAsc)
    .multi(true)
    .includeAll(true)
    .allValue(".+")
    .current(ALL);
  return spec.from.regex === undefined ? builder : builder.regex(spec.from.regex);
}

export const variablesOf = (board: Board): Variable[] => [...EXPORTER_VARIABLES, ...board.variables];

/** A panel with its place; `id` is made of its row and its place there, so that links to panels survive changes in other rows. */
export interface Placed {
  panel: Panel;
  id: number;
  x: number;
  y: number;
}
export interface PlacedRow {
  title?: string;
  id: number;
  y: number;
  panels: Placed[];
}

/** Panels flow from left to right; a line is as high as its highest panel, and its panels must fill it. */
function flow(panels: readonly Panel[], row: number, top: number): { placed: Placed[]; bottom: number } {
  const placed: Placed[] = [];
  let [x, y, height] = [0, top, 0];
  for (const [index, panel] of panels.entries()) {
    if (x + panel.w > GRID) throw new Error(`"${panel.title}" does not fit: its line is ${x + panel.w} wide`);
    placed.push({ panel, id: row * 100 + index + 1, x, y });
    x += panel.w;
    height = Math.max(height, panel.h);
    if (x === GRID) [x, y, height] = [0, y + height, 0];
  }
  if (x !== 0) throw new Error(`the line that ends with "${panels.at(-1)?.title}" is ${x} wide, not ${GRID}`);
  return { placed, bottom: y };
}

export function place(board: Board): PlacedRow[] {
  const head = flow(board.headline, 0, 0);
  const rows: PlacedRow[] = [{ id: 0, y: 0, panels: head.placed }];
  let y = head.bottom;
  for (const [index, row] of board.rows.entries()) {
    const { placed, bottom } = flow(row.panels, index + 1, y + 1);
    rows.push({ title: row.title, id: (index + 1) * 100, y, panels: placed });
    y = bottom;
  }
  return rows;
}

export function toGrafana(board: Board): dashboard.Dashboard {
  const builder = new dashboard.DashboardBuilder(board.title)
    .id(null)
    .uid(board.uid)
    .description(board.description)
    .tags([TAG])
    .readonly()
    .tooltip(dashboard.DashboardCursorSync.Crosshair)
    .timezone("browser")
    .time({ from: board.from, to: "now" })
    .refresh(board.refresh)
    .link(
      new dashboard.DashboardLinkBuilder("MeshHook")
        .type(dashboard.DashboardLinkType.Dashboards)
        .tags([TAG])
        .asDropdown(false)
        .includeVars(true)
        .keepTime(true),
    )
    .withVariable(
      new dashboard.DatasourceVariableBuilder("datasource")
        .label("Data source")
        .type("prometheus")
        .current({ selected: true, text: "Prometheus", value: "prometheus" }),
    );
  for (const spec of variablesOf(board)) builder.withVariable(variable(spec));
  for (const row of place(board)) {
    if (row.title !== undefined) {
      builder.withRow(new dashboard.RowBuilder(row.title).id(row.id).gridPos({ x: 0, y: row.y, w: GRID, h: 1 }));
    }
    for (const { panel, id, x, y } of row.panels) builder.withPanel(build(panel, id, x, y));
  }
  return builder.build();
}

/** A variable whose values are read from an exported metric's label. */
export const labelValues = (metric: string, label: string, matchers = ""): string =>
  `label_values(${series(metric, matchers)}, ${label})`;
