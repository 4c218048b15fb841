// SPDX-License-Identifier: MIT
#include "exporter/api/audit.h"

#include <fmt/chrono.h>
#include <fmt/format.h>
#include <json/value.h>

#include <algorithm>
#include <exception>
#include <iterator>
#include <utility>

#include "exporter/api/strict_json.h"
#include "exporter/log.h"

namespace meshhook::api {
namespace {

using namespace std::chrono_literals;

constexpr size_t kMostKept = 20'000;
constexpr size_t kBatch = 500;
constexpr auto kPause = 200ms;  // several at once are one statement
constexpr auto kRetry = 2s;

std::string Time(std::chrono::system_clock::time_point at) {
  const auto second = std::chrono::floor<std::chrono::seconds>(at);
  const auto rest =
      std::chrono::duration_cast<std::chrono::microseconds>(at - second);
  return fmt::format("{:%Y-%m-%dT%H:%M:%S}.{:06}Z", second, rest.count());
}

double Milliseconds(std::chrono::microseconds took) {
  return static_cast<double>(took.count()) / 1000;
}

void Log(const Access& access) {
  log::Info("api access",
            {{"subject", access.subject},
             {"role", access.role},
             {"method", access.method},
             {"endpoint", access.endpoint},
             {"scope", access.scope},
             {"status", std::to_string(access.status)},
             {"ms", fmt::format("{:.1f}", Milliseconds(access.took))}});
}

Json::Value ToJson(const Access& access) {
  Json::Value entry;
  entry["at"] = Time(access.at);
  entry["subject"] = access.subject;
  entry["role"] = access.role;
  entry["method"] = access.method;
  entry["endpoint"] = access.endpoint;
  entry["scope"] = access.scope;
  entry["status"] = access.status;
  entry["duration_ms"] = Milliseconds(access.took);
  return entry;
}

// Up to `most` off the front.
std::vector<Access> Taken(std::deque<Access>& queue, size_t most) {
  const auto end =
      queue.begin() + static_cast<std::ptrdiff_t>(std::min(most, queue.size()));
  std::vector<Access> batch(std::make_move_iterator(queue.begin()),
                            std::make_move_iterator(end));
  queue.erase(queue.begin(), end);
  return batch;
}

}  // namespace

Audit::Audit(Pool& pool) : pool_(pool), thread_(&Audit::Loop, this) {}

Audit::~Audit() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  noted_.notify_all();
  thread_.join();
}

void Audit::Note(Access access) {
  const std::lock_guard lock(mutex_);
  if (accesses_.size() >= kMostKept) {
    ++lost_;
    return;
  }
  accesses_.push_back(std::move(access));
  noted_.notify_one();
}

std::uint64_t Audit::lost() const {
  const std::lock_guard lock(mutex_);
  return lost_;
}

void Audit::Loop() {
  bool failed = false;
  std::unique_lock lock(mutex_);
  while (true) {
    const bool stopping = stopping_;
    auto fresh = Taken(accesses_, accesses_.size());
    lock.unlock();
    for (const auto& access : fresh) Log(access);
    PutBack(std::move(fresh));
    lock.lock();
    while (!unwritten_.empty()) {
      auto batch = Taken(unwritten_, kBatch);
      lock.unlock();
      try {
        Write(batch);
        if (std::exchange(failed, false)) {
          log::Info("accesses are written to metrics.api_audit again");
        }
        lock.lock();
      } catch (const std::exception& error) {
        if (!std::exchange(failed, true)) {
          log::Error("accesses cannot be written to metrics.api_audit for now",
                     {{"reason", pool_.conninfo().Redact(error.what())}});
        }
        PutBack(std::move(batch));
        lock.lock();
        break;
      }
    }
    if (stopping) {
      if (!unwritten_.empty()) {
        log::Error("accesses are in this log alone",
                   {{"count", std::to_string(unwritten_.size())}});
      }
      return;
    }
    noted_.wait_for(lock, failed ? kRetry : 1h, [this, &failed] {
      return stopping_ || (!failed && !accesses_.empty());
    });
    if (!stopping_ && !failed) {
      noted_.wait_for(lock, kPause, [this] { return stopping_; });
    }
  }
}

void Audit::Write(const std::vector<Access>& batch) {
  Json::Value entries(Json::arrayValue);
  for (const auto& access : batch) entries.append(ToJson(access));
  pool_.AsLogin(
      {.query = {"SELECT metrics.record_access($1)", {ToLine(entries)}},
       .writes = true});
}

void Audit::PutBack(std::vector<Access> batch) {
  const std::lock_guard lock(mutex_);
  std::move(batch.begin(), batch.end(), std::back_inserter(unwritten_));
  while (unwritten_.size() > kMostKept) {
    unwritten_.pop_front();
    ++lost_;
  }
}

}  // namespace meshhook::api
