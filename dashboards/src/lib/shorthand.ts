// SPDX-License-Identifier: MIT
// The two panels boards have most of, in their usual sizes.

import type { Panel, Query, Stat, TimeSeries } from "./spec.js";

/** A headline number: eight of them fill a line. */
export const tile = ({ expr, legend, ...rest }: Omit<Stat, "kind" | "w" | "h" | "query"> & Query): Panel => ({
  kind: "stat",
  w: 3,
  h: 3,
  query: legend === undefined ? { expr } : { expr, legend },
  ...rest,
});

type Size = Partial<Pick<TimeSeries, "w" | "h">>;

/** A graph: three of them fill a line, if nothing else is said. */
export const graph = (rest: Omit<TimeSeries, "kind" | "w" | "h"> & Size): Panel => ({
  kind: "timeseries",
  w: 8,
  h: 7,
  ...rest,
});

export const line = (legend: string, expr: string): Query => ({ expr, legend });
