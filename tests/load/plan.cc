// SPDX-License-Identifier: MIT
#include "tests/load/plan.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <functional>
#include <string_view>
#include <utility>

namespace load {
namespace {

constexpr double kCanceled = 0.002;
constexpr double kPaused = 0.003;
constexpr double kRetried = 0.03;      // of the HTTP calls that succeed
constexpr double kClientErrors = 0.3;  // of the runs that fail
constexpr int kMostAttempts = 5;

struct Node {
  std::string_view id;
  std::string_view type;
  double share;  // of the run's time, against the other nodes
};

const std::vector<Node>& ShapeOf(const Workflow& workflow) {
  static const std::array<std::vector<Node>, 4> kShapes{{
      {{"mapPayload", "transform", 0.02},
       {"callApi", "http_call", 1},
       {"done", "terminate", 0.01}},
      {{"validate", "transform", 0.02},
       {"isNew", "branch", 0.01},
       {"createContact", "http_call", 1},
       {"notifyOwner", "http_call", 0.4}},
      {{"mapLead", "transform", 0.03},
       {"fetchProfile", "http_call", 0.6},
       {"coolDown", "delay", 0.5},
       {"enrichContact", "http_call", 1}},
      {{"verifySignature", "transform", 0.02},
       {"chargeCard", "http_call", 1},
       {"sendReceipt", "http_call", 0.3},
       {"done", "terminate", 0.01}},
  }};
  return kShapes[std::hash<std::string>()(workflow.slug) % kShapes.size()];
}

// How an HTTP call goes: the status of each attempt, 0 for a timeout.
std::vector<int> Attempts(bool fails, Random& random) {
  static constexpr std::array kRefusals{400, 401, 404, 422};
  static constexpr std::array kTroubles{500, 502, 503, 504, 0};
  const auto trouble = [&] { return kTroubles[random.Below(5)]; };
  if (fails && random.Chance(kClientErrors)) {
    return {kRefusals[random.Below(kRefusals.size())]};
  }
  std::vector<int> statuses;
  while (statuses.size() < kMostAttempts - 1 &&
         (fails || random.Chance(kRetried))) {
    statuses.push_back(trouble());
  }
  statuses.push_back(fails ? trouble() : 200);
  return statuses;
}

std::string Quoted(std::string_view text) {
  return '"' + std::string(text) + '"';
}

std::string NodeJson(const Node& node) {
  return R"({"node": {"id": )" + Quoted(node.id) + R"(, "type": )" +
         Quoted(node.type) + "}";
}

std::string ErrorOf(int status) {
  return status == 0 ? "Error: timeout"
                     : "Error: HTTP " + std::to_string(status);
}

std::string Webhook(const Workflow& workflow, Random& random) {
  const auto number = std::to_string(random.Below(1'000'000));
  return R"({"headers": {"content-type": "application/json", )"
         R"("user-agent": "webhook/1.0", "x-request-id": "req-)" +
         number + R"("}, "body": {"event": )" + Quoted(workflow.slug) +
         R"(, "id": )" + number + R"(, "email": "customer)" + number +
         R"(@example.test", "items": [1, 2, 3]}})";
}

// Collects stages; time is in shares until Finish.
class Builder {
 public:
  void Wait(double share) {
    now_ += share;
    open_ = false;
  }

  void Add(std::string type, std::string payload) {
    if (!open_) stages_.push_back({now_, {}, Change::kNone});
    open_ = true;
    stages_.back().events.push_back({std::move(type), std::move(payload)});
  }

  std::vector<Stage> Finish(Change change, double seconds) {
    stages_.back().change = change;
    for (Stage& stage : stages_) stage.at *= seconds / now_;
    return std::move(stages_);
  }

  // True where the step succeeded.
  bool Step(const Node& node, const Node* next, bool fails, Random& random);

 private:
  std::vector<Stage> stages_;
  double now_ = 0;
  bool open_ = false;
};

bool Builder::Step(const Node& node, const Node* next, bool fails,
                   Random& random) {
  const std::string json = NodeJson(node);
  Add("step_started", json + "}");
  const bool http = node.type == "http_call";
  const std::vector<int> attempts =
      http ? Attempts(fails, random) : std::vector<int>{200};
  for (std::size_t i = 0; i < attempts.size(); ++i) {
    const int status = attempts[i];
    Wait(node.share * random.Between(0.7, 1.3));
    if (http && status != 0) {
      Add("http_attempted",
          json + R"(, "status": )" + std::to_string(status) + "}");
    }
    if (status == 200) {
      Add("step_succeeded",
          json + (next ? R"(, "next": )" + Quoted(next->id) : "") + "}");
    } else {
      Add("step_failed", json + R"(, "attempt": )" + std::to_string(i + 1) +
                             R"(, "error": )" + Quoted(ErrorOf(status)) + "}");
      if (i + 1 < attempts.size()) {
        Wait(node.share * 0.2 * std::exp2(static_cast<double>(i)));
      }
    }
  }
  return attempts.back() == 200;
}

void CancelAt(double moment, std::vector<Stage>& plan) {
  std::erase_if(plan, [&](const Stage& s) { return s.at > moment; });
  plan.push_back({moment,
                  {{"run_completed", R"({"reason": "canceled by a user"})"}},
                  Change::kCancel});
}

void PauseAt(double moment, double seconds, std::vector<Stage>& plan) {
  const auto rest = std::find_if(plan.begin(), plan.end(),
                                 [&](const Stage& s) { return s.at > moment; });
  std::for_each(rest, plan.end(), [&](Stage& s) { s.at += seconds; });
  plan.insert(rest, {{moment, {}, Change::kPause},
                     {moment + seconds, {}, Change::kResume}});
}

}  // namespace

std::vector<Stage> MakePlan(const Workflow& workflow, double scale,
                            Random& random) {
  const std::vector<Node>& shape = ShapeOf(workflow);
  const double seconds =
      scale * random.LogNormal(workflow.median_seconds, workflow.sigma);
  const bool fails = random.Chance(workflow.failure_ratio);
  std::vector<const Node*> calls;
  for (const Node& node : shape) {
    if (node.type == "http_call") calls.push_back(&node);
  }
  const Node* culprit = fails ? calls[random.Below(calls.size())] : nullptr;

  Builder builder;
  builder.Add("run_created", Webhook(workflow, random));
  for (const Node& node : shape) {
    const Node* next = &node == &shape.back() ? nullptr : &node + 1;
    if (!builder.Step(node, next, &node == culprit, random)) break;
  }
  builder.Add("run_completed",
              fails ? R"({"reason": )" +
                          Quoted(std::string(culprit->id) + " failed") + "}"
                    : "{}");
  std::vector<Stage> plan =
      builder.Finish(fails ? Change::kFail : Change::kSucceed, seconds);
  if (!fails && random.Chance(kCanceled)) {
    CancelAt(seconds * random.Uniform(), plan);
  } else if (random.Chance(kPaused)) {
    PauseAt(seconds * random.Uniform(), scale * random.Between(5, 60), plan);
  }
  return plan;
}

}  // namespace load
