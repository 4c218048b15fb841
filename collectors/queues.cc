// SPDX-License-Identifier: MIT
// pgmq's queues: what waits, for how long, and how much there was. Of the
// messages themselves nothing is read but when they came and when they are due.
#include "collectors/all.h"
#include "collectors/metric.h"

namespace meshhook::collectors {

Collector Queues() {
  constexpr auto kMessages = "meshhook_queue_messages";
  constexpr auto kMessagesHelp =
      "Messages in the queue: visible to workers, in flight, or delayed and "
      "never read; the sum is its depth.";
  const auto messages = [&](const std::string& state) {
    Metric metric = Gauge(kMessages, kMessagesHelp, state + "_count");
    metric.labels = {{"state", state}};
    return metric;
  };
  return {
      .name = "queues",
      .summary = "the 100 pgmq queues with the most messages",
      .query = "SELECT * FROM metrics.queues()",
      .labels = {"queue_name"},
      .metrics = {messages("visible"), messages("in_flight"),
                  messages("delayed"),
                  Gauge("meshhook_queue_is_lower_bound",
                        "Whether there are more messages than were counted.",
                        "is_lower_bound"),
                  Gauge("meshhook_queue_oldest_message_age_seconds",
                        "Age of the oldest message in the queue.",
                        "oldest_age_seconds"),
                  Gauge("meshhook_queue_longest_visible_seconds",
                        "How long the message has been visible that has been "
                        "so for longest.",
                        "longest_visible_seconds"),
                  Counter("meshhook_queue_sent_messages_total",
                          "Messages ever sent, with those of transactions "
                          "that rolled back.",
                          "sent_count"),
                  Gauge("meshhook_queue_archived_rows",
                        "Messages in the queue's archive, estimated.",
                        "archived_rows")},
      .needs = {"EXISTS (SELECT FROM pg_class WHERE relname = 'meta' "
                "AND relnamespace = to_regnamespace('pgmq'))",
                "pgmq is not installed"},
  };
}

}  // namespace meshhook::collectors
