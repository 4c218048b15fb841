-- Steps: what the runs' events say of each node of a workflow.
--
--   execution_time_statistics --take_facts('steps')--+
--   workflow_events ----------------------------------+--> step_metrics
--                                                          step_metrics_hourly
--                                                          step_failures
--
-- A run's events are read once it has finished and five seconds have passed,
-- as its last ones may be committed a little after it. Of their payloads the
-- node, the HTTP status and the shape of the error are read; of `run_created`,
-- which holds what a tenant's customers sent, nothing at all.

-- A finished run that was taken up again (replayed or resumed, 0017). Events up
-- to `last_event_id` belong to the finish before, later ones to the next. The
-- id is from the sequence of the facts: the finish before has a fact with a
-- lower one (or 0, from backfill()), the next a fact with a higher one.
CREATE TABLE metrics.run_reopenings (
    id                bigint      PRIMARY KEY,
    run_id            uuid        NOT NULL,
    last_event_id     bigint      NOT NULL,
    project_id        uuid        NOT NULL,  -- the rest tells of the finish
    workflow_id       uuid        NOT NULL,  -- before, as its fact does
    status            text        NOT NULL,
    execution_time_ms bigint      NOT NULL,
    finished_at       timestamptz NOT NULL
);
CREATE INDEX run_reopenings_run_id ON metrics.run_reopenings (run_id);

-- Runs that finished twice before reopenings were noted.
INSERT INTO metrics.run_reopenings
SELECT f.id, f.run_id,
       (SELECT coalesce(max(e.id + 0), 0) FROM public.workflow_events AS e
        WHERE e.run_id = f.run_id
          AND e.ts <= f.created_at + interval '5 seconds'),
       f.project_id, f.workflow_id, f.status, f.execution_time_ms, f.created_at
FROM metrics.execution_time_statistics AS f
WHERE run_id IN (SELECT run_id FROM metrics.execution_time_statistics
                 GROUP BY run_id HAVING count(*) > 1)
  AND EXISTS (SELECT FROM metrics.execution_time_statistics AS later
              WHERE later.run_id = f.run_id AND later.id > f.id);

-- Lifetime totals, a row a node. An attempt succeeds or fails, so attempts are
-- success_count + failure_count. A duration is that of a step from its start
-- to its success, retries included.
CREATE TABLE metrics.step_metrics (
    workflow_id         uuid        NOT NULL,
    node_id             text        NOT NULL,
    project_id          uuid        NOT NULL,
    node_type           text        NOT NULL,
    success_count       bigint      NOT NULL,
    failure_count       bigint      NOT NULL,  -- and by error_class():
    failures_http_4xx   bigint      NOT NULL,
    failures_http_5xx   bigint      NOT NULL,
    failures_timeout    bigint      NOT NULL,
    failures_connection bigint      NOT NULL,
    failures_transform  bigint      NOT NULL,
    failures_other      bigint      NOT NULL,
    http_1xx            bigint      NOT NULL,  -- answers, by status
    http_2xx            bigint      NOT NULL,
    http_3xx            bigint      NOT NULL,
    http_4xx            bigint      NOT NULL,
    http_5xx            bigint      NOT NULL,
    http_other          bigint      NOT NULL,
    duration_sum_ms     numeric     NOT NULL,
    duration_buckets    bigint[]    NOT NULL,  -- by duration_bounds_ms()
    event_count         bigint      NOT NULL,
    event_bytes         numeric     NOT NULL,  -- of payloads, as stored
    last_updated        timestamptz NOT NULL,
    PRIMARY KEY (workflow_id, node_id)
) WITH (fillfactor = 50);

CREATE TABLE metrics.step_metrics_hourly (
    workflow_id     uuid           NOT NULL,
    node_id         text           NOT NULL,
    bucket_start    timestamptz    NOT NULL,  -- the hour in which runs finished
    project_id      uuid           NOT NULL,
    node_type       text           NOT NULL,
    success_count   bigint         NOT NULL,
    failure_count   bigint         NOT NULL,
    duration_sum_ms numeric        NOT NULL,
    duration_min_ms bigint,
    duration_max_ms bigint,
    durations       metrics.sketch NOT NULL,
    PRIMARY KEY (workflow_id, node_id, bucket_start)
) WITH (fillfactor = 70);
CREATE INDEX step_metrics_hourly_start
    ON metrics.step_metrics_hourly (bucket_start);

-- Failed attempts of the runs that finished in a slot of five minutes.
CREATE TABLE metrics.step_failures (
    workflow_id uuid        NOT NULL,
    node_id     text        NOT NULL,
    error_class text        NOT NULL,
    slot        timestamptz NOT NULL,
    project_id  uuid        NOT NULL,
    failures    bigint      NOT NULL,
    PRIMARY KEY (workflow_id, node_id, error_class, slot)
);
CREATE INDEX step_failures_slot ON metrics.step_failures (slot);

-- How far the events of a run that did not succeed were counted. It may be
-- resumed and go straight to its next finish, and then nothing else tells which
-- of its events were there when the finish before was looked at.
CREATE TABLE metrics.counted_events (
    run_id        uuid        NOT NULL,
    fact_id       bigint      NOT NULL,
    last_event_id bigint      NOT NULL,
    finished_at   timestamptz NOT NULL,
    PRIMARY KEY (run_id, fact_id)
);
CREATE INDEX counted_events_finished_at
    ON metrics.counted_events (finished_at);
