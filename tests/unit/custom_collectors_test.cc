// SPDX-License-Identifier: MIT
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <random>
#include <sstream>

#include "collectors/all.h"
#include "exporter/custom/collectors.h"
#include "tests/support/custom.h"
#include "tests/support/folder.h"

namespace {

using meshhook::Collector;
using meshhook::CustomCollectors;
using meshhook::CustomFields;
using meshhook::ReadCustomCollectors;
using prometheus::MetricType;
using test::FaultsOf;
using test::Good;
using test::Parse;

constexpr auto kExample = MESHHOOK_SOURCE "/docs/examples/collectors.yml";
constexpr auto kReference = MESHHOOK_SOURCE "/docs/custom-collectors.md";

std::string ReadFile(const std::string& path) {
  std::ifstream stream(path);
  std::stringstream text;
  text << stream.rdbuf();
  return text.str();
}

TEST(CustomCollectors, HaveEveryFieldOfACollector) {
  const auto read = Parse(R"(
collectors:
  - name: orders
    summary: |
      orders by
      state
    query: "SELECT state, n FROM shop.orders WHERE s = @who@;"
    labels: [state, datname]
    metrics:
      - name: shop_orders_total
        type: counter
        help: Orders.
        column: n
        labels: {kind: web}
        label_columns: [datname]
      - name: shop_wait_seconds
        type: histogram
        help: Waits.
        column: counts
        bounds_column: bounds
        sum_column: seconds
      - {name: shop_, type: untyped, help: Any., column: v, name_column: what}
      - {name: shop_open, type: gauge, help: Open., column: o, additive: true}
    variants:
      - {min_server_version: 17, query: SELECT 17}
      - {min_server_version: 14, query: SELECT 14}
    extension: hypopg
    min_server_version: 13
    needs: {sql: "true", absent: there is no shop}
    scope: database
    limit: {rows: 50, rank: n}
    settings: [{name: who, value: me, help: who}]
    on: false
)");
  ASSERT_EQ(read.faults.size(), 0u) << Text(read.faults[0]);
  ASSERT_EQ(read.collectors.size(), 1u);
  const Collector& it = read.collectors[0];
  EXPECT_EQ(it.name, "orders");
  EXPECT_EQ(it.summary, "orders by state");
  EXPECT_EQ(it.query, "SELECT state, n FROM shop.orders WHERE s = @who@");
  EXPECT_EQ(it.labels, (std::vector<std::string>{"state", "datname"}));
  ASSERT_EQ(it.metrics.size(), 4u);
  EXPECT_EQ(it.metrics[0].name, "shop_orders_total");
  EXPECT_EQ(it.metrics[0].type, MetricType::Counter);
  EXPECT_EQ(it.metrics[0].help, "Orders.");
  EXPECT_EQ(it.metrics[0].column, "n");
  EXPECT_EQ(it.metrics[0].labels[0].name + it.metrics[0].labels[0].value,
            "kindweb");
  EXPECT_EQ(it.metrics[0].label_columns, std::vector<std::string>{"datname"});
  EXPECT_EQ(it.metrics[1].type, MetricType::Histogram);
  EXPECT_EQ(it.metrics[1].bounds_column, "bounds");
  EXPECT_EQ(it.metrics[1].sum_column, "seconds");
  EXPECT_EQ(it.metrics[1].label_columns, std::nullopt);
  EXPECT_EQ(it.metrics[2].type, MetricType::Untyped);
  EXPECT_EQ(it.metrics[2].name_column, "what");
  EXPECT_EQ(it.metrics[3].type, MetricType::Gauge);
  EXPECT_TRUE(it.metrics[3].additive);
  ASSERT_EQ(it.variants.size(), 2u);
  EXPECT_EQ(it.variants[0].min_server_version, 140000);  // oldest first
  EXPECT_EQ(it.variants[1].query, "SELECT 17");
  EXPECT_EQ(it.extension, "hypopg");
  EXPECT_EQ(it.min_server_version, 130000);
  EXPECT_EQ(it.needs.sql + ", " + it.needs.absent, "true, there is no shop");
  EXPECT_EQ(it.scope, meshhook::Scope::kDatabase);
  EXPECT_EQ(it.limit.rows, 50);
  EXPECT_EQ(it.limit.rank, "n");
  ASSERT_EQ(it.settings.size(), 1u);
  EXPECT_EQ(it.settings[0].name + it.settings[0].value + it.settings[0].help,
            "whomewho");
  EXPECT_FALSE(it.on);
}

TEST(CustomCollectors, HaveDefaults) {
  const auto read = Parse(Good(""));
  ASSERT_EQ(read.collectors.size(), 1u);
  const Collector& it = read.collectors[0];
  EXPECT_EQ(it.summary, "of f.yml");
  EXPECT_TRUE(it.on);
  EXPECT_EQ(it.scope, meshhook::Scope::kInstance);
  EXPECT_EQ(it.limit.rows, 0);
  EXPECT_EQ(it.min_server_version, 0);
  EXPECT_TRUE(it.needs.sql.empty());
  EXPECT_TRUE(read.advice.empty());
}

TEST(CustomCollectors, MayComeFromAnotherSystem) {
  std::string text = "\xEF\xBB\xBF" + Good("");
  for (size_t at = text.find('\n'); at != text.npos;
       at = text.find('\n', at + 2)) {
    text.insert(at, "\r");
  }
  EXPECT_EQ(FaultsOf(text), "");
  EXPECT_EQ(Parse(text).collectors.size(), 1u);
}

TEST(CustomCollectors, MayBeNone) {
  EXPECT_EQ(FaultsOf("collectors: []\n"), "");
  EXPECT_TRUE(ReadCustomCollectors({}, {}).collectors.empty());
}

TEST(CustomCollectors, AreReadThoughOthersAreRefused) {
  const auto read = Parse(Good("- name: b\n  quary: x\n"));
  ASSERT_EQ(read.collectors.size(), 1u);
  EXPECT_EQ(read.collectors[0].name, "a");
  EXPECT_EQ(read.refused, std::vector<std::string>{"b"});
  EXPECT_FALSE(read.faults.empty());
}

TEST(CustomCollectors, ThatAreRefusedTakeNoName) {
  const auto bad = std::string(
      "collectors:\n- name: a\n  metrics: [{name: app_v, type: gauge, help: "
      "A., column: v}]\n");
  const auto read =
      Parse(bad + Good("").substr(std::string("collectors:\n").size()));
  ASSERT_EQ(read.collectors.size(), 1u);
  EXPECT_EQ(read.collectors[0].query, "SELECT 1 AS v, 2 AS l");
}

TEST(CustomCollectors, AreAdvisedAsPromtoolDoes) {
  const auto read = Parse(R"(
collectors:
  - name: a
    query: SELECT 1 AS v
    settings: [{name: unused}]
    metrics:
      - {name: app_calls, type: counter, help: A., column: v}
      - {name: app_open_total, type: gauge, help: A., column: v}
      - {name: app_wait_ms, type: gauge, help: A., column: v}
      - {name: app_rows_count, type: gauge, help: A., column: v}
      - {name: "app:rows", type: gauge, help: A., column: v}
)");
  EXPECT_TRUE(read.faults.empty());
  EXPECT_EQ(read.collectors.size(), 1u);
  std::string advice;
  for (const auto& one : read.advice) advice += Text(one) + "\n";
  EXPECT_EQ(
      advice,
      "f.yml:7: collector \"a\", metric \"app_calls\": a counter's name ends "
      "in _total; to mend it: write name: app_calls_total\n"
      "f.yml:8: collector \"a\", metric \"app_open_total\": only a counter's "
      "name ends in _total; to mend it: write type: counter if it never falls, "
      "else another name\n"
      "f.yml:9: collector \"a\", metric \"app_wait_ms\": the unit is none of "
      "Prometheus' base units; to mend it: convert it in the query, and end "
      "the name in _seconds\n"
      "f.yml:10: collector \"a\", metric \"app_rows_count\": _count is the end "
      "of a histogram's series; to mend it: choose another name\n"
      "f.yml:11: collector \"a\", metric \"app:rows\": names with : are for "
      "recording rules; to mend it: write _ for it\n"
      "f.yml:5: collector \"a\": the query has no @unused@; to mend it: use "
      "the setting there, or remove it\n");
}

TEST(CustomCollectors, KeepTheirNamesOverSeveralFiles) {
  const test::Folder folder;
  const auto first = folder.Write("1.yml", Good(""));
  const auto second = folder.Write("2.yml", Good(""));
  const auto read = ReadCustomCollectors({first, second}, {});
  EXPECT_EQ(read.collectors.size(), 1u);
  ASSERT_EQ(read.faults.size(), 2u);
  EXPECT_EQ(Text(read.faults[0]),
            second + ":2: collector \"a\": another collector has this name: " +
                first + ":2; to mend it: choose another name");
  EXPECT_EQ(Text(read.faults[1]),
            second +
                ":4: collector \"a\", metric \"app_v\": this name has "
                "collector a, " +
                first + ":2; to mend it: choose another name");
}

TEST(CustomCollectors, ComeFromFilesOfAnOrdinarySizeAlone) {
  const test::Folder folder;
  const auto huge =
      folder.Write("huge.yml", "#" + std::string(1024 * 1024, 'x'));
  const auto fits =
      folder.Write("fits.yml", "collectors: []\n" + std::string(1024, '\n'));
  const auto read = ReadCustomCollectors(
      {folder.path() + "/none.yml", folder.path(), huge, "/dev/zero", fits},
      {});
  ASSERT_EQ(read.faults.size(), 4u);
  EXPECT_EQ(Text(read.faults[0]),
            folder.path() +
                "/none.yml: there is no such file; to mend it: "
                "check the path that --collectors.file gives");
  EXPECT_EQ(Text(read.faults[1]),
            folder.path() +
                ": it is not a file; to mend it: name each file of "
                "a folder");
  EXPECT_EQ(Text(read.faults[2]),
            huge +
                ": it is larger than 1 MiB; to mend it: split it into "
                "several");
  EXPECT_EQ(read.faults[3].file, "/dev/zero");
}

TEST(CustomCollectors, SurviveDeepNesting) {
  for (const char* open : {"[", "{a: ", "- ", "{", "? "}) {
    std::string text = "collectors: ";
    for (int i = 0; i < 100'000; ++i) text += open;
    EXPECT_FALSE(Parse(text).faults.empty()) << open;
  }
}

TEST(CustomCollectors, OfTheExampleAreGood) {
  const auto read = Parse(ReadFile(kExample));
  for (const auto& fault : read.faults) ADD_FAILURE() << Text(fault);
  for (const auto& advice : read.advice) ADD_FAILURE() << Text(advice);
  EXPECT_EQ(read.collectors.size(), 4u);
}

// Whatever is done to a file, it is read or refused with a line that is there,
// and never in part: a collector that is taken has all it needs.
TEST(CustomCollectors, SurviveMutations) {
  const std::string example = ReadFile(kExample);
  ASSERT_GT(example.size(), 1000u);
  const std::vector<std::string> pieces{
      "\n",   "  ",    "- ",   ": ",      "[",   "]",  "{",   "}",
      "'",    "\"",    "|",    "#",       "&a ", "*a", "!x ", "\xff",
      "\x04", "---\n", "name", "query: ", ";",   "~",  "…"};
  std::mt19937 random(20240101);
  const auto below = [&random](size_t most) { return random() % most; };
  int refused = 0;
  for (int i = 0; i < 500; ++i) {
    std::string text = example;
    for (size_t changes = 1 + below(3); changes > 0; --changes) {
      const size_t at = below(text.size());
      switch (below(4)) {
        case 0:
          text.erase(at, 1 + below(40));
          break;
        case 1:
          text.insert(at, pieces[below(pieces.size())]);
          break;
        case 2:
          text.insert(at, text.substr(below(text.size()), below(200)));
          break;
        default:
          text[at] = static_cast<char>(below(256));
      }
    }
    const auto lines = std::count(text.begin(), text.end(), '\n') + 1;
    const auto read = Parse(text);
    refused += read.faults.empty() ? 0 : 1;
    for (const auto& fault : read.faults) {
      EXPECT_GE(fault.line, 1) << Text(fault);
      EXPECT_LE(fault.line, lines) << Text(fault);
      EXPECT_FALSE(fault.remedy.empty()) << Text(fault);
      EXPECT_EQ(Text(fault).find('\n'), std::string::npos) << Text(fault);
    }
    for (const auto& collector : read.collectors) {
      EXPECT_FALSE(collector.name.empty() || collector.query.empty() ||
                   collector.metrics.empty());
      for (const auto& metric : collector.metrics) {
        EXPECT_FALSE(metric.name.empty() || metric.column.empty());
      }
    }
  }
  EXPECT_GT(refused, 100);
  EXPECT_LT(refused, 500);
}

// The page has a table a group, with a row a field: | `name` | text | yes | … |
TEST(CustomCollectors, HaveEachFieldInTheReference) {
  const std::string page = ReadFile(kReference);
  size_t rows = 0;
  for (const auto& field : CustomFields()) {
    const auto heading =
        field.of.empty() ? "\n## The file\n" : "\n## `" + field.of + "`\n";
    const size_t begin = page.find(heading);
    ASSERT_NE(begin, page.npos) << heading;
    const auto section =
        page.substr(begin, page.find("\n## ", begin + 1) - begin);
    const auto row = "\n| `" + field.name + "` | " +
                     std::string(TypeText(field.type)) + " | " +
                     (field.required ? "yes" : "no") + " | ";
    EXPECT_NE(section.find(row), section.npos) << row;
    ++rows;
  }
  size_t written = 0;
  for (size_t at = page.find("\n| `"); at != page.npos;
       at = page.find("\n| `", at + 1)) {
    ++written;
  }
  EXPECT_EQ(written, rows);
}

}  // namespace
