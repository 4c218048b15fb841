// SPDX-License-Identifier: MIT
#include "exporter/log.h"

#include <fmt/chrono.h>
#include <fmt/format.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <chrono>
#include <ctime>

namespace meshhook::log {
namespace {

Format configured_format = Format::kLogfmt;

spdlog::logger& Logger() {
  static const auto logger = [] {
    auto made = std::make_shared<spdlog::logger>(
        "stderr", std::make_shared<spdlog::sinks::stderr_sink_mt>());
    made->set_pattern("%v");
    made->flush_on(spdlog::level::trace);
    return made;
  }();
  return *logger;
}

spdlog::level::level_enum ToSpdlog(Level level) {
  switch (level) {
    case Level::kDebug:
      return spdlog::level::debug;
    case Level::kInfo:
      return spdlog::level::info;
    case Level::kWarn:
      return spdlog::level::warn;
    case Level::kError:
      return spdlog::level::err;
  }
  return spdlog::level::info;
}

std::string_view Name(Level level) {
  switch (level) {
    case Level::kDebug:
      return "debug";
    case Level::kInfo:
      return "info";
    case Level::kWarn:
      return "warn";
    case Level::kError:
      return "error";
  }
  return "info";
}

// Both formats quote alike, so that no text can forge a line or a field.
std::string Quoted(std::string_view text) {
  std::string quoted = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      quoted += {'\\', c};
    } else if (c == '\n') {
      quoted += "\\n";
    } else if (static_cast<unsigned char>(c) < 0x20) {
      quoted += fmt::format("\\u{:04x}", static_cast<int>(c));
    } else {
      quoted += c;
    }
  }
  return quoted + '"';
}

std::string LogfmtValue(std::string_view text) {
  const bool plain = std::all_of(text.begin(), text.end(), [](const char c) {
    return static_cast<unsigned char>(c) > 0x20 && c != '=' && c != '"' &&
           c != '\\';
  });
  return plain ? std::string(text) : Quoted(text);
}

void Write(Level level, std::string_view message, Fields fields) {
  if (!Logger().should_log(ToSpdlog(level))) return;
  const auto now = std::chrono::system_clock::now();
  const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(
                      now.time_since_epoch())
                      .count() %
                  1000;
  const auto time =
      fmt::format("{:%Y-%m-%dT%H:%M:%S}.{:03}Z",
                  fmt::gmtime(std::chrono::system_clock::to_time_t(now)), ms);
  Logger().log(ToSpdlog(level), "{}",
               Render(configured_format, time, level, message, fields));
}

}  // namespace

void Configure(Level level, Format format) {
  configured_format = format;
  Logger().set_level(ToSpdlog(level));
}

std::string Render(Format format, std::string_view time, Level level,
                   std::string_view message, Fields fields) {
  const bool json = format == Format::kJson;
  std::string line;
  const auto add = [&](std::string_view key, std::string_view value) {
    if (value.empty()) return;
    if (!line.empty()) line += json ? ',' : ' ';
    line += json ? Quoted(key) + ":" + Quoted(value)
                 : std::string(key) + "=" + LogfmtValue(value);
  };
  add("time", time);
  add("level", Name(level));
  add("msg", message);
  for (const auto& [key, value] : fields) add(key, value);
  return json ? "{" + line + "}" : line;
}

void Debug(std::string_view message, Fields fields) {
  Write(Level::kDebug, message, fields);
}
void Info(std::string_view message, Fields fields) {
  Write(Level::kInfo, message, fields);
}
void Warn(std::string_view message, Fields fields) {
  Write(Level::kWarn, message, fields);
}
void Error(std::string_view message, Fields fields) {
  Write(Level::kError, message, fields);
}

}  // namespace meshhook::log
