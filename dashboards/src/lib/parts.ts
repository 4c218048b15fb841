// SPDX-License-Identifier: MIT
// What all kinds of panels are made of.

import * as dashboard from "@grafana/grafana-foundation-sdk/dashboard";
import type { DataSourceRef } from "@grafana/grafana-foundation-sdk/common";
import * as prometheus from "@grafana/grafana-foundation-sdk/prometheus";
import type { Query } from "./spec.js";
import { COLOR, type State, type Threshold } from "./style.js";

/** The variable at the top of the board, never a name that only an import page would fill in. */
export const DATASOURCE: DataSourceRef = { type: "prometheus", uid: "${datasource}" };

export const refId = (index: number): string => String.fromCharCode("A".charCodeAt(0) + index);

export function target(query: Query, index: number, format = prometheus.PromQueryFormat.TimeSeries, instant = false) {
  const builder = new prometheus.DataqueryBuilder()
    .refId(refId(index))
    .datasource(DATASOURCE)
    .editorMode(prometheus.QueryEditorMode.Code)
    .expr(query.expr)
    .format(format)
    .legendFormat(query.legend ?? "__auto");
  return instant ? builder.instant() : builder.range();
}

export function thresholds(steps: readonly Threshold[]): dashboard.ThresholdsConfigBuilder {
  return new dashboard.ThresholdsConfigBuilder()
    .mode(dashboard.ThresholdsMode.Absolute)
    .steps(steps.map(({ from, color }) => ({ value: Number.isFinite(from) ? from : null, color })));
}

export function mappings(states: Readonly<Record<string, State>>): dashboard.ValueMapping[] {
  const options = Object.entries(states).map(([value, state], index) => [value, { ...state, index }]);
  return options.length === 0 ? [] : [{ type: dashboard.MappingType.ValueToText, options: Object.fromEntries(options) }];
}

/** Without this an absent value would wear the lowest threshold's colour, which is red where low is bad. */
export const absent = (text: string, color: string = COLOR.muted): dashboard.ValueMapping => ({
  type: dashboard.MappingType.SpecialValue,
  options: { match: dashboard.SpecialValueMatch.Null, result: { text, color, index: 0 } },
});
