// SPDX-License-Identifier: MIT
// What can be told of a query by looking at it.

import type { SyntaxNode } from "@lezer/common";
import { parser } from "@prometheus-io/lezer-promql";

/** Stands for $__rate_interval while a query is parsed; no one would write it. */
const RATE_INTERVAL = "4m37s";

/** Grafana's variables replaced by something that parses. */
export const parseable = (expr: string): string =>
  expr.replaceAll("$__rate_interval", RATE_INTERVAL).replaceAll("$__range", "1h").replaceAll("$__interval", "15s");

const SUMMING = new Set(["Sum", "Avg", "Count"]);
const PICKING = new Set(["Max", "Min", "Topk"]);
/** Made by Prometheus itself from the rules; they have the labels of the rule, not of a scrape. */
const MADE_BY_RULES = /^ALERTS(_FOR_STATE)?$/;

export interface Analysis {
  metrics: string[];
  /** Those that rate or increase is taken of. */
  counters: string[];
  problems: string[];
}

const operatorOf = (aggregation: SyntaxNode): string => aggregation.getChild("AggregateOp")?.firstChild?.name ?? "";

/** A sum over what each exporter says would count one thing once an exporter. */
function reducedBeforeSummed(selector: SyntaxNode): boolean {
  let reduced = false;
  let aggregated = false;
  for (let node: SyntaxNode | null = selector.parent; node !== null; node = node.parent) {
    if (node.name !== "AggregateExpr") continue;
    aggregated = true;
    if (PICKING.has(operatorOf(node))) reduced = true;
    if (SUMMING.has(operatorOf(node)) && !reduced) return false;
  }
  return aggregated;
}

function isCounted(selector: SyntaxNode, text: (node: SyntaxNode) => string): boolean {
  const call = selector.parent?.name === "MatrixSelector" ? selector.parent.parent?.parent : undefined;
  return call?.name === "FunctionCall" && /^(i?rate|increase)\(/.test(text(call));
}

export function analyse(source: string): Analysis {
  const expr = parseable(source);
  const text = (node: SyntaxNode): string => expr.slice(node.from, node.to);
  const metrics = new Set<string>();
  const counters = new Set<string>();
  const problems: string[] = [];
  parser.parse(expr).iterate({
    enter: ({ node }) => {
      if (node.type.isError) problems.push(`does not parse near "${expr.slice(Math.max(0, node.from - 20), node.to + 20)}"`);
      if (node.name === "VectorSelector") {
        const name = node.getChild("Identifier");
        const metric = name === null ? "" : text(name);
        if (metric === "") problems.push(`a selector without a metric name: ${text(node)}`);
        metrics.add(metric);
        if (isCounted(node, text)) counters.add(metric);
        if (MADE_BY_RULES.test(metric)) return;
        for (const matcher of ['job=~"$job"', 'instance=~"$instance"']) {
          if (!text(node).includes(matcher)) problems.push(`${metric} is not kept to ${matcher}`);
        }
        if (!reducedBeforeSummed(node)) problems.push(`${metric} is not reduced to one value (max by …) before it is summed or shown: two exporters would double it`);
      }
      if (node.name === "FunctionCall" && /^i?rate\(/.test(text(node)) && !text(node).includes(`[${RATE_INTERVAL}]`)) {
        problems.push(`rate over a window other than $__rate_interval: ${text(node)}`);
      }
    },
  });
  return { metrics: [...metrics], counters: [...counters], problems };
}
