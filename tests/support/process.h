// SPDX-License-Identifier: MIT
// Programs run as child processes, and waiting for what they do.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <functional>
#include <map>
#include <string>
#include <vector>

namespace test {

using Variables = std::map<std::string, std::string>;

// Killed at the end if it still runs. Its environment is `variables` and, of
// this process's own, PATH and the sanitizers' options: no PGHOST leaks in.
class Process {
 public:
  explicit Process(const std::vector<std::string>& arguments,
                   const Variables& variables = {});
  ~Process();
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;

  void Signal(int signal) const;
  // Its exit status, or 128 and the number of the signal that ended it.
  // Throws std::runtime_error when it has not ended by then.
  int Wait(std::chrono::milliseconds most = std::chrono::seconds(30));

  // What it wrote so far.
  std::string out() const;
  std::string err() const;
  pid_t pid() const { return pid_; }

 private:
  int out_;
  int err_;
  pid_t pid_ = -1;
  int status_ = -1;  // -1: it has not been waited for
};

struct Ended {
  int status;
  std::string out;
  std::string err;
};

// Runs a program to its end.
Ended Run(const std::vector<std::string>& arguments,
          const Variables& variables = {});

// Whether the condition comes true in time; asks every few milliseconds.
bool Await(const std::function<bool()>& condition,
           std::chrono::milliseconds most = std::chrono::seconds(10));

}  // namespace test
