// SPDX-License-Identifier: MIT
// One question to the database for all who ask the same at the same time.
#pragma once

#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "exporter/api/problem.h"
#include "exporter/pg.h"

namespace meshhook::api {

// Thread-safe.
class Sharing {
 public:
  using Answer = std::optional<std::string>;

  // What `ask` gives or throws, a Problem or a pg::Error. Nobody gets an answer
  // that was begun before they came, which might lack what they have just
  // written: who comes while the question is being asked waits, and shares the
  // next asking of it with all who came meanwhile. `question` says who asks,
  // too.
  Answer Get(const std::string& question, const std::function<Answer()>& ask);

 private:
  struct Round {
    bool done = false;
    Answer answer = {};
    std::optional<Problem> problem = {};
    std::optional<pg::Error> error = {};
  };
  struct Question {
    bool being_asked = false;
    std::shared_ptr<Round> next = {};  // of those who wait
  };

  static void Ask(const std::function<Answer()>& ask, Round& round);

  std::mutex mutex_;
  std::condition_variable answered_;
  std::map<std::string, Question> questions_;  // those under way
};

}  // namespace meshhook::api
