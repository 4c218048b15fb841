// SPDX-License-Identifier: MIT
// Every server setting that is a number or a switch, in seconds and bytes.
#include "collectors/all.h"
#include "collectors/metric.h"

namespace meshhook::collectors {

Collector Settings() {
  return {
      .name = "settings",
      .summary = "server settings that are numbers or switches",
      .query = R"(
        SELECT translate(name, '.-', '__')
               || CASE WHEN factor IS NULL THEN ''
                       WHEN unit IN ('ms', 's', 'min', 'h', 'd') THEN '_seconds'
                       ELSE '_bytes' END AS name,
               CASE WHEN vartype = 'bool' THEN (setting = 'on')::int
                    WHEN setting = '-1' THEN -1
                    ELSE setting::float8 * coalesce(factor, 1) END AS value
        FROM pg_settings
        LEFT JOIN (VALUES ('ms', 0.001), ('s', 1), ('min', 60), ('h', 3600),
                          ('d', 86400), ('B', 1), ('kB', 1024), ('8kB', 8192),
                          ('16kB', 16384), ('32kB', 32768), ('64kB', 65536),
                          ('MB', 1048576), ('16MB', 16777216), ('32MB', 33554432),
                          ('64MB', 67108864), ('GB', 1073741824))
                  AS units (unit, factor) USING (unit)
        WHERE vartype IN ('bool', 'integer', 'real'))",
      .labels = {},
      .metrics = {{.name = "pg_settings_",
                   .type = prometheus::MetricType::Gauge,
                   .help = "A server setting; switches are 0 or 1.",
                   .column = "value",
                   .name_column = "name"}},
      .interval = std::chrono::minutes(1),
  };
}

}  // namespace meshhook::collectors
