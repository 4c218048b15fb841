// SPDX-License-Identifier: MIT
// Tables: one row a thing, its labels and the values of several queries side by side.

import * as common from "@grafana/grafana-foundation-sdk/common";
import * as dashboard from "@grafana/grafana-foundation-sdk/dashboard";
import * as prometheus from "@grafana/grafana-foundation-sdk/prometheus";
import * as table from "@grafana/grafana-foundation-sdk/table";
import { absent, mappings, target, thresholds } from "./parts.js";
import type { Column, Table } from "./spec.js";

/** With one query Grafana calls the value column `Value`, with several `Value #A`, `Value #B`, … */
const fieldName = (panel: Table, field: string): string =>
  panel.queries.length === 1 && field === "Value #A" ? "Value" : field;

function properties(column: Column): dashboard.DynamicConfigValue[] {
  const found: dashboard.DynamicConfigValue[] = [];
  const add = (id: string, value: unknown): number => found.push({ id, value });
  if (column.hidden === true) {
    add("custom.hidden", true);
    add("custom.hideFrom.viz", true); // what Grafana 12 and later read
    return found;
  }
  if (column.width !== undefined) add("custom.width", column.width);
  const empty = column.empty ?? "–";
  add("noValue", empty);
  if (column.unit !== undefined) add("unit", column.unit);
  if (column.decimals !== undefined) add("decimals", column.decimals);
  if (column.bar !== undefined) {
    add("custom.cellOptions", { type: "gauge", mode: "basic", valueDisplayMode: "text" });
    add("min", 0);
    if (column.bar === "auto") add("fieldMinMax", true);
    else add("max", column.bar);
    if (column.thresholds === undefined) add("color", { mode: "fixed", fixedColor: "blue" });
  } else if (column.thresholds !== undefined || column.states !== undefined) {
    add("custom.cellOptions", { type: "color-text" });
  }
  if (column.thresholds !== undefined) {
    add("thresholds", thresholds(column.thresholds).build());
    add("color", { mode: "thresholds" });
  }
  if (column.thresholds !== undefined || column.states !== undefined) {
    add("mappings", [absent(empty), ...mappings(column.states ?? {})]);
  }
  if (column.link !== undefined) add("links", [column.link]);
  return found;
}

export function tablePanel(panel: Table): table.PanelBuilder {
  const shown = panel.columns.map((column) => fieldName(panel, column.field));
  const titles = panel.columns.filter((column) => column.hidden !== true);
  const builder = new table.PanelBuilder()
    .targets(panel.queries.map((query, index) => target(query, index, prometheus.PromQueryFormat.Table, true)))
    .cellHeight(common.TableCellHeight.Sm)
    .showHeader(true)
    .colorScheme(new dashboard.FieldColorBuilder().mode(dashboard.FieldColorModeId.Thresholds))
    .thresholds(thresholds([{ from: -Infinity, color: "text" }]))
    .sortBy([new common.TableSortByFieldStateBuilder().displayName(panel.sort.column).desc(panel.sort.desc)]);
  if (panel.queries.length > 1) builder.withTransformation({ id: "merge", options: {} });
  builder
    .withTransformation({ id: "filterFieldsByName", options: { include: { names: shown } } })
    .withTransformation({
      id: "organize",
      options: {
        indexByName: Object.fromEntries(shown.map((name, index) => [name, index])),
        renameByName: Object.fromEntries(titles.map((column) => [fieldName(panel, column.field), column.title])),
      },
    });
  for (const column of panel.columns) {
    const found = properties(column);
    if (found.length > 0) builder.overrideByName(column.hidden === true ? column.field : column.title, found);
  }
  return builder;
}
