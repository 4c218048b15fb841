// SPDX-License-Identifier: MIT
#include "tests/support/exporter.h"

#include <regex>
#include <stdexcept>
#include <utility>

namespace test {
namespace {

Variables With(Variables variables, const std::string& url) {
  variables["DATABASE_URL"] = url;
  return variables;
}

std::vector<std::string> Words(const std::vector<std::string>& flags) {
  std::vector<std::string> words{MESHHOOK_EXPORTER,
                                 "--web.listen-address=127.0.0.1:0"};
  words.insert(words.end(), flags.begin(), flags.end());
  return words;
}

}  // namespace

Exporter::Exporter(const std::string& url,
                   const std::vector<std::string>& flags, Variables variables)
    : Process(Words(flags), With(std::move(variables), url)) {
  // In logfmt or JSON: port=1234, "port":"1234"
  const std::regex port("port\\W+([0-9]+)");
  std::smatch found;
  std::string log;
  const auto serving = [&] {
    log = err();
    return std::regex_search(log, found, port);
  };
  if (!Await(serving)) {
    throw std::runtime_error("it does not serve: " + log);
  }
  port_ = std::stoi(found[1]);
}

}  // namespace test
