// SPDX-License-Identifier: MIT
#include "tests/load/flight.h"

#include <utility>

namespace load {
namespace {

using Statement = std::pair<const char*, const char*>;

constexpr Statement kStart{
    "start",
    "INSERT INTO public.workflow_runs (id, project_id, workflow_id, status) "
    "SELECT id, project_id, workflow_id, 'running' "
    "FROM unnest($1::uuid[], $2::uuid[], $3::uuid[]) "
    "AS started (id, project_id, workflow_id)"};
constexpr Statement kEvents{
    "events",
    "INSERT INTO public.workflow_events (run_id, type, payload) "
    "SELECT * FROM unnest($1::uuid[], $2::text[], $3::jsonb[])"};
constexpr Statement kFinish{
    "finish",
    "UPDATE public.workflow_runs SET status = $2, finished_at = now() "
    "WHERE id = $1 AND status = 'running'"};
constexpr Statement kChange{"change",
                            "UPDATE public.workflow_runs SET status = $2 "
                            "WHERE id = $1 AND status = $3"};
constexpr Statement kEnqueue{
    "enqueue", "SELECT pgmq.send_batch('workflow_jobs', $1::jsonb[])"};
constexpr Statement kDequeue{
    "dequeue",
    "SELECT pgmq.archive('workflow_jobs', ARRAY("
    "SELECT msg_id FROM pgmq.read('workflow_jobs', 30, $1)))"};

void SendEvents(Connection& connection, const std::vector<Action>& actions) {
  std::vector<std::string> runs;
  std::vector<std::string> types;
  std::vector<std::string> payloads;
  for (const Action& action : actions) {
    for (std::size_t i = action.run->next; i < action.end; ++i) {
      for (const Event& event : action.run->plan[i].events) {
        runs.push_back(action.run->id);
        types.push_back(event.type);
        payloads.push_back(event.payload);
      }
    }
  }
  if (runs.empty()) return;
  connection.Send(kEvents.first, {ArrayLiteral(runs), ArrayLiteral(types),
                                  ArrayLiteral(payloads)});
}

void SendChange(Connection& connection, const Action& action) {
  const std::string& id = action.run->id;
  switch (action.change()) {
    case Change::kNone:
      return;
    case Change::kPause:
      return connection.Send(kChange.first, {id, "paused", "running"});
    case Change::kResume:
      return connection.Send(kChange.first, {id, "running", "paused"});
    case Change::kSucceed:
      return connection.Send(kFinish.first, {id, "succeeded"});
    case Change::kFail:
      return connection.Send(kFinish.first, {id, "failed"});
    case Change::kCancel:
      return connection.Send(kFinish.first, {id, "canceled"});
  }
}

void SendStarts(Connection& connection, const std::vector<Action>& starts) {
  std::vector<std::string> runs;
  std::vector<std::string> projects;
  std::vector<std::string> workflows;
  for (const Action& start : starts) {
    runs.push_back(start.run->id);
    projects.push_back(start.run->project_id);
    workflows.push_back(start.run->workflow_id);
  }
  connection.Send(kStart.first, {ArrayLiteral(runs), ArrayLiteral(projects),
                                 ArrayLiteral(workflows)});
}

void SendMessages(Connection& connection, const std::vector<Action>& starts) {
  std::vector<std::string> messages;
  for (const Action& start : starts) {
    messages.push_back(R"({"run_id": ")" + start.run->id + R"("})");
  }
  connection.Send(kEnqueue.first, {ArrayLiteral(messages)});
}

}  // namespace

void Flight::Prepare(Connection& connection) const {
  for (const auto& [name, sql] : {kStart, kEvents, kFinish, kChange}) {
    connection.Prepare(name, sql);
  }
  if (!queue_) return;
  for (const auto& [name, sql] : {kEnqueue, kDequeue}) {
    connection.Prepare(name, sql);
  }
}

void Flight::Add(Action action) {
  ++size_;
  if (action.run->alone || action.change() != Change::kNone) {
    singles_.emplace_back().push_back(std::move(action));
  } else {
    (action.Starts() ? starts_ : steps_).push_back(std::move(action));
  }
}

void Flight::Send(Connection& connection,
                  const Transaction& transaction) const {
  const bool starts = transaction.front().Starts();
  if (starts) SendStarts(connection, transaction);
  SendEvents(connection, transaction);
  if (starts && queue_) SendMessages(connection, transaction);
  // A transaction of several has no changes of status.
  SendChange(connection, transaction.front());
  connection.Commit();
}

void Flight::Fly(Connection& connection, const Settle& settle) {
  const bool dequeues = queue_ && !starts_.empty();
  if (!starts_.empty()) Send(connection, starts_);
  if (!steps_.empty()) Send(connection, steps_);
  for (const Transaction& single : singles_) Send(connection, single);
  if (dequeues) {
    // Some more than were sent: other workers' locks may have hidden a few.
    connection.Send(kDequeue.first, {std::to_string(starts_.size() + 16)});
    connection.Commit();
  }
  const auto receive = [&](Transaction& transaction) {
    const Outcome outcome = connection.Receive();
    settle(std::exchange(transaction, {}), outcome);
  };
  if (!starts_.empty()) receive(starts_);
  if (!steps_.empty()) receive(steps_);
  for (Transaction& single : singles_) receive(single);
  if (dequeues) settle({}, connection.Receive());
}

std::vector<Action> Flight::TakeUnsettled() {
  std::vector<Action> actions;
  const auto take = [&](Transaction& transaction) {
    for (Action& action : std::exchange(transaction, {})) {
      actions.push_back(std::move(action));
    }
  };
  take(starts_);
  take(steps_);
  for (Transaction& single : singles_) take(single);
  return actions;
}

}  // namespace load
