// SPDX-License-Identifier: MIT
// Collectors of an operator's own files, in the program as it serves.
#include <gtest/gtest.h>
#include <signal.h>

#include <atomic>
#include <cmath>
#include <thread>

#include "tests/support/database.h"
#include "tests/support/exporter.h"
#include "tests/support/folder.h"
#include "tests/support/site.h"

namespace {

using test::Await;
using test::Database;
using test::Exporter;
using test::Folder;
using test::SampleSum;
using test::Success;

constexpr auto kExample = MESHHOOK_SOURCE "/docs/examples/collectors.yml";

// A file of one collector with one gauge.
std::string FileOf(const std::string& name, const std::string& query,
                   const std::string& more = "") {
  return "collectors:\n- name: " + name + "\n  query: " + query +
         "\n  metrics:\n  - {name: app_" + name +
         ", type: gauge, help: A., column: v}\n" + more;
}

bool Has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

// Alone, so that each scrape is quick.
std::vector<std::string> Flags(const std::vector<std::string>& more) {
  std::vector<std::string> flags{"--no-worker"};
  flags.insert(flags.end(), more.begin(), more.end());
  return flags;
}

void Reload(const Exporter& exporter) {
  const auto count = [&exporter] {
    const auto log = exporter.err();
    size_t lines = 0;
    for (const char* said : {"collectors reloaded", "not reloaded"}) {
      for (size_t at = log.find(said); at != log.npos;
           at = log.find(said, at + 1)) {
        ++lines;
      }
    }
    return lines;
  };
  const size_t before = count();
  exporter.Signal(SIGHUP);
  ASSERT_TRUE(Await([&] { return count() > before; })) << exporter.err();
}

TEST(CustomCollectors, OfTheExampleHaveSamples) {
  Database db;
  const Exporter exporter(
      db.Url(test::kExporter),
      Flags({"--collectors.file", kExample, "--collector.buffers_written"}));
  const auto page = exporter.Page();
  EXPECT_GT(SampleSum(page, "app_schema_relations{datname=\"" + db.name() +
                                "\",schema=\"pg_catalog\"}"),
            10);
  EXPECT_GE(SampleSum(page, "app_transaction_age_seconds_count"), 0);
  EXPECT_TRUE(Has(page, "app_transaction_age_seconds_bucket{le=\"60.0\"}"));
  EXPECT_GE(SampleSum(page, "app_buffers_written_total{by=\"checkpointer\"}"),
            0);
  EXPECT_EQ(Success(page, "relations_by_schema"), 1);
  EXPECT_TRUE(std::isnan(Success(page, "shop_orders"))) << "not silent";
}

TEST(CustomCollectors, FindWithSighupWhatTheyNeed) {
  Database db;
  const Exporter exporter(db.Url(test::kExporter),
                          Flags({"--collectors.file", kExample,
                                 "--collector.shop_orders.state", "sent"}));
  EXPECT_FALSE(Has(exporter.Page(), "shop_waiting_orders"));
  db.Exec(R"(
      CREATE SCHEMA shop;
      CREATE TABLE shop.orders (country text, state text,
                                created_at timestamptz DEFAULT now());
      INSERT INTO shop.orders VALUES ('de', 'open'), ('de', 'sent'),
                                     ('fr', 'sent'), ('fr', 'sent');
      GRANT USAGE ON SCHEMA shop TO meshhook_exporter;
      GRANT SELECT ON shop.orders TO meshhook_exporter)");
  Reload(exporter);
  const auto page = exporter.Page();
  EXPECT_EQ(SampleSum(page, "shop_waiting_orders{country=\"de\"}"), 1);
  EXPECT_EQ(SampleSum(page, "shop_waiting_orders{country=\"fr\"}"), 2);
  EXPECT_EQ(Success(page, "shop_orders"), 1);
}

TEST(CustomCollectors, AreReplacedBySighup) {
  Database db;
  const Folder folder;
  const auto file = folder.Write("c.yml", FileOf("first", "SELECT 1 AS v"));
  const Exporter exporter(db.Url(test::kExporter),
                          Flags({"--collectors.file=" + file}));
  EXPECT_EQ(SampleSum(exporter.Page(), "app_first"), 1);
  folder.Write("c.yml", FileOf("second", "SELECT 2 AS v"));
  EXPECT_EQ(SampleSum(exporter.Page(), "app_first"), 1);
  Reload(exporter);
  const auto page = exporter.Page();
  EXPECT_EQ(SampleSum(page, "app_second"), 2);
  EXPECT_EQ(Success(page, "second"), 1);
  EXPECT_FALSE(Has(page, "app_first"));
  EXPECT_FALSE(Has(page, "\"first\""));
  EXPECT_EQ(Success(page, "locks"), 1);
}

TEST(CustomCollectors, StayWhereTheFileGotMistakes) {
  Database db;
  const Folder folder;
  const auto file = folder.Write("c.yml", FileOf("first", "SELECT 1 AS v"));
  const Exporter exporter(db.Url(test::kExporter),
                          Flags({"--collectors.file=" + file}));
  folder.Write("c.yml", FileOf("second", "SELECT 2 AS v", "  quary: x\n"));
  Reload(exporter);
  const auto log = exporter.err();
  for (const std::string& part :
       {std::string("level=error"), "file=" + file, std::string("line=6"),
        std::string("unknown key"), std::string("remedy=\"write query\"")}) {
    EXPECT_TRUE(Has(log, part)) << part << " is not in " << log;
  }
  EXPECT_EQ(SampleSum(exporter.Page(), "app_first"), 1);

  std::filesystem::remove(file);
  Reload(exporter);
  EXPECT_TRUE(Has(exporter.err(), "there is no such file")) << exporter.err();
  EXPECT_EQ(SampleSum(exporter.Page(), "app_first"), 1);

  folder.Write("c.yml", FileOf("third", "SELECT 3 AS v"));
  Reload(exporter);
  EXPECT_EQ(SampleSum(exporter.Page(), "app_third"), 3);
}

TEST(CustomCollectors, StayWhereAFlagIsOfOneThatIsGone) {
  Database db;
  const Folder folder;
  const auto file = folder.Write("c.yml", FileOf("first", "SELECT 1 AS v"));
  const Exporter exporter(
      db.Url(test::kExporter),
      Flags({"--collectors.file=" + file, "--collector.first"}));
  folder.Write("c.yml", FileOf("second", "SELECT 2 AS v"));
  Reload(exporter);
  EXPECT_TRUE(Has(exporter.err(), "--collector.first")) << exporter.err();
  EXPECT_EQ(SampleSum(exporter.Page(), "app_first"), 1);
}

// What was known of the old one, that its table is missing, holds no longer.
TEST(CustomCollectors, StartAnewAfterSighup) {
  Database db;
  const Folder folder;
  const auto file =
      folder.Write("c.yml", FileOf("it", "SELECT v FROM public.nothing"));
  const Exporter exporter(db.Url(test::kExporter),
                          Flags({"--collectors.file=" + file}));
  EXPECT_EQ(Success(exporter.Page(), "it"), 0);
  folder.Write("c.yml", FileOf("it", "SELECT 7 AS v"));
  Reload(exporter);
  EXPECT_EQ(SampleSum(exporter.Page(), "app_it"), 7);
}

TEST(CustomCollectors, AreReplacedUnderLoad) {
  Database db;
  const Folder folder;
  const auto file = folder.Write("c.yml", FileOf("c0", "SELECT 0 AS v"));
  const Exporter exporter(db.Url(test::kExporter),
                          Flags({"--collectors.file=" + file}));
  std::atomic<bool> stop{false};
  std::atomic<int> odd{0};
  std::vector<std::thread> clients;
  for (int i = 0; i < 3; ++i) {
    clients.emplace_back([&] {
      while (!stop) {
        const auto page = exporter.Page();
        if (!(SampleSum(page, "pg_up") == 1 && SampleSum(page, "app_c") >= 0)) {
          ++odd;
        }
      }
    });
  }
  for (int i = 1; i <= 5; ++i) {
    const auto number = std::to_string(i);
    folder.Write("c.yml", FileOf("c" + number, "SELECT " + number + " AS v"));
    Reload(exporter);
    EXPECT_TRUE(
        Await([&] { return SampleSum(exporter.Page(), "app_c") == i; }));
  }
  stop = true;
  for (auto& client : clients) client.join();
  EXPECT_EQ(odd, 0);
}

test::Ended Program(const Database& db, std::vector<std::string> arguments,
                    test::Variables variables = {}) {
  arguments.insert(arguments.begin(), MESHHOOK_EXPORTER);
  variables["DATABASE_URL"] = db.Url(test::kExporter);
  return test::Run(arguments, variables);
}

constexpr auto kOneGoodOneBad = R"(
collectors:
- name: good
  query: SELECT 1 AS v
  metrics: [{name: app_good, type: gauge, help: A., column: v}]
- name: bad
  query: SELECT 1 AS v; SELECT 2 AS v
  metrics: [{name: app_bad, type: gauge, help: A., column: v}]
- name: worse
)";

TEST(CustomCollectors, WithMistakesStopTheProgram) {
  Database db;
  const Folder folder;
  const auto file = folder.Write("c.yml", kOneGoodOneBad);
  for (const char* command : {"serve", "check", "scrape", "metrics"}) {
    const auto ended = Program(db, {command, "--collectors.file", file});
    EXPECT_EQ(ended.status, 2) << command;
    EXPECT_EQ(ended.out, "") << command;
    EXPECT_EQ(ended.err,
              "meshhook-exporter: " + file +
                  ":7: collector \"bad\": query has several statements; to "
                  "mend it: keep one, and make a collector of each other\n"
                  "meshhook-exporter: " +
                  file +
                  ":9: collector \"worse\": query is missing; to mend it: add "
                  "query: SELECT count(*) AS orders FROM shop.orders\n"
                  "meshhook-exporter: " +
                  file +
                  ":9: collector \"worse\": metrics is missing; to mend it: "
                  "add metrics: and under it - name: …\n");
  }
  EXPECT_EQ(Program(db, {"--help", "--collectors.file", file}).status, 0);
}

TEST(CustomCollectors, WithMistakesAreSkippedWhereThatIsToldAndNamed) {
  Database db;
  const Folder folder;
  const auto file = folder.Write("c.yml", kOneGoodOneBad);
  const auto page = Program(
      db, {"scrape", "--collectors.file", file, "--collectors.skip-invalid",
           "--no-collector.bad", "--collectors.file", "/no/such/file"});
  EXPECT_EQ(page.status, 0) << page.err;
  EXPECT_EQ(SampleSum(page.out, "app_good"), 1);
  EXPECT_FALSE(Has(page.out, "bad"));
  for (const char* part :
       {"custom collector skipped", "line=7", "several statements",
        "file=/no/such/file", "collector \\\"worse\\\": query is missing"}) {
    EXPECT_TRUE(Has(page.err, part)) << part << " is not in " << page.err;
  }

  const auto check = Program(
      db, {"check", "--collectors.file", file, "--collectors.skip-invalid"});
  EXPECT_EQ(check.status, 2);
  EXPECT_TRUE(Has(check.out, "ok    collector good: 1 rows")) << check.out;
  EXPECT_TRUE(Has(check.out, "FAIL  skipped: " + file +
                                 ":7: collector "
                                 "\"bad\": query has several statements"))
      << check.out;
}

TEST(CustomCollectors, AreNamedByTheEnvironmentToo) {
  Database db;
  const Folder folder;
  const auto one = folder.Write("1.yml", FileOf("one", "SELECT 1 AS v"));
  const auto two = folder.Write("2.yml", FileOf("two", "SELECT 2 AS v"));
  const auto page = Program(db, {"scrape"},
                            {{"PG_EXPORTER_COLLECTORS_FILE", one + "," + two},
                             {"PG_EXPORTER_COLLECTOR_TWO", "false"}});
  EXPECT_EQ(page.status, 0) << page.err;
  EXPECT_EQ(SampleSum(page.out, "app_one"), 1);
  EXPECT_FALSE(Has(page.out, "two"));
}

TEST(CustomCollectors, ThatAreOffAreListedByCheckWithTheirSwitch) {
  Database db;
  const auto check = Program(db, {"check", "--collectors.file", kExample});
  EXPECT_TRUE(Has(check.out,
                  "off   collector buffers_written: switched off; "
                  "--collector.buffers_written switches it on\n"))
      << check.out;
  EXPECT_TRUE(Has(check.out, "n/a   collector shop_orders: there is no shop\n"))
      << check.out;
  EXPECT_TRUE(Has(check.out, "ok    collector transaction_age: 1 rows"));
}

// One such name would make Prometheus refuse the whole page.
TEST(CustomCollectors, CannotMakeANameThatIsNone) {
  Database db;
  const Folder folder;
  const auto file = folder.Write("c.yml", R"(
collectors:
- name: named
  query: SELECT 'a b' AS n, 1 AS v
  metrics:
  - {name: app_named_, type: gauge, help: A., column: v, name_column: n}
)");
  const auto page = Program(db, {"scrape", "--collectors.file", file});
  EXPECT_EQ(Success(page.out, "named"), 0);
  EXPECT_FALSE(Has(page.out, "app_named"));
  EXPECT_TRUE(Has(page.err, "not a name for a metric")) << page.err;
}

TEST(CustomCollectors, AreReadOnlyAndHaveTheExportersRightsAlone) {
  Database db;
  const Folder folder;
  const auto file = folder.Write("c.yml", R"(
collectors:
- name: writing
  query: WITH w AS (DELETE FROM public.workflow_runs RETURNING 1) SELECT 1 AS v
  metrics: [{name: app_a, type: gauge, help: A., column: v}]
- name: prying
  query: SELECT count(*) AS v FROM public.workflow_runs
  metrics: [{name: app_b, type: gauge, help: A., column: v}]
)");
  const auto page = Program(db, {"scrape", "--collectors.file", file});
  EXPECT_EQ(Success(page.out, "writing") + Success(page.out, "prying"), 0);
  EXPECT_TRUE(Has(page.err, "read-only transaction")) << page.err;
  EXPECT_TRUE(Has(page.err, "permission denied")) << page.err;
}

}  // namespace
