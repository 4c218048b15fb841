// SPDX-License-Identifier: MIT
// Structured log lines on standard error, as logfmt or JSON. Thread-safe.
//
// A line never carries a connection string, a query text or anything a tenant
// wrote; callers pass database errors through Conninfo::Redact().
#pragma once

#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>

namespace meshhook::log {

enum class Level { kDebug, kInfo, kWarn, kError };
enum class Format { kLogfmt, kJson };

void Configure(Level level, Format format);

using Field = std::pair<std::string_view, std::string>;
using Fields = std::initializer_list<Field>;

// Fields with an empty value are left out.
void Debug(std::string_view message, Fields fields = {});
void Info(std::string_view message, Fields fields = {});
void Warn(std::string_view message, Fields fields = {});
void Error(std::string_view message, Fields fields = {});

// The line itself, without a newline; for tests.
std::string Render(Format format, std::string_view time, Level level,
                   std::string_view message, Fields fields);

}  // namespace meshhook::log
