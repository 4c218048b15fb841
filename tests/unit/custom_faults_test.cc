// SPDX-License-Identifier: MIT
// What an operator is told of each mistake in a file of collectors.
#include <gtest/gtest.h>

#include <sstream>
#include <string>
#include <vector>

#include "collectors/all.h"
#include "exporter/custom/collectors.h"
#include "tests/support/custom.h"

namespace {

using test::FaultsOf;
using test::Good;

// A collector with this in the place of its one metric.
std::string WithMetric(const std::string& metric) {
  return "collectors:\n"
         "- name: a\n"
         "  query: SELECT 1 AS v, 2 AS l\n"
         "  labels: [l]\n"
         "  metrics:\n"
         "  - " +
         metric + "\n";
}

struct Mistake {
  std::string text;
  std::string faults;  // with f.yml in front of each
};

// What files that are no YAML, or more than it shows, are told.
const std::vector<Mistake> kFiles{
    {"",
     ":1: the file is empty; to mend it: begin with collectors: and under "
     "it - name: …\n"},
    {"- name: a\n",
     ":1: the file is not a map; to mend it: begin with "
     "collectors: and under it - name: …\n"},
    {"colectors: []\n",
     ":1: unknown key \"colectors\"; to mend it: write collectors\n"},
    {"collectors:\n",
     ":2: collectors is empty; to mend it: write collectors: "
     "and under it - name: …\n"},
    {"collectors: a\n",
     ":1: collectors is not a list of maps: \"a\"; to mend it: write "
     "collectors: and under it - name: …\n"},
    {"collectors: [a]\n",
     ":1: collectors is not a list of maps: an item is something else; to mend "
     "it: write collectors: and under it - name: …\n"},
    {"collectors: [\n",
     ":2: this is not YAML: end of sequence flow not found; "
     "to mend it: look at the indentation and the quotes "
     "there\n"},
    {"a: b: c\n",
     ":1: this is not YAML: illegal map value; to mend it: look "
     "at the indentation and the quotes there\n"},
    {"collectors: []\n---\ncollectors: []\n",
     ":2: a second document begins here; to mend it: put it into a file of its "
     "own\n"},
    {"collectors: &x []\n",
     ":1: anchors (&) and aliases (*) are not read; to mend it: write it out; "
     "quote a text that begins with & or *\n"},
    {"a: &a [x]\nb: &b [*a, *a]\n",
     ":1: anchors (&) and aliases (*) are not read; to mend it: write it out; "
     "quote a text that begins with & or *\n"},
    {"collectors: !!seq []\n",
     ":1: tags (!) are not read; to mend it: remove "
     "it; quote a text that begins with !\n"},
    {"{[a]: b}\n",
     ":1: a key must be a word; to mend it: write KEY: VALUE; "
     "quote a text that has braces in it\n"},
    {"collectors: []\n# \xff\n",
     ":2: this is not UTF-8; to mend it: save the file as UTF-8\n"},
    {std::string("collectors: []\n\0", 16),
     ":2: a control character stands here; to mend it: remove it\n"},
    {"collectors: []\n\x04",
     ":2: a control character stands here; to mend it: remove it\n"}};

// What is wrong with the parts of a collector.
const std::vector<Mistake> kCollectors{
    {"collectors: [{}]\n",
     ":1: collector without a name: name is missing; to mend it: add name: "
     "orders\n"
     ":1: collector without a name: query is missing; to mend it: add query: "
     "SELECT count(*) AS orders FROM shop.orders\n"
     ":1: collector without a name: metrics is missing; to mend it: add "
     "metrics: and under it - name: …\n"},
    {Good("  sumary: x\n"),
     ":5: collector \"a\": unknown key \"sumary\"; to "
     "mend it: write summary\n"},
    {Good("  timeout: 5\n"),
     ":5: collector \"a\": unknown key \"timeout\"; to mend it: remove it; "
     "what can stand here: name, summary, query, labels, metrics, variants, "
     "extension, min_server_version, needs, scope, interval, limit, settings, "
     "on\n"},
    {Good("  query: SELECT 2\n"),
     ":5: collector \"a\": \"query\" stands here twice; to mend it: remove "
     "one\n"},
    {Good("  on: maybe\n"),
     ":5: collector \"a\": on is not true or false: "
     "\"maybe\"; to mend it: write on: false\n"},
    {Good("  on: 'true'\n"),
     ":5: collector \"a\": on is not true or false: "
     "\"true\"; to mend it: write on: false\n"},
    {Good("  labels: l\n"),
     ":5: collector \"a\": labels is not a list of names: \"l\"; to mend it: "
     "write labels: [state]\n"},
    {Good("  labels: [l, le]\n"),
     ":5: collector \"a\": label \"le\" is Prometheus' own; to mend it: choose "
     "another name, and in the query AS that name\n"},
    {Good("  labels: [__l, 9l, l, l]\n"),
     ":5: collector \"a\": label \"__l\" is Prometheus' own; to mend it: "
     "choose another name, and in the query AS that name\n"
     ":5: collector \"a\": label \"9l\" is not made of letters, digits and _, "
     "no digit first; to mend it: write x9l, and in the query AS x9l\n"
     ":5: collector \"a\": label \"l\" stands here twice; to mend it: remove "
     "one\n"},
    {Good("  scope: databases\n"),
     ":5: collector \"a\": scope \"databases\" is not instance or database; to "
     "mend it: write scope: instance, or scope: database\n"},
    {Good("  labels: [l]\n  scope: database\n"),
     ":6: collector \"a\": scope database needs the label datname; to mend it: "
     "add datname to labels and to each label_columns, and current_database() "
     "AS datname to the query\n"},
    {Good("  labels: [l]\n  limit: {rows: 50, rank: size}\n"),
     ":6: collector \"a\": limit.rank \"size\" is no column of the query; to "
     "mend it: name the column whose greatest values are to stay\n"},
    {Good("  labels: [l]\n  limit: {rows: 0, rank: v}\n"),
     ":6: collector \"a\": limit.rows is not from 1 to 1000000; to mend it: "
     "write rows: 50\n"},
    {Good("  labels: [l]\n  limit: {row: many}\n"),
     ":6: collector \"a\": unknown key \"row\"; to mend it: write rows\n"
     ":6: collector \"a\": rank is missing; to mend it: add rank: orders\n"},
    {Good("  limit: {rows: 5, rank: v}\n"),
     ":5: collector \"a\": limit makes no sense without labels; to mend it: "
     "add labels, or remove limit\n"},
    {Good("  min_server_version: 170000\n"),
     ":5: collector \"a\": min_server_version \"170000\" is not a major "
     "version; to mend it: write min_server_version: 17\n"},
    {Good("  min_server_version: 9.6\n"),
     ":5: collector \"a\": min_server_version is not a whole number: \"9.6\"; "
     "to mend it: write min_server_version: 15\n"},
    {Good("  variants:\n"
          "  - {min_server_version: 15, query: SELECT 1; SELECT 2}\n"
          "  - {min_server_version: 15, query: SELECT 2}\n"),
     ":6: collector \"a\": query has several statements; to mend it: keep one, "
     "and make a collector of each other\n"
     ":7: collector \"a\": two variants are for PostgreSQL \"15\"; to mend it: "
     "remove one\n"},
    {Good("  needs: {sql: true; DROP TABLE x}\n"),
     ":5: collector \"a\": absent is missing; to mend it: add absent: shop is "
     "not installed\n"
     ":5: collector \"a\": needs.sql is not one expression; to mend it: write "
     "one that is true or false, without a semicolon\n"},
    {Good("  settings: [{name: server}, {name: b}, {name: b}]\n"),
     ":5: collector \"a\": a setting cannot be called server; to mend it: "
     "choose another name; this one has a meaning already\n"
     ":5: collector \"a\": two settings are called \"b\"; to mend it: remove "
     "one\n"},
    {Good("- name: a\n"
          "  query: SELECT @extschema@.f() AS v\n"
          "  metrics: []\n"),
     ":5: collector \"a\": another collector has this name: f.yml:2; to mend "
     "it: choose another name\n"
     ":6: collector \"a\": query has @extschema@ of no extension; to mend it: "
     "add extension: and its name\n"
     ":7: collector \"a\": metrics is empty; to mend it: add - name: … under "
     "it\n"},
    {Good("- name: Über locks\n"
          "  query: ''\n"
          "  metrics: [{name: app_w, type: gauge, help: A., column: v}]\n"),
     ":5: collector \"Über locks\": name \"Über locks\" is not up to 63 of "
     "a-z, 0-9 and _, a letter first; to mend it: write name: x_ber_locks\n"
     ":6: collector \"Über locks\": query is empty; to mend it: write query: "
     "SELECT count(*) AS orders FROM shop.orders\n"},
    {Good("- name: locks\n"
          "  query: UPDATE x SET y = 1\n"
          "  metrics: [{name: app_v, type: gauge, help: A., column: v}]\n"),
     ":5: collector \"locks\": another collector has this name: built in; to "
     "mend it: choose another name\n"
     ":6: collector \"locks\": query begins with none of SELECT, WITH, VALUES "
     "and TABLE; to mend it: write one SELECT; it is run read only\n"
     ":7: collector \"locks\", metric \"app_v\": this name has collector a, "
     "f.yml:2; to mend it: choose another name\n"}};

// What is wrong with a metric.
const std::vector<Mistake> kMetrics{
    {WithMetric("{name: pg_up, type: gauge, help: A., column: v}"),
     ":6: collector \"a\", metric \"pg_up\": this name has the exporter "
     "itself; to mend it: choose another name\n"},
    {WithMetric("{name: meshhook_step_duration_seconds_count, type: gauge, "
                "help: A., column: v}"),
     ":6: collector \"a\", metric \"meshhook_step_duration_seconds_count\": "
     "this name has collector steps, built in; to mend it: choose another "
     "name\n"},
    {WithMetric("{name: pg_settings_mine, type: gauge, help: A., column: v}"),
     ":6: collector \"a\", metric \"pg_settings_mine\": this name has "
     "collector settings, built in; to mend it: choose another name\n"},
    {WithMetric("{name: pg_locks, type: gauge, help: A., column: v, "
                "name_column: l}"),
     ":6: collector \"a\", metric \"pg_locks\": this name has collector locks, "
     "built in; to mend it: choose another name\n"},
    {WithMetric("{name: app_v, type: histogram, help: A., column: v, "
                "bounds_column: v, sum_column: v}\n"
                "  - {name: app_v_sum, type: gauge, help: A., column: v}"),
     ":7: collector \"a\", metric \"app_v_sum\": this name has metric "
     "\"app_v\"; to mend it: choose another name\n"},
    {WithMetric("{name: app_v_total, type: counter, help: A., column: v}\n"
                "  - {name: app_v, type: gauge, help: A., column: v}"),
     ":7: collector \"a\", metric \"app_v\": this name has metric "
     "\"app_v_total\"; to mend it: choose another name\n"},
    {WithMetric("{name: app-v, type: gauge, help: A., column: v}"),
     ":6: collector \"a\", metric \"app-v\": name \"app-v\" is not made of "
     "letters, digits and _, no digit first; to mend it: write name: app_v\n"},
    {WithMetric("{name: app_v, type: guage, help: A., column: v}"),
     ":6: collector \"a\", metric \"app_v\": type \"guage\" is none of "
     "counter, gauge, histogram and untyped; to mend it: write type: gauge\n"},
    {WithMetric("{name: app_v, type: gauge, help: , column: v}"),
     ":6: collector \"a\", metric \"app_v\": help is empty; to mend it: write "
     "help: Orders that are not sent.\n"},
    {WithMetric("{name: app_v, type: histogram, help: A., column: v, "
                "sum_column: v}"),
     ":6: collector \"a\", metric \"app_v\": a histogram needs bounds_column; "
     "to mend it: add bounds_column: …; column, bounds and sum make a "
     "histogram\n"},
    {WithMetric("{name: app_v, type: gauge, help: A., column: v, "
                "sum_column: v}"),
     ":6: collector \"a\", metric \"app_v\": sum_column is for a histogram "
     "alone; to mend it: remove it, or write type: histogram\n"},
    {WithMetric("{name: app_v_total, type: counter, help: A., column: v, "
                "additive: true}"),
     ":6: collector \"a\", metric \"app_v_total\": additive is for a gauge "
     "alone; to mend it: remove it\n"},
    {WithMetric("{name: app_, type: gauge, help: A., column: v, additive: "
                "true, name_column: l}"),
     ":6: collector \"a\", metric \"app_\": additive does not go with "
     "name_column; to mend it: remove one\n"},
    {WithMetric("{name: app_v, type: gauge, help: A., column: v, labels: "
                "{l: x, quantile: y}}"),
     ":6: collector \"a\", metric \"app_v\": label \"l\" comes from a column "
     "as well; to mend it: remove it here, or give the metric label_columns "
     "without it\n"
     ":6: collector \"a\", metric \"app_v\": label \"quantile\" is Prometheus' "
     "own; to mend it: choose another name, and in the query AS that name\n"},
    {WithMetric("{name: app_v, type: gauge, help: A., column: v, labels: "
                "[x]}"),
     ":6: collector \"a\", metric \"app_v\": labels is not a map of texts, but "
     "a list; to mend it: write labels: {state: open}\n"},
    {WithMetric("{name: app_v, type: gauge, help: A., column: v}\n"
                "  - {name: app_v, type: gauge, help: B., column: v}"),
     ":7: collector \"a\", metric \"app_v\": its type or help is not what it "
     "was before; to mend it: write the same in each part of a metric\n"},
    {WithMetric("{name: app_v, type: gauge, help: A., column: v}\n"
                "  - {name: app_v, type: gauge, help: A., column: l}"),
     ":7: collector \"a\", metric \"app_v\": it stands here twice with the "
     "same labels; to mend it: give each part other values of a label in "
     "labels, or remove one\n"}};

void ExpectFaults(const std::vector<Mistake>& mistakes) {
  for (const auto& [text, faults] : mistakes) {
    std::istringstream lines(faults);
    std::string named;
    for (std::string line; std::getline(lines, line);) {
      named += "f.yml" + line + "\n";
    }
    EXPECT_EQ(FaultsOf(text), named) << text;
    EXPECT_FALSE(named.empty());
  }
}

TEST(CustomFaults, OfAFile) { ExpectFaults(kFiles); }
TEST(CustomFaults, OfACollector) { ExpectFaults(kCollectors); }
TEST(CustomFaults, OfAMetric) { ExpectFaults(kMetrics); }

TEST(CustomFaults, AreTwentyAndTheNumberOfTheRest) {
  std::string text = Good("");
  for (int i = 0; i < 30; ++i) text += "  x" + std::to_string(i) + ": 1\n";
  const auto faults = test::Parse(text).faults;
  ASSERT_EQ(faults.size(), 21u);
  EXPECT_EQ(Text(faults[20]),
            "f.yml:25: from here on 10 more faults; to mend it: mend the "
            "others first");
}

}  // namespace
