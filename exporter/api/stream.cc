// SPDX-License-Identifier: MIT
#include "exporter/api/stream.h"

#include <json/value.h>

#include <algorithm>
#include <exception>
#include <utility>

#include "exporter/api/problem.h"
#include "exporter/api/strict_json.h"
#include "exporter/log.h"

namespace meshhook::api {
namespace {

using namespace std::chrono_literals;

constexpr auto kInterval = 1s;
constexpr auto kBegin = 3s;  // for the first answer of the database
constexpr long kMostOfOneSubject = 8;

}  // namespace

std::optional<std::vector<std::string>> Stream::Listener::Next(
    Clock::time_point until) {
  std::unique_lock lock(mutex_);
  changed_.wait_until(lock, until,
                      [this] { return ended_ || !waiting_.empty(); });
  if (ended_) return std::nullopt;
  std::vector<std::string> changes;
  for (auto& [workflow, change] : waiting_) {
    changes.push_back(std::move(change));
  }
  waiting_.clear();
  return changes;
}

Stream::Stream(Pool& pool, size_t most_listeners)
    : pool_(pool), most_(most_listeners), thread_(&Stream::Loop, this) {}

Stream::~Stream() {
  End();
  thread_.join();
}

std::shared_ptr<Stream::Listener> Stream::Listen(
    const std::string& subject, std::optional<std::set<std::string>> projects) {
  auto listener = std::make_shared<Listener>();
  listener->subject_ = subject;
  listener->projects_ = std::move(projects);
  std::unique_lock lock(mutex_);
  std::erase_if(listeners_, [](const auto& one) { return one.expired(); });
  const auto of_subject =
      std::count_if(listeners_.begin(), listeners_.end(), [&](const auto& one) {
        const auto other = one.lock();
        return other != nullptr && other->subject_ == subject;
      });
  if (of_subject >= kMostOfOneSubject) {
    throw Problem::Passing(429,
                           "this caller listens 8 times already; close one", 5);
  }
  if (ended_ || listeners_.size() >= most_) {
    throw Problem::Passing(503, "nobody else can listen now; try again later",
                           5);
  }
  listeners_.push_back(listener);
  woken_.notify_all();
  if (!woken_.wait_for(lock, kBegin, [this] { return ended_ || begun_; })) {
    throw Problem::Passing(503, "the database cannot be reached right now", 5);
  }
  return listener;
}

size_t Stream::listeners() const {
  const std::lock_guard lock(mutex_);
  return static_cast<size_t>(
      std::count_if(listeners_.begin(), listeners_.end(),
                    [](const auto& one) { return !one.expired(); }));
}

void Stream::End() {
  const std::lock_guard lock(mutex_);
  ended_ = true;
  woken_.notify_all();
  EndListeners();
}

void Stream::EndListeners() {
  for (const auto& one : listeners_) {
    if (const auto listener = one.lock()) {
      const std::lock_guard its_lock(listener->mutex_);
      listener->ended_ = true;
      listener->changed_.notify_all();
    }
  }
  listeners_.clear();
}

void Stream::Loop() {
  bool failed = false;
  std::unique_lock lock(mutex_);
  while (!ended_) {
    std::erase_if(listeners_, [](const auto& one) { return one.expired(); });
    if (listeners_.empty()) {
      begun_ = false;
      seen_.clear();
      woken_.wait(lock, [this] { return ended_ || !listeners_.empty(); });
      continue;
    }
    lock.unlock();
    bool answered = false;
    try {
      Ask();
      answered = true;
    } catch (const std::exception& error) {
      if (!failed) {
        log::Warn("changes cannot be streamed for now",
                  {{"reason", pool_.conninfo().Redact(error.what())}});
      }
    }
    failed = !answered;
    lock.lock();
    // What they missed nobody can tell, and there may be too much of it for one
    // answer: they read the counts anew when they come again.
    if (failed && std::exchange(begun_, false)) {
      EndListeners();
      seen_.clear();
    }
    woken_.wait_for(lock, kInterval, [this] { return ended_; });
  }
}

void Stream::Ask() {
  const auto answer = pool_.AsOperator(
      {.query = {"SELECT metrics.api_changes(nullif($1, ''))", {seen_}}});
  const auto news = answer ? ParseObject(*answer) : std::nullopt;
  if (!news) return;
  seen_ = (*news)["seen"].asString();
  struct Change {
    std::string project, workflow, text;
  };
  std::vector<Change> changes;
  for (const auto& change : (*news)["changes"]) {
    changes.push_back({change["project_id"].asString(),
                       change["workflow_id"].asString(), ToLine(change)});
  }

  const std::lock_guard lock(mutex_);
  if (!std::exchange(begun_, true)) woken_.notify_all();
  for (const auto& one : listeners_) {
    const auto listener = one.lock();
    if (!listener) continue;
    const std::lock_guard its_lock(listener->mutex_);
    for (const auto& change : changes) {
      if (listener->projects_ &&
          !listener->projects_->contains(change.project)) {
        continue;
      }
      listener->waiting_[change.workflow] = change.text;
    }
    if (!listener->waiting_.empty()) listener->changed_.notify_all();
  }
}

}  // namespace meshhook::api
