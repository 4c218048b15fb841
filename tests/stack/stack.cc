// SPDX-License-Identifier: MIT
#include "tests/stack/stack.h"

#include <json/json.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <limits>
#include <sstream>
#include <stdexcept>

#include "tests/support/database.h"

namespace test {
namespace {

using namespace std::chrono_literals;

struct Finished {
  int status;
  std::string output;
};

// Runs a shell command to its end; what it printed, on either stream.
Finished Shell(const std::string& command) {
  FILE* pipe = popen(("exec 2>&1; " + command).c_str(), "r");
  if (pipe == nullptr) throw std::runtime_error("cannot start a shell");
  std::string output;
  std::array<char, 4096> chunk{};
  while (const size_t read = fread(chunk.data(), 1, chunk.size(), pipe)) {
    output.append(chunk.data(), read);
  }
  return {WEXITSTATUS(pclose(pipe)), output};
}

std::string Quoted(const std::string& text) {
  std::string quoted = "'";
  for (const char c : text) quoted += c == '\'' ? "'\\''" : std::string(1, c);
  return quoted + "'";
}

std::string Required(const Finished& finished, const std::string& what) {
  if (finished.status != 0) {
    throw std::runtime_error(what + " failed: " + finished.output);
  }
  return finished.output;
}

Json::Value Parsed(const std::string& text) {
  Json::Value value;
  std::istringstream(text) >> value;
  return value;
}

std::string Lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(), [](unsigned char c) {
    return static_cast<char>(std::tolower(c));
  });
  return text;
}

const std::string kLauncher = MESHHOOK_SOURCE "/scripts/stack.sh ";

}  // namespace

Stack::Stack() : directory_("/tmp/meshhook-stack-" + std::to_string(getpid())) {
  Required(Shell("MESHHOOK_BIN=" MESHHOOK_BIN " " + kLauncher +
                 "up --load-rate 40 " + directory_),
           "stack.sh up");
  std::ifstream settings(directory_ + "/stack.env");
  for (std::string line; std::getline(settings, line);) {
    const size_t equals = line.find('=');
    addresses_[line.substr(0, equals)] = line.substr(equals + 1);
  }
}

Stack::~Stack() {
  const auto down =
      Shell(kLauncher + "down " + directory_ + " && rm -rf " + directory_);
  if (down.status != 0) std::cerr << "stack.sh down: " << down.output;
}

const std::string& Stack::At(const std::string& name) const {
  return addresses_.at(name);
}

void Stack::Do(const std::string& command) {
  Required(Shell("MESHHOOK_BIN=" MESHHOOK_BIN " " + kLauncher + command + " " +
                 directory_),
           "stack.sh " + command);
}

void Stack::Signal(const std::string& part, const std::string& signal) {
  Required(Shell("kill -" + signal + " $(cat " + directory_ + "/run/" + part +
                 ".pid)"),
           "kill -" + signal);
}

meshhook::pg::Connection Stack::Connect() {
  return meshhook::pg::Connection::Open(ConninfoOf(At("OWNER_DATABASE_URL")),
                                        meshhook::pg::Clock::now() + 20s);
}

std::string Stack::Sql(const std::string& sql) {
  auto session = Connect();
  return Exec(session, sql);
}

double Stack::Query(const std::string& promql) {
  const auto answer = Parsed(Required(
      Shell("curl -sS --max-time 10 --data-urlencode query=" + Quoted(promql) +
            " " + At("PROMETHEUS_URL") + "/api/v1/query"),
      "Prometheus"));
  const auto& result = answer["data"]["result"];
  return result.empty() ? std::numeric_limits<double>::quiet_NaN()
                        : std::stod(result[0]["value"][1].asString());
}

std::vector<std::string> Stack::MetricFaults() {
  Required(Shell("curl -sS --max-time 10 " + At("EXPORTER_URL") +
                 "/metrics > " + directory_ + "/page"),
           "scrape");
  const auto checked =
      Shell("promtool check metrics < " + directory_ + "/page");
  constexpr int kFaultsFound = 3;
  if (checked.status != 0 && checked.status != kFaultsFound) {
    throw std::runtime_error("promtool: " + checked.output);
  }
  std::vector<std::string> faults;
  std::istringstream lines(checked.output);
  for (std::string line; std::getline(lines, line);) faults.push_back(line);
  return faults;
}

bool Stack::RulesAreHealthy() {
  const auto rules = Parsed(Required(
      Shell("curl -sS --max-time 10 " + At("PROMETHEUS_URL") + "/api/v1/rules"),
      "Prometheus"));
  int count = 0;
  for (const auto& group : rules["data"]["groups"]) {
    for (const auto& rule : group["rules"]) {
      if (rule["health"].asString() != "ok") return false;
      ++count;
    }
  }
  return count > 0;
}

bool Stack::Firing(const std::string& alert, const std::string& label_value) {
  const auto alerts =
      Parsed(Required(Shell("curl -sS --max-time 10 " + At("PROMETHEUS_URL") +
                            "/api/v1/alerts"),
                      "Prometheus"));
  for (const auto& active : alerts["data"]["alerts"]) {
    const auto& labels = active["labels"];
    if (active["state"].asString() != "firing" ||
        labels["alertname"].asString() != alert) {
      continue;
    }
    if (label_value.empty()) return true;
    for (const auto& value : labels) {
      if (value.asString() == label_value) return true;
    }
  }
  return false;
}

std::string Stack::FiringBut(const std::string& alert) {
  const auto alerts =
      Parsed(Required(Shell("curl -sS --max-time 10 " + At("PROMETHEUS_URL") +
                            "/api/v1/alerts"),
                      "Prometheus"));
  std::string names;
  for (const auto& active : alerts["data"]["alerts"]) {
    const auto name = active["labels"]["alertname"].asString();
    if (active["state"].asString() == "firing" && name != alert) {
      names += name + " ";
    }
  }
  return names;
}

int Stack::CheckDashboards() {
  const auto checked =
      Shell(MESHHOOK_SOURCE "/scripts/check-dashboards.sh --live " +
            At("PROMETHEUS_URL"));
  std::cout << checked.output;
  return checked.status;
}

bool Stack::Notified(const std::string& channel,
                     const std::vector<std::string>& parts) {
  std::ifstream file(At("NOTIFICATIONS"));
  for (std::string line; std::getline(file, line);) {
    const auto notification = Parsed(line);
    if (notification["channel"].asString() != channel) continue;
    const auto text = Lower(notification["subject"].asString() + "\n" +
                            notification["text"].asString());
    if (std::all_of(parts.begin(), parts.end(), [&](const auto& part) {
          return text.find(Lower(part)) != text.npos;
        })) {
      return true;
    }
  }
  return false;
}

std::string Stack::Notifications() {
  std::string subjects;
  std::ifstream file(At("NOTIFICATIONS"));
  for (std::string line; std::getline(file, line);) {
    const auto notification = Parsed(line);
    subjects += "\n  " + notification["channel"].asString() + ": " +
                notification["subject"].asString();
  }
  return subjects;
}

}  // namespace test
