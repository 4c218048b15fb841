// SPDX-License-Identifier: MIT
// What the runs' events say of all steps together, by node type.
//
// A few series however many nodes there are; workflow_steps.cc has them by
// node, up to a limit.
#include "collectors/all.h"

namespace meshhook::collectors {

using prometheus::MetricType;

namespace {

constexpr auto kSteps = "meshhook_step_attempts_total";
constexpr auto kStepsHelp =
    "Attempts at a step, retries included, by how they ended.";
constexpr auto kFailures = "meshhook_step_failures_total";
constexpr auto kFailuresHelp =
    "Failed attempts at a step, by the kind of their error.";
constexpr auto kAnswers = "meshhook_step_http_responses_total";
constexpr auto kAnswersHelp =
    "HTTP answers that steps got, by the class of their status.";

Metric StepCounter(const char* name, const char* help, const char* column,
                   const char* label, const char* value) {
  return {.name = name,
          .type = MetricType::Counter,
          .help = help,
          .column = column,
          .labels = {{label, value}}};
}

}  // namespace

Collector Steps() {
  return {
      .name = "steps",
      .summary = "attempts, failures, HTTP answers and durations of all steps",
      .query = R"(
        SELECT t.*, duration_sum_ms / 1000 AS duration_sum, bounds
        FROM metrics.step_totals AS t,
             (SELECT array_agg(ms / 1000.0 ORDER BY ms) AS bounds
              FROM unnest(metrics.duration_bounds_ms()) AS ms) AS histogram)",
      .labels = {"node_type"},
      .metrics = {StepCounter(kSteps, kStepsHelp, "success_count", "status",
                              "succeeded"),
                  StepCounter(kSteps, kStepsHelp, "failure_count", "status",
                              "failed"),
                  StepCounter(kFailures, kFailuresHelp, "failures_http_4xx",
                              "error_class", "http_4xx"),
                  StepCounter(kFailures, kFailuresHelp, "failures_http_5xx",
                              "error_class", "http_5xx"),
                  StepCounter(kFailures, kFailuresHelp, "failures_timeout",
                              "error_class", "timeout"),
                  StepCounter(kFailures, kFailuresHelp, "failures_connection",
                              "error_class", "connection"),
                  StepCounter(kFailures, kFailuresHelp, "failures_transform",
                              "error_class", "transform"),
                  StepCounter(kFailures, kFailuresHelp, "failures_other",
                              "error_class", "other"),
                  StepCounter(kAnswers, kAnswersHelp, "http_1xx",
                              "status_class", "1xx"),
                  StepCounter(kAnswers, kAnswersHelp, "http_2xx",
                              "status_class", "2xx"),
                  StepCounter(kAnswers, kAnswersHelp, "http_3xx",
                              "status_class", "3xx"),
                  StepCounter(kAnswers, kAnswersHelp, "http_4xx",
                              "status_class", "4xx"),
                  StepCounter(kAnswers, kAnswersHelp, "http_5xx",
                              "status_class", "5xx"),
                  StepCounter(kAnswers, kAnswersHelp, "http_other",
                              "status_class", "other"),
                  {.name = "meshhook_step_duration_seconds",
                   .type = MetricType::Histogram,
                   .help = "Time from a step's start to its success, retries "
                           "included.",
                   .column = "duration_buckets",
                   .bounds_column = "bounds",
                   .sum_column = "duration_sum"},
                  {.name = "meshhook_step_event_payload_bytes_total",
                   .type = MetricType::Counter,
                   .help =
                       "Size of the payloads of the steps' events, as stored.",
                   .column = "event_bytes"}},
  };
}

}  // namespace meshhook::collectors
