// SPDX-License-Identifier: MIT
// What the API refuses, and how it says so: RFC 9457.
#pragma once

#include <exception>
#include <string>
#include <utility>

namespace meshhook::api {

// Ends a request: an HTTP status, and what is wrong and how to mend it in words
// that the caller may read.
class Problem : public std::exception {
 public:
  Problem(int status, std::string detail, std::string parameter = "")
      : status_(status),
        detail_(std::move(detail)),
        parameter_(std::move(parameter)) {}

  // One that is over by itself after that many seconds.
  static Problem Passing(int status, std::string detail, int retry_after) {
    Problem problem(status, std::move(detail));
    problem.retry_after_ = retry_after;
    return problem;
  }

  int status() const { return status_; }
  const std::string& detail() const { return detail_; }
  const std::string& parameter() const { return parameter_; }  // or ""
  int retry_after() const { return retry_after_; }  // seconds; 0: not known
  const char* what() const noexcept override { return detail_.c_str(); }

 private:
  int status_;
  std::string detail_;
  std::string parameter_;
  int retry_after_ = 0;
};

// "Not Found" for 404.
const char* StatusText(int status);

// The body, application/problem+json.
std::string ToText(const Problem& problem);

}  // namespace meshhook::api
