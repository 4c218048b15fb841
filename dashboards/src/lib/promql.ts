// SPDX-License-Identifier: MIT
// PromQL fragments. Every board asks the same way, so that two exporters that watch one database never double a number:
// the series of one thing are first reduced to one value (`once`), and only then summed (`total`).

/** Keeps a query to the exporters chosen at the top of the board. */
const EXPORTERS = 'job=~"$job", instance=~"$instance"';

/** A selector of an exported metric. */
export function series(name: string, matchers = ""): string {
  return `${name}{${[EXPORTERS, matchers].filter(Boolean).join(", ")}}`;
}

/** Per-second rate over the window Grafana thinks right for this zoom and scrape interval. */
export const rate = (name: string, matchers = ""): string => `rate(${series(name, matchers)}[$__rate_interval])`;

/** Rise over the whole time range on show. */
export const risen = (name: string, matchers = ""): string => `increase(${series(name, matchers)}[$__range])`;

/** One value for each combination of the labels, however many exporters publish it. */
export const once = (labels: readonly string[], expr: string): string =>
  labels.length === 0 ? `max(${expr})` : `max by (${labels.join(", ")}) (${expr})`;

/** The sum over things told apart by `identity`, grouped by `by`. */
export const total = (by: readonly string[], identity: readonly string[], expr: string): string =>
  `sum${by.length === 0 ? "" : ` by (${by.join(", ")})`} (${once(identity, expr)})`;

/** 0 while the collector that would publish the thing works, and nothing at all while it does not: absence is not zero. */
export const orZeroWhenCollected = (expr: string, collector: string): string =>
  `${expr} or max(${series("pg_scrape_collector_success", `collector="${collector}"`)} == 1) - 1`;

/** Seconds since the given Unix time was last seen. It goes on growing after the exporter is gone. */
export const age = (labels: readonly string[], name: string, matchers = ""): string =>
  `time() - ${once(labels, `max_over_time(${series(name, matchers)}[1h])`)}`;

/** Keeps only the series of targets that are exporters of ours: `up` and `process_*` exist for every job. */
export const ofExporters = (expr: string): string =>
  `${expr} and on (job, instance) last_over_time(${series("pg_up")}[1h])`;

/** A quotient without a sample (a gap, not NaN) where there is nothing to divide by. */
export const ratio = (part: string, whole: string): string => `${part} / (${whole} > 0)`;

// ---- workflows -------------------------------------------------------------------------------------------------

export const WORKFLOW = ["project_id", "workflow_id"] as const;
/** The workflows chosen at the top of the board. */
export const CHOSEN = 'project_id=~"$project_id", workflow_id=~"$workflow_id"';

/** Runs that ended with a result: what a failure ratio is a share of. Canceled runs are on neither side of it. */
export const FINISHED = 'status=~"succeeded|failed"';

const NAMES = "project, workflow, version";
/** Where the exporter keeps names to itself (the workflow_info collector is off, or gone), the ids stand in for them. */
const idsAsNames = (expr: string): string =>
  `label_replace(label_replace(${expr}, "workflow", "$1", "workflow_id", "(.+)"), "project", "$1", "project_id", "(.+)")`;
/** One series of value 1 for each workflow whose names are told; just one, also while a new name replaces an old one. */
const told = (matchers: string): string =>
  `topk by (project_id, workflow_id) (1, ${series("meshhook_workflow_info", matchers)})`;

/** Adds project, workflow and version to series that have the ids, and leaves others as they are. */
export const withNames = (expr: string, matchers = CHOSEN): string =>
  `(${expr}) * on (project_id, workflow_id) group_left (${NAMES}) ${told(matchers)} or on (project_id, workflow_id) ${idsAsNames(`(${expr})`)}`;

/** One series of value 1 for each workflow there is, with its names. */
export function workflowNames(matchers = ""): string {
  const known = series("meshhook_workflow_runs_total", [`status="succeeded"`, matchers].filter(Boolean).join(", "));
  return `(${told(matchers)} or on (project_id, workflow_id) ${idsAsNames(`${once(WORKFLOW, known)} * 0 + 1`)})`;
}
