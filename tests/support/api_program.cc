// SPDX-License-Identifier: MIT
#include "tests/support/api_program.h"

#include <regex>
#include <stdexcept>

#include "tests/support/api.h"

namespace test {

ApiProgram::ApiProgram(const std::string& url, const std::string& api_url,
                       std::vector<std::string> flags) {
  flags.insert(flags.begin(),
               {"--no-worker", "--api.listen-address=127.0.0.1:0",
                "--api.jwt-secret-file=" + folder_.Write("secret", kSecret)});
  exporter_.emplace(url, flags, Variables{{"API_DATABASE_URL", api_url}});
  const std::regex serving("msg=\"serving the API\" port=([0-9]+)");
  std::smatch found;
  std::string log;
  if (!Await([&] {
        log = exporter_->err();
        return std::regex_search(log, found, serving);
      })) {
    throw std::runtime_error("it does not serve the API: " + log);
  }
  port_ = std::stoi(found[1]);
}

HttpResponse ApiProgram::Get(const std::string& path,
                             const std::string& token) const {
  return test::Get(port_, path, {"Authorization: Bearer " + token});
}

}  // namespace test
