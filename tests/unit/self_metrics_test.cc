// SPDX-License-Identifier: MIT
#include "exporter/self_metrics.h"

#include <gtest/gtest.h>
#include <sys/resource.h>

#include <ctime>
#include <map>
#include <string>

namespace {

// The process's samples by name; what is not known is not there.
std::map<std::string, double> Process() {
  meshhook::SelfSamples self;
  self.AddProcess();
  std::map<std::string, double> samples;
  for (const auto& family : self.families()) {
    for (const auto& sample : family.metric) {
      samples[family.name] = family.type == prometheus::MetricType::Counter
                                 ? sample.counter.value
                                 : sample.gauge.value;
    }
  }
  return samples;
}

TEST(SelfMetrics, TellOfThisProcess) {
  auto samples = Process();
  const auto now = static_cast<double>(std::time(nullptr));
  EXPECT_GT(samples["process_resident_memory_bytes"], 1e6);
  EXPECT_GT(samples["process_virtual_memory_bytes"],
            samples["process_resident_memory_bytes"]);
  EXPECT_GE(samples["process_open_fds"], 3);
  EXPECT_GT(samples["process_max_fds"], samples["process_open_fds"]);
  EXPECT_NEAR(samples["process_start_time_seconds"], now, 600);
}

TEST(SelfMetrics, LeaveOutWhatCannotBeLookedUp) {
  rlimit before{};
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
  const rlimit none{.rlim_cur = 0, .rlim_max = before.rlim_max};
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &none), 0);
  const auto samples = Process();
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &before), 0);
  for (const char* unknown :
       {"process_open_fds", "process_resident_memory_bytes",
        "process_virtual_memory_bytes"}) {
    EXPECT_EQ(samples.count(unknown), 0u) << unknown;
  }
  EXPECT_EQ(samples.count("process_start_time_seconds"), 1u);
}

}  // namespace
