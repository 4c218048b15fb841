// SPDX-License-Identifier: MIT
// A panel is data. This is all that a board says of one; panels.ts turns it into Grafana's JSON.

import type { State, Threshold } from "./style.js";

/** What a reader finds behind the (i): written for someone who was woken up. */
export interface About {
  /** What the numbers are. */
  shows: string;
  good: string;
  bad: string;
  /** What to do when it is bad. */
  act: string;
}

export interface Query {
  expr: string;
  /** How a series is called; `{{label}}` takes a label's value. */
  legend?: string;
  /** Why this query may rightly find nothing on a healthy system. The live check asks for data from all others. */
  mayBeEmpty?: string;
}

interface Common {
  title: string;
  about: About;
  unit: string;
  /** Width and height in grid cells; a board is 24 wide. */
  w: number;
  h: number;
  decimals?: number;
  /** Said in place of an empty panel. */
  empty?: string;
  link?: { title: string; url: string };
}

/** One number: as it is now, or over the whole time range. Always an instant query, so a number that is gone is not shown. */
export interface Stat extends Common {
  kind: "stat";
  query: Query;
  thresholds?: Threshold[];
  states?: Readonly<Record<string, State>>;
  /** The colour of what is said when there is nothing; grey if not said. */
  emptyColor?: string;
  /** Show the name of the series instead of its value. */
  showName?: boolean;
}

export interface TimeSeries extends Common {
  kind: "timeseries";
  queries: Query[];
  stacked?: boolean;
  /** For values that span magnitudes. */
  log?: boolean;
  min?: number;
  max?: number;
  /** Where the axis begins unless a value is lower; 0 if not said. Lines alone are drawn then: an area must begin at 0. */
  softMin?: number;
  /** The least the axis shows, so that a flat zero is not drawn on a scale of 100. */
  softMax?: number;
  /** Dashed lines across the graph, and the colour above them. */
  thresholds?: Threshold[];
  /** Series drawn as a dashed bound rather than as a measurement. */
  bounds?: string[];
  /** A legend with numbers at the right, for graphs of many series. */
  legendTable?: boolean;
}

export interface Heatmap extends Common {
  kind: "heatmap";
  query: Query;
}

export interface Timeline extends Common {
  kind: "timeline";
  queries: Query[];
  states: Readonly<Record<string, State>>;
}

export interface Column {
  /** A label's name, or `Value #A` for the value of the first query and so on. */
  field: string;
  title: string;
  width?: number;
  unit?: string;
  decimals?: number;
  /** Colours the text (or, with `bar`, the bar) by these. */
  thresholds?: Threshold[];
  states?: Readonly<Record<string, State>>;
  /** A bar of the given greatest value; "auto" means the column's own. */
  bar?: number | "auto";
  link?: { title: string; url: string };
  /** There for links, not for eyes. */
  hidden?: boolean;
  /** Said in a cell that has no value. */
  empty?: string;
}

export interface Table extends Common {
  kind: "table";
  queries: Query[];
  columns: Column[];
  sort: { column: string; desc: boolean };
}

export type Panel = Stat | TimeSeries | Heatmap | Timeline | Table;

export interface Row {
  title: string;
  panels: Panel[];
}

export interface Variable {
  name: string;
  label: string;
  description: string;
  /** A Prometheus variable query, or a list of values. */
  from: { query: string; regex?: string } | { values: string[] };
}

export interface Board {
  uid: string;
  title: string;
  description: string;
  refresh: string;
  from: string;
  variables: Variable[];
  /** Numbers above the first row. */
  headline: Panel[];
  rows: Row[];
}

export const queriesOf = (panel: Panel): Query[] => ("queries" in panel ? panel.queries : [panel.query]);
