// SPDX-License-Identifier: MIT
// How a flag is declared: with its environment variable and its default.
#pragma once

#include <CLI/CLI.hpp>
#include <cctype>
#include <string>

namespace meshhook {

// PG_EXPORTER_WEB_LISTEN_ADDRESS for web.listen-address.
inline std::string EnvironmentName(const std::string& flag) {
  std::string name = "PG_EXPORTER_";
  for (const char c : flag) {
    name +=
        c == '.' || c == '-'
            ? '_'
            : static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  }
  return name;
}

template <typename Value>
CLI::Option* AddFlag(CLI::App& app, const std::string& flag, Value& value,
                     const std::string& help) {
  return app.add_option("--" + flag, value, help)
      ->envname(EnvironmentName(flag))
      ->capture_default_str();
}

}  // namespace meshhook
