// SPDX-License-Identifier: MIT
#include "tests/load/control.h"

#include <string>
#include <utility>

namespace load {
namespace {

constexpr auto kBehaviour =
    "SELECT b.workflow_id, d.project_id, b.slug, b.weight, b.median_ms, "
    "b.sigma, b.failure_ratio "
    "FROM demo.workflow_behaviour AS b "
    "JOIN public.workflow_definitions AS d ON d.id = b.workflow_id "
    "ORDER BY b.weight DESC, b.slug, b.workflow_id";

constexpr auto kCancelAbandoned =
    "WITH abandoned AS ("
    "  UPDATE public.workflow_runs SET status = 'canceled', finished_at = now()"
    "  WHERE status IN ('running', 'paused') AND workflow_id IN"
    "    (SELECT workflow_id FROM demo.workflow_behaviour)"
    "  RETURNING id) "
    "INSERT INTO public.workflow_events (run_id, type, payload) "
    "SELECT id, 'run_completed', '{\"reason\": \"its worker is gone\"}' "
    "FROM abandoned";

// Of this process's locks: exclusive to tidy up, shared while at work.
constexpr auto kTryAlone =
    "SELECT pg_try_advisory_lock(hashtext('meshhook-load'))";
constexpr auto kNotAlone =
    "SELECT pg_advisory_unlock(hashtext('meshhook-load'))";
constexpr auto kAtWork =
    "SELECT pg_advisory_lock_shared(hashtext('meshhook-load'))";

}  // namespace

Control::Control(const Options& options) : options_(options) {
  connection_.emplace(options_.database_url);
  connection_->Query("SELECT demo.seed($1, $2)",
                     {std::to_string(options_.projects),
                      std::to_string(options_.seed_workflows)});
  if (connection_->Query(kTryAlone)[0][0] == "t") {
    connection_->Query(kCancelAbandoned);
    connection_->Query(kNotAlone);
  }
  connection_->Query(kAtWork);
  has_queue_ =
      connection_->Query(
          "SELECT to_regprocedure('pgmq.send_batch(text,jsonb[],integer)') "
          "IS NOT NULL")[0][0] == "t";
}

BehaviourPtr Control::Read() try {
  if (!connection_) {
    Connection connection(options_.database_url);
    connection.Query(kAtWork);
    connection_ = std::move(connection);
  }
  std::vector<Workflow> workflows;
  for (auto& row : connection_->Query(kBehaviour)) {
    workflows.push_back({.id = std::move(row[0]),
                         .project_id = std::move(row[1]),
                         .slug = std::move(row[2]),
                         .weight = std::stod(row[3]),
                         .median_seconds = std::stod(row[4]) / 1000,
                         .sigma = std::stod(row[5]),
                         .failure_ratio = std::stod(row[6])});
  }
  return std::make_shared<const Behaviour>(std::move(workflows));
} catch (const ConnectionLost&) {
  connection_.reset();
  return nullptr;
} catch (const SqlError&) {
  return nullptr;
}

}  // namespace load
