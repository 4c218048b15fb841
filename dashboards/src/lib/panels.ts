// SPDX-License-Identifier: MIT
// Turns a panel of spec.ts into a Grafana panel.

import * as common from "@grafana/grafana-foundation-sdk/common";
import * as dashboard from "@grafana/grafana-foundation-sdk/dashboard";
import * as heatmap from "@grafana/grafana-foundation-sdk/heatmap";
import * as prometheus from "@grafana/grafana-foundation-sdk/prometheus";
import * as stat from "@grafana/grafana-foundation-sdk/stat";
import * as statetimeline from "@grafana/grafana-foundation-sdk/statetimeline";
import * as timeseries from "@grafana/grafana-foundation-sdk/timeseries";
import { DATASOURCE, absent, mappings, target, thresholds } from "./parts.js";
import type { Heatmap, Panel, Stat, Timeline, TimeSeries } from "./spec.js";
import { LOCK_MODES, SERIES_COLORS, neutral } from "./style.js";
import { tablePanel } from "./table.js";

export const NO_DATA = "No data in this range";

export type Builder =
  | heatmap.PanelBuilder
  | stat.PanelBuilder
  | statetimeline.PanelBuilder
  | timeseries.PanelBuilder
  | ReturnType<typeof tablePanel>;

export function description({ about }: Panel): string {
  return `${about.shows}\n\n**Good:** ${about.good}\n\n**Bad:** ${about.bad}\n\n**Do:** ${about.act}`;
}

/** One size for all, or a short value would shout down a long one. */
const VALUE_SIZE = 34;
const NOTHING = "No data";

function statPanel(panel: Stat): stat.PanelBuilder {
  const builder = new stat.PanelBuilder()
    .withTarget(target(panel.query, 0, prometheus.PromQueryFormat.TimeSeries, true))
    .reduceOptions(new common.ReduceDataOptionsBuilder().calcs(["lastNotNull"]).fields("").values(false))
    .thresholds(thresholds(panel.thresholds ?? neutral))
    .colorMode(common.BigValueColorMode.Value)
    .graphMode(common.BigValueGraphMode.None)
    .justifyMode(common.BigValueJustifyMode.Center)
    .textMode(panel.showName === true ? common.BigValueTextMode.Name : common.BigValueTextMode.Value)
    .orientation(common.VizOrientation.Auto)
    .text(new common.VizTextDisplayOptionsBuilder().valueSize(VALUE_SIZE))
    .wideLayout(true);
  return builder.mappings([absent(panel.empty ?? NOTHING, panel.emptyColor), ...mappings(panel.states ?? {})]);
}

function legendOf(panel: TimeSeries): common.VizLegendOptionsBuilder {
  const legend = new common.VizLegendOptionsBuilder().showLegend(true);
  return panel.legendTable === true
    ? legend
        .displayMode(common.LegendDisplayMode.Table)
        .placement(common.LegendPlacement.Right)
        .calcs(["lastNotNull", "max"])
        .sortBy("Last *")
        .sortDesc(true)
    : legend.displayMode(common.LegendDisplayMode.List).placement(common.LegendPlacement.Bottom);
}

function timeSeriesPanel(panel: TimeSeries): timeseries.PanelBuilder {
  const stacked = panel.stacked === true;
  const builder = new timeseries.PanelBuilder()
    .targets(panel.queries.map((query, index) => target(query, index)))
    .colorScheme(new dashboard.FieldColorBuilder().mode(dashboard.FieldColorModeId.PaletteClassic))
    .thresholds(thresholds(panel.thresholds ?? neutral))
    .drawStyle(common.GraphDrawStyle.Line)
    .lineInterpolation(common.LineInterpolation.Linear)
    .lineWidth(stacked ? 1 : 2)
    .fillOpacity(stacked ? 40 : panel.softMin === undefined ? 8 : 0)
    .gradientMode(stacked ? common.GraphGradientMode.None : common.GraphGradientMode.Opacity)
    .showPoints(common.VisibilityMode.Never)
    .spanNulls(false)
    .legend(legendOf(panel))
    .tooltip(
      new common.VizTooltipOptionsBuilder().mode(common.TooltipDisplayMode.Multi).sort(common.SortOrder.Descending),
    );
  if (panel.log === true) {
    builder.scaleDistribution(new common.ScaleDistributionConfigBuilder().type(common.ScaleDistribution.Log).log(10));
  } else {
    builder.axisSoftMin(panel.softMin ?? 0);
  }
  if (stacked) builder.stacking(new common.StackingConfigBuilder().mode(common.StackingMode.Normal).group("A"));
  if (panel.min !== undefined) builder.min(panel.min);
  if (panel.max !== undefined) builder.max(panel.max);
  const softMax = panel.softMax ?? (panel.unit === "short" && panel.log !== true ? 1 : undefined);
  if (softMax !== undefined) builder.axisSoftMax(softMax);
  if (panel.thresholds !== undefined) {
    builder.thresholdsStyle(
      new common.GraphThresholdsStyleConfigBuilder().mode(common.GraphThresholdsStyleMode.Dashed),
    );
  }
  for (const name of panel.queries.flatMap((query) => namesOf(query.legend ?? ""))) {
    const fixedColor = SERIES_COLORS[name];
    if (fixedColor === undefined) continue;
    const bound = panel.bounds?.includes(name) === true ? BOUND : [];
    builder.overrideByName(name, [{ id: "color", value: { mode: "fixed", fixedColor } }, ...bound]);
  }
  return builder;
}

const BOUND = [
  { id: "custom.lineStyle", value: { fill: "dash", dash: [10, 10] } },
  { id: "custom.fillOpacity", value: 0 },
  { id: "custom.lineWidth", value: 1 },
];

/** What a label of fixed meaning can hold. */
const LABEL_VALUES: Readonly<Record<string, readonly string[]>> = {
  "{{status}}": ["succeeded", "failed", "canceled"],
  "{{mode}}": LOCK_MODES,
  "{{task}}": ["fold", "mv_workflow_metrics", "maintenance"],
  "{{state}}": ["active", "idle", "idle in transaction", "idle in transaction (aborted)"],
};
const namesOf = (legend: string): readonly string[] => LABEL_VALUES[legend] ?? [legend];

function heatmapPanel(panel: Heatmap): heatmap.PanelBuilder {
  return new heatmap.PanelBuilder()
    .withTarget(target(panel.query, 0, prometheus.PromQueryFormat.Heatmap))
    .calculate(false)
    .color(
      new heatmap.HeatmapColorOptionsBuilder()
        .mode(heatmap.HeatmapColorMode.Scheme)
        .scheme("Blues")
        .scale(heatmap.HeatmapColorScale.Exponential)
        .exponent(0.5)
        .fill("dark-blue")
        .steps(64)
        .reverse(false),
    )
    .filterValues(new heatmap.FilterValueRangeBuilder().le(1e-9))
    .rowsFrame(new heatmap.RowsHeatmapOptionsBuilder().layout(common.HeatmapCellLayout.Auto))
    .yAxis(new heatmap.YAxisConfigBuilder().unit("s").axisPlacement(common.AxisPlacement.Left))
    .cellGap(0)
    .maxDataPoints(120)
    .cellValues(new heatmap.CellValuesBuilder().unit(panel.unit))
    .showValue(common.VisibilityMode.Never)
    .tooltip(new heatmap.HeatmapTooltipBuilder().mode(common.TooltipDisplayMode.Single).yHistogram(true).showColorScale(true))
    .showLegend();
}

function timelinePanel(panel: Timeline): statetimeline.PanelBuilder {
  return new statetimeline.PanelBuilder()
    .targets(panel.queries.map((query, index) => target(query, index)))
    .mappings(mappings(panel.states))
    .thresholds(thresholds(neutral))
    .colorScheme(new dashboard.FieldColorBuilder().mode(dashboard.FieldColorModeId.Thresholds))
    .fillOpacity(75)
    .lineWidth(0)
    .rowHeight(0.8)
    .mergeValues(true)
    .showValue(common.VisibilityMode.Never)
    .spanNulls(false)
    .legend(
      new common.VizLegendOptionsBuilder()
        .showLegend(true)
        .displayMode(common.LegendDisplayMode.List)
        .placement(common.LegendPlacement.Bottom),
    )
    .tooltip(new common.VizTooltipOptionsBuilder().mode(common.TooltipDisplayMode.Single));
}

function visual(panel: Panel): Builder {
  switch (panel.kind) {
    case "stat":
      return statPanel(panel);
    case "timeseries":
      return timeSeriesPanel(panel);
    case "heatmap":
      return heatmapPanel(panel);
    case "timeline":
      return timelinePanel(panel);
    case "table":
      return tablePanel(panel);
  }
}

export function build(panel: Panel, id: number, x: number, y: number): Builder {
  const builder = visual(panel)
    .id(id)
    .title(panel.title)
    .description(description(panel))
    .datasource(DATASOURCE)
    .unit(panel.unit)
    .noValue(panel.empty ?? (panel.kind === "stat" ? NOTHING : NO_DATA))
    .gridPos({ x, y, w: panel.w, h: panel.h });
  if (panel.decimals !== undefined) builder.decimals(panel.decimals);
  if (panel.link !== undefined) {
    builder.dataLinks([new dashboard.DashboardLinkBuilder(panel.link.title).url(panel.link.url)]);
  }
  return builder;
}
