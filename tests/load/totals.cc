// SPDX-License-Identifier: MIT
#include "tests/load/totals.h"

#include <iomanip>
#include <sstream>

namespace load {

std::string Totals::Line(double seconds) const {
  std::ostringstream line;
  line << std::fixed << std::setprecision(0) << seconds << " s: " << started
       << " runs started (" << std::setprecision(1)
       << static_cast<double>(started) / seconds << "/s), " << Finished()
       << " finished, " << failed << " failed, " << in_flight << " in flight";
  return line.str();
}

std::string Totals::Json(double seconds) const {
  std::ostringstream json;
  json << std::fixed << std::setprecision(1) << R"({"seconds": )" << seconds
       << R"(, "started": )" << started << R"(, "succeeded": )" << succeeded
       << R"(, "failed": )" << failed << R"(, "canceled": )" << canceled
       << R"(, "superseded": )" << superseded << R"(, "rejected": )" << rejected
       << R"(, "in_flight": )" << in_flight << R"(, "in_doubt": )" << in_doubt
       << R"(, "reconnects": )" << reconnects << '}';
  return json.str();
}

}  // namespace load
