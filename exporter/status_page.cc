// SPDX-License-Identifier: MIT
#include "exporter/status_page.h"

#include <fmt/format.h>

#include "exporter/version.h"

namespace meshhook {
namespace {

constexpr auto kHead = R"(<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>MeshHook exporter</title><style>
:root { color-scheme: light dark; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem;
       margin: 2rem auto; padding: 0 1rem; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; padding: .3rem .8rem .3rem 0;
         border-bottom: 1px solid #8884; vertical-align: top; }
td.number { text-align: right; font-variant-numeric: tabular-nums; }
.ok { color: #1a7f37; } .bad { color: #cf222e; }
</style></head><body><h1>MeshHook exporter</h1>
)";

std::string Escaped(const std::string& text) {
  std::string escaped;
  for (const char c : text) {
    switch (c) {
      case '<':
        escaped += "&lt;";
        break;
      case '>':
        escaped += "&gt;";
        break;
      case '&':
        escaped += "&amp;";
        break;
      case '"':
        escaped += "&quot;";
        break;
      default:
        escaped += c;
    }
  }
  return escaped;
}

std::string Database(const ScrapeStatus& status) {
  if (status.up) {
    return fmt::format("<p>Database: <b class=\"ok\">up</b>, {}</p>\n",
                       Escaped(status.server));
  }
  if (status.reason.empty()) {
    return "<p>Database: not asked yet; the first scrape does.</p>\n";
  }
  return fmt::format(
      "<p>Database: <b class=\"bad\">unreachable</b>: {}<br>{}"
      "</p>\n",
      Escaped(status.reason), Escaped(status.remedy));
}

std::string Row(const CollectorStatus& collector) {
  return fmt::format(
      "<tr><td>{}</td><td class=\"{}\">{}</td><td class=\"number\">{:.1f}</td>"
      "<td class=\"number\">{}</td><td>{}{}{}</td></tr>\n",
      Escaped(collector.name),
      collector.success  ? "ok"
      : collector.silent ? "silent"
                         : "bad",
      collector.success  ? "ok"
      : collector.silent ? "nothing to read"
                         : "failed",
      std::chrono::duration<double, std::milli>(collector.took).count(),
      collector.rows, Escaped(collector.reason),
      collector.remedy.empty() ? "" : " — ", Escaped(collector.remedy));
}

}  // namespace

std::string StatusPage(const ScrapeStatus& status,
                       const std::string& telemetry_path) {
  std::string page = kHead;
  page += fmt::format("<p>Version {} ({}). <a href=\"{}\">Metrics</a></p>\n",
                      kVersion, kRevision, Escaped(telemetry_path));
  page += Database(status);
  page +=
      "<table><tr><th>Collector</th><th>Last scrape</th><th>ms</th>"
      "<th>Rows</th><th>Why not, and what to do</th></tr>\n";
  for (const auto& collector : status.collectors) page += Row(collector);
  return page + "</table></body></html>\n";
}

}  // namespace meshhook
