// SPDX-License-Identifier: MIT
// The page at /: what the last scrape found, for a person.
#pragma once

#include <string>

#include "exporter/scraper.h"

namespace meshhook {

// HTML; every text from outside is escaped.
std::string StatusPage(const ScrapeStatus& status,
                       const std::string& telemetry_path);

}  // namespace meshhook
