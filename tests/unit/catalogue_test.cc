// SPDX-License-Identifier: MIT
// Rules that every collector keeps, checked on the catalogue as data.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <map>
#include <set>

#include "collectors/all.h"
#include "exporter/self_metrics.h"
#include "tests/support/pattern.h"

namespace {

using meshhook::Collector;
using meshhook::Metric;
using meshhook::collectors::All;
using prometheus::MetricType;

bool EndsIn(const std::string& text, std::string_view end) {
  return text.size() >= end.size() &&
         text.compare(text.size() - end.size(), end.size(), end) == 0;
}

bool IsOurs(const std::string& name) { return name.rfind("meshhook_", 0) == 0; }

TEST(Catalogue, NamesEachCollectorOnce) {
  std::set<std::string> names;
  for (const auto& collector : All()) {
    EXPECT_TRUE(names.insert(collector.name).second) << collector.name;
    EXPECT_TRUE(test::Matches(collector.name, "[a-z][a-z_]*"))
        << collector.name;
    EXPECT_FALSE(collector.summary.empty()) << collector.name;
    EXPECT_FALSE(collector.metrics.empty()) << collector.name;
  }
}

TEST(Catalogue, HasEachMetricInOneCollectorAlone) {
  std::map<std::string, std::string> owner;
  for (const auto& metric : meshhook::SelfMetrics()) {
    EXPECT_TRUE(owner.emplace(metric.name, "itself").second) << metric.name;
  }
  for (const auto& collector : All()) {
    for (const auto& metric : collector.metrics) {
      EXPECT_EQ(owner.emplace(metric.name, collector.name).first->second,
                collector.name)
          << metric.name;
    }
  }
}

TEST(Catalogue, SaysTheSameOfAMetricInAllItsParts) {
  for (const auto& collector : All()) {
    std::map<std::string, const Metric*> first;
    std::set<std::pair<std::string, std::string>> series;
    for (const auto& metric : collector.metrics) {
      const auto* known = first.emplace(metric.name, &metric).first->second;
      EXPECT_EQ(metric.type, known->type) << metric.name;
      EXPECT_EQ(metric.help, known->help) << metric.name;
      ASSERT_EQ(metric.labels.size(), known->labels.size()) << metric.name;
      std::string labels;
      for (size_t i = 0; i < metric.labels.size(); ++i) {
        EXPECT_EQ(metric.labels[i].name, known->labels[i].name) << metric.name;
        labels += metric.labels[i].value + "\n";
      }
      EXPECT_TRUE(series.emplace(metric.name, labels).second) << metric.name;
    }
  }
}

TEST(Catalogue, HasValidNamesAndLabels) {
  constexpr auto kName = "(meshhook|pg)_[a-z0-9_]*[a-z0-9]";
  constexpr auto kLabel = "[a-z][a-z0-9_]*";
  for (const auto& collector : All()) {
    std::set<std::string> columns;
    for (const auto& column : collector.labels) {
      EXPECT_TRUE(test::Matches(column, kLabel)) << column;
      EXPECT_NE(column, "le") << collector.name;
      EXPECT_TRUE(columns.insert(column).second) << column;
    }
    for (const auto& metric : collector.metrics) {
      EXPECT_TRUE(test::Matches(
          metric.name + (metric.name_column.empty() ? "" : "x"), kName))
          << metric.name;
      for (const auto& fixed : metric.labels) {
        EXPECT_TRUE(test::Matches(fixed.name, kLabel)) << metric.name;
        EXPECT_FALSE(columns.contains(fixed.name)) << metric.name;
        EXPECT_EQ(fixed.name == "quantile", metric.type == MetricType::Summary)
            << metric.name;
      }
    }
  }
}

TEST(Catalogue, EndsOurCountersInTotalAndNothingElse) {
  for (const auto& collector : All()) {
    for (const auto& metric : collector.metrics) {
      if (!IsOurs(metric.name)) continue;
      EXPECT_EQ(EndsIn(metric.name, "_total"),
                metric.type == MetricType::Counter)
          << metric.name;
    }
  }
}

TEST(Catalogue, MeasuresInBaseUnits) {
  const std::array wrong{"_ms",      "_milliseconds", "_minutes",
                         "_percent", "_kilobytes",    "_mb"};
  const std::array units{
      "_seconds",        "_bytes",      "_ratio",       "_runs",
      "_facts",          "_rows",       "_failures",    "_info",
      "_sessions",       "_locks",      "_depth",       "_blocks",
      "_transactions",   "_multixacts", "_connections", "_settings",
      "_workers",        "_commands",   "_extensions",  "_up",
      "_paused",         "_calls",      "_messages",    "_jobs",
      "_attempts",       "_months",     "_success",     "_is_active",
      "_is_lower_bound", "_indexes",    "_keys",        "_sequences",
      "_populated"};
  for (const auto& collector : All()) {
    for (const auto& metric : collector.metrics) {
      if (!IsOurs(metric.name)) continue;
      for (const char* unit : wrong) {
        EXPECT_FALSE(EndsIn(metric.name, unit)) << metric.name;
      }
      // What those two are in, their label `metric` says.
      if (metric.type == MetricType::Counter ||
          metric.name.starts_with("meshhook_alert_")) {
        continue;
      }
      EXPECT_TRUE(std::any_of(
          units.begin(), units.end(),
          [&](const char* unit) { return EndsIn(metric.name, unit); }))
          << metric.name << " says no unit";
    }
  }
}

TEST(Catalogue, ExplainsEachMetricInASentence) {
  const auto check = [](const std::string& name, const std::string& help) {
    EXPECT_TRUE(EndsIn(help, ".")) << name << ": " << help;
    EXPECT_EQ(help.find_first_of("\n|"), help.npos) << name;
    ASSERT_FALSE(help.empty()) << name;
    EXPECT_TRUE(std::isupper(static_cast<unsigned char>(help[0]))) << name;
  };
  for (const auto& collector : All()) {
    for (const auto& metric : collector.metrics)
      check(metric.name, metric.help);
  }
  for (const auto& metric : meshhook::SelfMetrics()) {
    check(metric.name, metric.help);
  }
}

TEST(Catalogue, GivesEveryHistogramItsColumns) {
  for (const auto& collector : All()) {
    for (const auto& metric : collector.metrics) {
      EXPECT_FALSE(metric.column.empty()) << metric.name;
      const bool histogram = metric.type == MetricType::Histogram;
      EXPECT_EQ(metric.bounds_column.empty(), !histogram) << metric.name;
      EXPECT_EQ(metric.sum_column.empty(), !histogram) << metric.name;
    }
  }
}

TEST(Catalogue, ListsVariantsOldestFirstAndNamesExtensions) {
  for (const auto& collector : All()) {
    int newest = 0;
    for (const auto& variant : collector.variants) {
      EXPECT_GT(variant.min_server_version, newest) << collector.name;
      newest = variant.min_server_version;
      EXPECT_EQ(variant.query.find("@extschema@") == variant.query.npos,
                collector.extension.empty())
          << collector.name;
    }
    EXPECT_EQ(collector.query.find("@extschema@") == collector.query.npos,
              collector.extension.empty())
        << collector.name;
  }
}

TEST(Catalogue, NamesTheDatabaseWhereverThereAreSeveral) {
  for (const auto& collector : All()) {
    if (collector.scope != meshhook::Scope::kDatabase) continue;
    for (const auto& metric : collector.metrics) {
      const auto columns = metric.label_columns.value_or(collector.labels);
      EXPECT_NE(std::find(columns.begin(), columns.end(), "datname"),
                columns.end())
          << metric.name;
    }
  }
}

TEST(Catalogue, RanksWhatItLimitsAndAddsUpGaugesAlone) {
  for (const auto& collector : All()) {
    EXPECT_EQ(collector.limit.rows > 0, !collector.limit.rank.empty())
        << collector.name;
    EXPECT_TRUE(collector.limit.rows == 0 || !collector.labels.empty())
        << collector.name;
    for (const auto& metric : collector.metrics) {
      if (!metric.additive) continue;
      EXPECT_EQ(metric.type, MetricType::Gauge) << metric.name;
      EXPECT_GT(collector.limit.rows, 0) << metric.name;
    }
  }
}

TEST(Catalogue, SaysWhatIsAbsentWhereACollectorNeedsSomething) {
  for (const auto& collector : All()) {
    EXPECT_EQ(collector.needs.sql.empty(), collector.needs.absent.empty())
        << collector.name;
  }
}

// A setting that no query asks for would be a flag without effect.
TEST(Catalogue, UsesEachOfItsSettings) {
  for (const auto& collector : All()) {
    std::string queries = collector.query;
    for (const auto& variant : collector.variants) queries += variant.query;
    for (const auto& setting : collector.settings) {
      EXPECT_NE(queries.find("@" + setting.name + "@"), queries.npos)
          << collector.name << " " << setting.name;
      EXPECT_FALSE(setting.help.empty()) << setting.name;
    }
  }
}

// No label may carry what a tenant wrote but the names in workflow_info, which
// can be switched off alone; nor anything that grows with use.
TEST(Catalogue, HasNoLabelThatGrowsOrTells) {
  for (const auto& collector : All()) {
    for (const auto& label : collector.labels) {
      for (const char* refused :
           {"run_id", "query", "payload", "error", "url"}) {
        EXPECT_NE(label, refused) << collector.name;
      }
      const bool name = label == "project" || label == "workflow";
      EXPECT_TRUE(!name || collector.name == "workflow_info")
          << collector.name << " " << label;
    }
    for (const auto& metric : collector.metrics) {
      for (const auto& label :
           metric.label_columns.value_or(std::vector<std::string>{})) {
        // Only where somebody asked for it.
        EXPECT_TRUE(label != "query" ||
                    metric.name == "pg_stat_statements_query_id")
            << metric.name;
      }
    }
  }
}

}  // namespace
