// SPDX-License-Identifier: MIT
#include "tests/faults/watched.h"

#include <gtest/gtest.h>
#include <signal.h>

#include <algorithm>
#include <fstream>

#include "collectors/all.h"
#include "tests/faults/page.h"

namespace test {
namespace {

using std::chrono::milliseconds;
using Clock = std::chrono::steady_clock;

constexpr auto kTimeoutHeader = "X-Prometheus-Scrape-Timeout-Seconds: ";

std::string Yaml(const std::vector<Custom>& custom) {
  std::string yaml = "collectors:\n";
  for (const auto& [name, query, label, interval] : custom) {
    yaml += "- name: " + name + "\n  query: |\n    " + query +
            "\n  interval: " + std::to_string(interval) +
            (label ? "\n  labels: [l]" : "") + "\n  metrics: [{name: " + name +
            ", type: gauge, help: Of a test., column: v}]\n";
  }
  return yaml;
}

std::vector<std::string> With(std::vector<std::string> flags,
                              const std::string& file) {
  flags.push_back("--collectors.file=" + file);
  return flags;
}

std::string Seconds(milliseconds time) {
  return std::to_string(std::chrono::duration<double>(time).count());
}

}  // namespace

Watched::Watched(const std::string& url, const std::vector<Custom>& custom,
                 std::vector<std::string> flags)
    : exporter_(url, custom.empty()
                         ? std::move(flags)
                         : With(std::move(flags),
                                folder_.Write("custom.yml", Yaml(custom)))) {}

Watched::~Watched() {
  exporter_.Signal(SIGTERM);
  try {
    EXPECT_EQ(exporter_.Wait(), 0) << log();
  } catch (const std::exception& error) {
    ADD_FAILURE() << error.what();
  }
}

std::string Watched::Page(milliseconds timeout) {
  const auto started = Clock::now();
  const auto response =
      Get(port(), "/metrics", {kTimeoutHeader + Seconds(timeout)});
  took_ = std::chrono::duration_cast<milliseconds>(Clock::now() - started);
  EXPECT_LT(took_, timeout);
  EXPECT_EQ(response.status, 200);
  ExpectSound(response.body);
  return response.body;
}

long Watched::Memory(const std::string& field) const {
  std::ifstream status("/proc/" + std::to_string(exporter_.pid()) + "/status");
  for (std::string word; status >> word;) {
    long kibibytes = 0;
    if (word == field && status >> kibibytes) return kibibytes;
  }
  throw std::runtime_error("the exporter is gone: " + log());
}

void ExpectSound(const std::string& page) {
  EXPECT_EQ(SyntaxFault(page), "");
  EXPECT_EQ(PieceOfAFailure(page), "");
}

std::vector<std::string> Only(const std::vector<std::string>& collectors) {
  std::vector<std::string> flags{"--no-worker"};
  for (const auto& collector : meshhook::collectors::All()) {
    if (collector.on && std::find(collectors.begin(), collectors.end(),
                                  collector.name) == collectors.end()) {
      flags.push_back("--no-collector." + collector.name);
    }
  }
  return flags;
}

std::string ScrapeRequest(milliseconds timeout) {
  return "GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n" +
         (kTimeoutHeader + Seconds(timeout)) + "\r\n\r\n";
}

}  // namespace test
