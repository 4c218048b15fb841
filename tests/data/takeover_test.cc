// SPDX-License-Identifier: MIT
// What somebody could try who has the exporter's password: to become the owner
// through the functions that run with the owner's rights, or to hurt MeshHook
// by what those are told.
#include <gtest/gtest.h>

#include "tests/support/database.h"
#include "tests/support/runs.h"

namespace {

using test::Database;
using test::Exec;
using test::Refusal;

constexpr auto kRefused = "42501";
constexpr auto kDone = "";

// All that the role may call, with what the worker says.
constexpr const char* kCalls[] = {
    "SELECT metrics.fold()",
    "SELECT metrics.fold_trends()",
    "SELECT metrics.fold_steps(2000, '0')",
    "SELECT metrics.pending_facts()",
    "SELECT metrics.pending_facts('steps', 10)",
    "SELECT metrics.maintain()",
    "SELECT metrics.refresh_if_due()",
    "SELECT metrics.refresh_if_due()",
    "SELECT metrics.refresh_if_due()",
    "SELECT metrics.refresh_if_due()",
    "SELECT * FROM metrics.queues()",
    "SELECT * FROM metrics.boss_jobs()",
    "SELECT * FROM metrics.queue_settings()",
    "SELECT metrics.record_task('fold', now(), 0, '57014')",
    "SELECT * FROM metrics.workflow_counters",
    "SELECT * FROM metrics.workflow_names",
    "SELECT * FROM metrics.active_runs"};

class Takeover : public testing::Test {
 protected:
  Takeover() : exporter_(db_.Connect(test::kExporter)) {
    db_.Exec(test::kWorkflows);
    for (int i = 0; i < 5; ++i) db_.Exec(test::kRun);
    // Only the owner may put something here.
    db_.Exec("CREATE TABLE public.loot (who text)");
  }

  void ExpectCallsDone() {
    for (const auto* call : kCalls) {
      EXPECT_EQ(Refusal(exporter_, call), kDone) << call;
    }
    EXPECT_EQ(db_.Exec("SELECT count(*) FROM public.loot"), "0");
  }
  // That MeshHook's runs end, and all of them are counted.
  void ExpectExact() {
    db_.Exec(test::kRun);
    db_.Exec("SELECT metrics.fold(), metrics.fold_trends()");
    EXPECT_EQ(db_.Exec(test::kCounted), db_.Exec(test::kFinishedRuns));
    EXPECT_EQ(db_.Exec(test::kDifferences), "0");
    EXPECT_EQ(db_.Exec("SELECT count(*) FROM metrics.verify()"), "0");
  }

  Database db_;
  meshhook::pg::Connection exporter_;
};

// What runs as its caller fails to loot; as the owner it would succeed.
constexpr auto kLoot = R"(
    CREATE FUNCTION pg_temp.loot() RETURNS boolean LANGUAGE plpgsql AS $$
    BEGIN
        INSERT INTO public.loot VALUES (current_user);
        RETURN true;
    END $$;
    CREATE FUNCTION pg_temp.loot(text) RETURNS text
    LANGUAGE sql AS 'SELECT pg_temp.loot()::text')";

TEST_F(Takeover, FindsNoTemporaryObjectInPlaceOfOurs) {
  // A function as ours must not be, to show that the test can fail.
  db_.Exec(R"(
      CREATE FUNCTION public.naive() RETURNS bigint LANGUAGE sql
      SECURITY DEFINER SET search_path = ''
      AS 'SELECT count(*) FROM pg_matviews WHERE ispopulated')");
  Exec(exporter_, kLoot);
  for (const std::string name :
       {"pg_matviews", "pg_class", "pg_inherits", "pg_publication",
        "pg_control_system", "fold_state", "worker_tasks", "refresh_log",
        "retention", "adoption", "execution_time_statistics", "workflow_events",
        "workflow_definitions", "workflow_runs", "run_reopenings",
        "trend_tables", "detached_partitions", "backfill_state"}) {
    Exec(exporter_, "CREATE TEMP VIEW " + name +
                        " AS SELECT 'metrics'::name AS schemaname, "
                        "'mv_step_latency'::name AS matviewname, "
                        "pg_temp.loot() AS ispopulated; "
                        "GRANT ALL ON " +
                        name + " TO PUBLIC");
  }
  Exec(exporter_, "SELECT public.naive()");
  EXPECT_EQ(db_.Exec("SELECT string_agg(who, ' ') FROM public.loot"),
            "postgres");
  db_.Exec("TRUNCATE public.loot");
  ExpectCallsDone();
  Exec(exporter_, "SET search_path = pg_temp, pg_catalog, metrics");
  ExpectCallsDone();
  ExpectExact();
}

TEST_F(Takeover, FindsNoTemporaryTypeFunctionOrOperatorInPlaceOfOurs) {
  Exec(exporter_, kLoot);
  for (const std::string type :
       {"uuid", "text", "xid8", "int4", "int8", "int2", "numeric", "interval",
        "timestamptz", "float8", "bool", "regclass", "sketch", "trend_cell",
        "step", "finish", "fold_state"}) {
    Exec(exporter_, "CREATE DOMAIN pg_temp." + type +
                        " AS pg_catalog.text CHECK (pg_temp.loot())");
  }
  Exec(exporter_, R"(
      CREATE FUNCTION pg_temp.now() RETURNS pg_catalog.timestamptz
      LANGUAGE sql AS 'SELECT pg_catalog.now() WHERE pg_temp.loot()';
      CREATE FUNCTION pg_temp.clock_timestamp() RETURNS pg_catalog.timestamptz
      LANGUAGE sql AS 'SELECT pg_catalog.now() WHERE pg_temp.loot()')");
  // Operators that fit better than those of pg_catalog.
  Exec(exporter_, R"(
      CREATE FUNCTION pg_temp.less(pg_catalog.uuid, pg_catalog.uuid)
      RETURNS pg_catalog.bool LANGUAGE sql AS 'SELECT pg_temp.loot()';
      CREATE OPERATOR pg_temp.= (LEFTARG = pg_catalog.uuid,
          RIGHTARG = pg_catalog.uuid, FUNCTION = pg_temp.less);
      CREATE FUNCTION pg_temp.less(pg_catalog.text, pg_catalog.text)
      RETURNS pg_catalog.bool LANGUAGE sql AS 'SELECT pg_temp.loot()';
      CREATE OPERATOR pg_temp.= (LEFTARG = pg_catalog.text,
          RIGHTARG = pg_catalog.text, FUNCTION = pg_temp.less);
      SET search_path = pg_temp, pg_catalog)");
  ExpectCallsDone();
  ExpectExact();
}

TEST_F(Takeover, FindsNoWayToAnotherRole) {
  for (const auto* statement :
       {"SET ROLE postgres",
        "SET ROLE authenticated",
        "SET ROLE service_role",
        "SET SESSION AUTHORIZATION postgres",
        "CREATE ROLE mine",
        "ALTER ROLE meshhook_exporter SUPERUSER",
        "ALTER ROLE meshhook_api PASSWORD 'mine'",
        "GRANT postgres TO meshhook_exporter",
        "GRANT meshhook_exporter TO anon",
        "CREATE SCHEMA mine",
        "CREATE TABLE metrics.mine ()",
        "CREATE TABLE public.mine ()",
        "CREATE FUNCTION metrics.mine() RETURNS int LANGUAGE sql AS 'SELECT 1'",
        "CREATE OR REPLACE FUNCTION metrics.fold(max_facts int DEFAULT 1) "
        "RETURNS bigint LANGUAGE sql AS 'SELECT 1::bigint'",
        "ALTER FUNCTION metrics.fold(int) RESET search_path",
        "ALTER FUNCTION metrics.fold(int) OWNER TO meshhook_exporter",
        "CREATE TRIGGER mine AFTER INSERT ON metrics.refresh_log "
        "EXECUTE FUNCTION metrics.record_finished_run()",
        "ALTER VIEW metrics.active_runs RENAME TO mine",
        "DROP TABLE metrics.fold_state",
        "DROP SCHEMA metrics CASCADE",
        "COPY metrics.fold_state TO PROGRAM 'true'",
        "COPY metrics.fold_state TO '/tmp/mine'",
        "CREATE EXTENSION dblink",
        "ALTER SYSTEM SET work_mem = '1GB'",
        "SET session_replication_role = replica",
        "ALTER PUBLICATION supabase_realtime ADD TABLE public.secrets",
        "DELETE FROM metrics.refresh_log",
        "UPDATE metrics.worker_tasks SET task = 'x'"}) {
    const auto refusal = Refusal(exporter_, statement);
    // An extension that is not installed is not there to be refused.
    EXPECT_TRUE(refusal == kRefused || refusal == "0A000" || refusal == "58P01")
        << statement << ": " << refusal;
  }
  auto owner = db_.Connect();
  EXPECT_EQ(
      Refusal(exporter_, "SELECT pg_terminate_backend(" +
                             Exec(owner, "SELECT pg_backend_pid()") + ")"),
      kRefused);
}

TEST_F(Takeover, InjectsNothingThroughWhatATaskIsCalled) {
  for (const std::string text :
       {"'; DROP TABLE public.loot; --", "fold'); DELETE FROM x; --",
        "%s %I %L %", "\"fold\"", "mv_x; SELECT pg_sleep(9)", "$1", "\\'",
        ""}) {
    for (const auto& [task, sqlstate] :
         {std::pair{text, std::string("57014")},
          std::pair{std::string("fold"), text},
          std::pair{std::string("mv_step_latency"), text}}) {
      exporter_.Execute(
          {"SELECT metrics.record_task($1, now(), 1, $2)", {task, sqlstate}},
          meshhook::pg::Clock::now() + std::chrono::seconds(9));
    }
  }
  EXPECT_EQ(db_.Exec("SELECT count(*) FROM metrics.refresh_log WHERE task NOT "
                     "IN (SELECT task FROM metrics.worker_tasks)"),
            "0");
  EXPECT_EQ(db_.Exec("SELECT count(*) FROM metrics.worker_tasks"), "8");
  ExpectCallsDone();
  ExpectExact();
}

// The log is not a place to fill the disk from.
TEST_F(Takeover, WritesNoMoreThanALineToTheLog) {
  Exec(exporter_,
       "SELECT metrics.record_task(repeat('x', 1000000), now(), 1, '57014'), "
       "metrics.record_task('fold', now(), 1, repeat('x', 1000000))");
  EXPECT_LT(std::stoi(db_.Exec("SELECT coalesce(max(pg_column_size(l.*)), 0) "
                               "FROM metrics.refresh_log AS l")),
            200);
}

TEST_F(Takeover, StopsNoTaskByTimesThatCannotBe) {
  for (const std::string at :
       {"'infinity'", "'-infinity'", "NULL", "'4713-01-01 BC'",
        "'294276-01-01'", "now() + interval '1 year'"}) {
    for (const std::string task : {"fold", "mv_workflow_metrics"}) {
      EXPECT_EQ(Refusal(exporter_, "SELECT metrics.record_task('" + task +
                                       "', " + at + ", 0)"),
                kDone)
          << at;
    }
  }
  EXPECT_EQ(db_.Exec("SELECT bool_and(busy_ms_total BETWEEN 0 AND 1e9 "
                     "AND last_duration_ms BETWEEN 0 AND 86400000) "
                     "FROM metrics.worker_tasks"),
            "t");
  ExpectCallsDone();
}

TEST_F(Takeover, HurtsNothingByNumbersThatAreTooBigOrTooSmall) {
  for (const std::string most : {"NULL", "0", "-1", "2147483647"}) {
    for (const std::string call : {"fold(", "fold_trends(", "fold_steps("}) {
      EXPECT_EQ(Refusal(exporter_, "SELECT metrics." + call + most + ")"),
                kDone)
          << call << most;
    }
  }
  for (const std::string settle :
       {"NULL", "'-1 year'", "'170000000 years'", "'-170000000 years'"}) {
    const auto refusal =
        Refusal(exporter_, "SELECT metrics.fold_steps(1, " + settle + ")");
    EXPECT_TRUE(refusal == kDone || refusal == "22008") << settle << refusal;
  }
  ExpectCallsDone();
  ExpectExact();
}

TEST_F(Takeover, DoesNotMakeViewsRefreshAllTheTime) {
  for (int i = 0; i < 3; ++i) {
    for (const auto* how :
         {"(0, '0')", "(1e308, '-1 day')", "('NaN', NULL)", "(NULL, '0')",
          "(-1, '1 microsecond')", "('Infinity', '-170000000 years')"}) {
      EXPECT_EQ(Refusal(exporter_,
                        std::string("SELECT metrics.refresh_if_due") + how),
                kDone)
          << how;
    }
  }
  EXPECT_EQ(db_.Exec("SELECT count(*) FROM metrics.refresh_log "
                     "WHERE task LIKE 'mv%'"),
            "4");
}

// To take a month off takes a lock that runs wait for.
TEST_F(Takeover, IsEndedByTheServerWhenATransactionThatHoldsUpRunsIsForgotten) {
  db_.Exec(
      "SELECT metrics.ensure_partition('execution_time_statistics', "
      "now() - interval '200 days')");
  Exec(exporter_, "BEGIN; SELECT metrics.maintain()");
  EXPECT_EQ(Exec(exporter_, "SHOW idle_in_transaction_session_timeout"), "5s");
  EXPECT_EQ(Exec(exporter_,
                 "SELECT count(*) FROM pg_locks "
                 "WHERE pid = pg_backend_pid() "
                 "AND mode = 'AccessExclusiveLock' AND relation = "
                 "'metrics.execution_time_statistics'::regclass"),
            "1");
  // Waits for no longer than that.
  ExpectExact();
  EXPECT_EQ(db_.Exec("SELECT count(*) FROM metrics.detached_partitions"), "0");
}

// A session's settings must not show in what it makes.
TEST_F(Takeover, MakesTheSamePartitionsWhateverTheSessionIsSetTo) {
  const auto bounds = [&] {
    return db_.Exec(
        "SET timezone = 'UTC'; SELECT string_agg(c.relname || "
        "pg_get_expr(relpartbound, c.oid), E'\\n' ORDER BY c.relname) "
        "FROM pg_class AS c JOIN pg_inherits ON inhrelid = c.oid "
        "WHERE relnamespace = 'metrics'::regnamespace AND relkind = 'r'");
  };
  const auto before = bounds();
  db_.Exec(R"(
      DO $$ DECLARE month regclass; BEGIN
          FOR month IN SELECT oid FROM pg_class
                       WHERE relnamespace = 'metrics'::regnamespace
                         AND relkind = 'r' AND relname ~ '_y\d{4}m\d\d$'
          LOOP
              EXECUTE format('DROP TABLE %s', month);
          END LOOP;
      END $$)");
  EXPECT_NE(bounds(), before);
  // With this style times are in a zone's own letters, and these stand for
  // another zone when they are read.
  Exec(exporter_, R"(
      SET datestyle = 'SQL, DMY'; SET timezone = 'Asia/Kolkata';
      SET intervalstyle = 'sql_standard';
      SET standard_conforming_strings = off; SET transform_null_equals = on)");
  EXPECT_EQ(Refusal(exporter_, "SELECT metrics.maintain()"), kDone);
  EXPECT_EQ(bounds(), before);
}

}  // namespace
