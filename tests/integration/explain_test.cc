// SPDX-License-Identifier: MIT
// What `explain` prints of a collector, and what it runs.
#include <gtest/gtest.h>

#include "tests/support/database.h"
#include "tests/support/folder.h"
#include "tests/support/process.h"

namespace {

using test::Database;
using test::Folder;

test::Ended Explain(const Database& db, std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), {MESHHOOK_EXPORTER, "explain"});
  return test::Run(arguments, {{"DATABASE_URL", db.Url(test::kExporter)}});
}

bool Has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

constexpr auto kCollectors = R"(
collectors:
- name: slow
  query: SELECT 1 AS v FROM pg_sleep(30)
  metrics: [{name: app_slow, type: gauge, help: A., column: v}]
- name: writing
  query: WITH w AS (DELETE FROM public.workflow_runs RETURNING 1) SELECT 1 AS v
  metrics: [{name: app_writing, type: gauge, help: A., column: v}]
- name: told
  query: SELECT @who@ AS who, 1 AS v, @excluded_schemas@ AS x
  labels: [who]
  settings: [{name: who, value: it's me}]
  limit: {rows: 10, rank: v}
  variants:
  - {min_server_version: 13, query: "SELECT @who@ AS who, 13 AS v"}
  - {min_server_version: 98, query: "SELECT @who@ AS who, 98 AS v"}
  metrics: [{name: app_told, type: gauge, help: A., column: v}]
- name: young
  query: SELECT 1 AS v
  min_server_version: 99
  metrics: [{name: app_young, type: gauge, help: A., column: v}]
- name: needy
  query: SELECT v FROM nowhere.nothing
  needs: {sql: to_regclass('nowhere.nothing') IS NOT NULL, absent: no such thing}
  metrics: [{name: app_needy, type: gauge, help: A., column: v}]
- name: extended
  query: SELECT @extschema@.f() AS v
  extension: no_such_extension
  metrics: [{name: app_extended, type: gauge, help: A., column: v}]
- name: broken
  query: SELECT v FROM public.nothing
  on: false
  metrics: [{name: app_broken, type: gauge, help: A., column: v}]
)";

class ExplainCustom : public testing::Test {
 protected:
  test::Ended Of(const std::string& name,
                 const std::vector<std::string>& more = {}) {
    std::vector<std::string> arguments{name, "--collectors.file", file_};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return Explain(db_, arguments);
  }

  Database db_;
  const Folder folder_;
  const std::string file_ = folder_.Write("c.yml", kCollectors);
};

TEST(Explain, PrintsTheSqlAndThePlanOfACollector) {
  Database db;
  const auto ended = Explain(db, {"locks"});
  EXPECT_EQ(ended.status, 0) << ended.err;
  EXPECT_EQ(ended.err, "");
  EXPECT_EQ(ended.out.rfind("Collector locks: locks by database and mode\n"
                            "It is on, and asks once a server.\n"
                            "Server ",
                            0),
            0u)
      << ended.out;
  EXPECT_TRUE(Has(ended.out, ", database " + db.name() + ", PostgreSQL "));
  const size_t sql = ended.out.find("\nSQL\n---\nSELECT d.datname, m.mode");
  const size_t plan = ended.out.find("\nPlan\n----\n");
  ASSERT_NE(sql, ended.out.npos) << ended.out;
  ASSERT_NE(plan, ended.out.npos) << ended.out;
  EXPECT_LT(sql, plan);
  EXPECT_NE(ended.out.find("(cost=", plan), ended.out.npos) << ended.out;
  EXPECT_FALSE(Has(ended.out, "actual"));
}

// What is printed is what psql can run.
TEST(Explain, PrintsSqlThatRuns) {
  Database db;
  for (const char* name : {"settings", "locks", "xlog_location"}) {
    const auto out = Explain(db, {name}).out;
    const size_t begin = out.find("---\n") + 4;
    const auto sql = out.substr(begin, out.find("\nPlan\n") - begin);
    EXPECT_NE(db.Exec(sql, test::kExporter), "") << sql;
  }
}

TEST(Explain, SaysThatACollectorIsOff) {
  Database db;
  const auto ended = Explain(db, {"process_idle"});
  EXPECT_EQ(ended.status, 0) << ended.err;
  EXPECT_TRUE(Has(ended.out,
                  "It is off (--collector.process_idle switches it on), and "
                  "asks once a server.\n"));
  EXPECT_TRUE(Has(ended.out, "(cost="));
}

TEST(Explain, NamesTheNearestOfACollectorThatIsNot) {
  Database db;
  const auto near = Explain(db, {"lockz"});
  EXPECT_EQ(near.status, 2);
  EXPECT_EQ(near.err.rfind("meshhook-exporter: there is no collector lockz; to "
                           "mend it: write locks; or one of workflow_runs, ",
                           0),
            0u)
      << near.err;
  const auto far = Explain(db, {"zzzzzzzz"});
  EXPECT_EQ(far.status, 2);
  EXPECT_TRUE(Has(far.err, "; to mend it: name one of workflow_runs, "));
  EXPECT_EQ(Explain(db, {}).status, 2);
}

TEST_F(ExplainCustom, RunsNothingUnlessItIsToldTo) {
  const auto plan = Of("slow", {"--scrape.timeout=2"});
  EXPECT_EQ(plan.status, 0) << plan.err;
  EXPECT_TRUE(Has(plan.out, "Function Scan on pg_sleep")) << plan.out;
  const auto run = Of("slow", {"--scrape.timeout=1", "--analyze"});
  EXPECT_EQ(run.status, 2);
  EXPECT_TRUE(Has(run.out, "pg_sleep(30)"));
  EXPECT_TRUE(Has(run.err, "statement timeout")) << run.err;
  const auto quick = Of("told", {"--analyze"});
  EXPECT_EQ(quick.status, 0) << quick.err;
  EXPECT_TRUE(Has(quick.out, "actual time=")) << quick.out;
}

TEST_F(ExplainCustom, RunsReadOnly) {
  const auto ended = Of("writing", {"--analyze"});
  EXPECT_EQ(ended.status, 2);
  EXPECT_TRUE(Has(ended.err, "read-only transaction")) << ended.err;
}

TEST_F(ExplainCustom, WritesOutSettingsVariantAndLimit) {
  const auto ended = Of("told");
  EXPECT_EQ(ended.status, 0) << ended.err;
  EXPECT_TRUE(Has(ended.out, "SELECT 'it''s me'::text AS who, 13 AS v"))
      << ended.out;
  EXPECT_TRUE(Has(ended.out, "meshhook rank")) << ended.out;
  EXPECT_TRUE(Has(Of("told", {"--collector.told.who=you"}).out,
                  "SELECT 'you'::text AS who"));
}

TEST_F(ExplainCustom, SaysWhyThereIsNothingToRead) {
  const auto young = Of("young");
  EXPECT_EQ(young.status, 0) << young.err;
  EXPECT_TRUE(Has(young.out,
                  "\nIt has nothing to read here: it needs PostgreSQL 99.\n"))
      << young.out;
  EXPECT_FALSE(Has(young.out, "Plan"));
  const auto needy = Of("needy");
  EXPECT_EQ(needy.status, 0) << needy.err;
  EXPECT_TRUE(Has(needy.out, "\nIt has nothing to read here: no such thing.\n"))
      << needy.out;
}

TEST_F(ExplainCustom, SaysWhatIsMissingAndWhatToDo) {
  const auto extended = Of("extended");
  EXPECT_EQ(extended.status, 2);
  EXPECT_EQ(extended.err,
            "meshhook-exporter: extension no_such_extension is not installed "
            "in database " +
                db_.name() +
                "; to mend it: run CREATE EXTENSION no_such_extension, or "
                "switch off with --no-collector.extended\n");
  const auto broken = Of("broken");
  EXPECT_EQ(broken.status, 2);
  EXPECT_TRUE(Has(broken.out, "SELECT v FROM public.nothing"));
  EXPECT_TRUE(Has(broken.err, "relation \"public.nothing\" does not exist"));
}

}  // namespace
