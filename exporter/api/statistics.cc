// SPDX-License-Identifier: MIT
#include "exporter/api/statistics.h"

namespace meshhook::api {

void AddSamples(const ServerStatistics& statistics, SelfSamples& samples) {
  for (const auto& [operation, counted] : statistics.operations) {
    for (const auto& [status, requests] : counted.requests) {
      samples.Add("meshhook_api_requests_total", static_cast<double>(requests),
                  {operation, std::to_string(status)});
    }
    samples.Add("meshhook_api_request_seconds_total", counted.seconds,
                {operation});
  }
  samples.Add("meshhook_api_listeners",
              static_cast<double>(statistics.listeners));
  samples.Add("meshhook_api_audit_lost_total",
              static_cast<double>(statistics.audit_lost));
}

}  // namespace meshhook::api
