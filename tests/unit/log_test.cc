// SPDX-License-Identifier: MIT
#include "exporter/log.h"

#include <gtest/gtest.h>

namespace {

namespace log = meshhook::log;
using log::Format;
using log::Level;

// The value of field `f`, as it stands in the line.
std::string Logfmt(const std::string& value) {
  const auto line =
      log::Render(Format::kLogfmt, "T", Level::kInfo, "m", {{"f", value}});
  return line.substr(line.find(" f=") + 3);
}

std::string Json(const std::string& value) {
  const auto line =
      log::Render(Format::kJson, "T", Level::kInfo, "m", {{"f", value}});
  const size_t start = line.find("\"f\":") + 4;
  return line.substr(start, line.size() - 1 - start);
}

TEST(Log, RendersLogfmt) {
  EXPECT_EQ(log::Render(Format::kLogfmt, "2026-01-01T00:00:00.000Z",
                        Level::kWarn, "it failed", {{"a", "1"}, {"b", "x y"}}),
            "time=2026-01-01T00:00:00.000Z level=warn msg=\"it failed\" a=1 "
            "b=\"x y\"");
}

TEST(Log, RendersJson) {
  EXPECT_EQ(log::Render(Format::kJson, "T", Level::kError, "it failed",
                        {{"a", "1"}, {"b", "x y"}}),
            R"({"time":"T","level":"error","msg":"it failed","a":"1",)"
            R"("b":"x y"})");
}

TEST(Log, LeavesEmptyFieldsOut) {
  for (const auto format : {Format::kLogfmt, Format::kJson}) {
    EXPECT_EQ(log::Render(format, "T", Level::kInfo, "m", {{"a", ""}}),
              log::Render(format, "T", Level::kInfo, "m", {}));
  }
}

TEST(Log, LetsNoValueForgeAFieldInLogfmt) {
  EXPECT_EQ(Logfmt("x level=error"), R"("x level=error")");
  EXPECT_EQ(Logfmt("a=b"), R"("a=b")");
  EXPECT_EQ(Logfmt("x\" y=\"z"), R"("x\" y=\"z")");
  EXPECT_EQ(Logfmt("x\\"), R"("x\\")");
}

TEST(Log, LetsNoValueForgeALine) {
  EXPECT_EQ(Logfmt("x\nlevel=error"), R"("x\nlevel=error")");
  EXPECT_EQ(Json("x\n{\"level\":\"error\"}"), R"("x\n{\"level\":\"error\"}")");
  EXPECT_EQ(Json("x\",\"level\":\"error"), R"("x\",\"level\":\"error")");
  EXPECT_EQ(Json("x\\"), R"("x\\")");
}

TEST(Log, EscapesControlCharactersThatATerminalWouldObey) {
  EXPECT_EQ(Logfmt("\r"), R"("\u000d")");
  EXPECT_EQ(Logfmt("\x1B[2J"), R"("\u001b[2J")");
  EXPECT_EQ(Json("\t\x1B"), R"("\u0009\u001b")");
}

TEST(Log, WritesFromItsLevelOnInItsFormat) {
  log::Configure(Level::kWarn, Format::kJson);
  testing::internal::CaptureStderr();
  log::Debug("hidden");
  log::Info("hidden");
  log::Warn("shown", {{"a", "{} %s"}});
  log::Error("shown too");
  const auto written = testing::internal::GetCapturedStderr();
  log::Configure(Level::kInfo, Format::kLogfmt);
  EXPECT_EQ(written.find("hidden"), written.npos) << written;
  EXPECT_NE(written.find(R"("level":"warn","msg":"shown","a":"{} %s"})"
                         "\n"),
            written.npos)
      << written;
  EXPECT_NE(written.find("\"msg\":\"shown too\"}\n"), written.npos) << written;
  EXPECT_EQ(std::count(written.begin(), written.end(), '\n'), 2) << written;
}

}  // namespace
