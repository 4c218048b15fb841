// SPDX-License-Identifier: MIT
#include "exporter/api/sharing.h"

#include <exception>
#include <utility>

namespace meshhook::api {

void Sharing::Ask(const std::function<Answer()>& ask, Round& round) {
  try {
    round.answer = ask();
  } catch (const Problem& problem) {
    round.problem = problem;
  } catch (const pg::Error& error) {
    round.error = error;
  } catch (const std::exception& error) {
    round.error = pg::Error(error.what(), "", "");
  }
}

Sharing::Answer Sharing::Get(const std::string& question,
                             const std::function<Answer()>& ask) {
  std::unique_lock lock(mutex_);
  // It stays where it is for as long as somebody asks or waits.
  auto& asked = questions_[question];
  const bool first = asked.next == nullptr;
  if (first) asked.next = std::make_shared<Round>();
  const auto round = asked.next;
  if (first) {
    answered_.wait(lock, [&asked] { return !asked.being_asked; });
    asked.being_asked = true;
    asked.next = nullptr;
    lock.unlock();
    Round answered;
    Ask(ask, answered);
    lock.lock();
    *round = std::move(answered);
    round->done = true;
    asked.being_asked = false;
    if (asked.next == nullptr) questions_.erase(question);
    answered_.notify_all();
  } else {
    answered_.wait(lock, [&round] { return round->done; });
  }
  if (round->problem) throw *round->problem;
  if (round->error) throw *round->error;
  return round->answer;
}

}  // namespace meshhook::api
