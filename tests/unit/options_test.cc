// SPDX-License-Identifier: MIT
#include "exporter/options.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>

#include "collectors/all.h"
#include "exporter/errors.h"
#include "tests/support/folder.h"

namespace {

using meshhook::Command;
using meshhook::Options;
using meshhook::ParseOptions;
using namespace std::chrono_literals;

std::optional<Options> Parse(std::vector<const char*> arguments) {
  arguments.insert(arguments.begin(), "meshhook-exporter");
  return ParseOptions(static_cast<int>(arguments.size()), arguments.data());
}

Options Given(const std::vector<const char*>& arguments) {
  return Parse(arguments).value();
}

std::string Complaint(const std::vector<const char*>& arguments) {
  try {
    Parse(arguments);
    return "";
  } catch (const meshhook::UsageError& error) {
    return error.what() + std::string("; ") + error.remedy();
  }
}

bool Has(const Options& options, const std::string& collector) {
  return std::any_of(options.collectors.begin(), options.collectors.end(),
                     [&](const auto& one) { return one.name == collector; });
}

// Set for the length of a test.
class Variable {
 public:
  Variable(const char* name, const char* value) : name_(name) {
    setenv(name, value, 1);
  }
  ~Variable() { unsetenv(name_); }
  Variable(const Variable&) = delete;
  Variable& operator=(const Variable&) = delete;

 private:
  const char* const name_;
};

// The collectors that run unless told otherwise.
size_t OnByDefault() {
  const auto all = meshhook::collectors::All();
  return static_cast<size_t>(
      std::count_if(all.begin(), all.end(),
                    [](const auto& collector) { return collector.on; }));
}

TEST(Options, HaveDefaults) {
  const auto options = Given({});
  EXPECT_EQ(options.command, Command::kServe);
  EXPECT_EQ(options.http.listen_addresses, std::vector<std::string>{":9187"});
  EXPECT_EQ(options.http.telemetry_path, "/metrics");
  EXPECT_EQ(options.http.scrape_timeout, 10s);
  EXPECT_EQ(options.log_level, meshhook::log::Level::kInfo);
  EXPECT_EQ(options.log_format, meshhook::log::Format::kLogfmt);
  EXPECT_EQ(options.collectors.size(), OnByDefault());
  EXPECT_TRUE(options.worker);
  EXPECT_TRUE(options.backfill);
  EXPECT_FALSE(options.print_script);
  EXPECT_EQ(options.lock_patience, 120s);
}

TEST(Options, KnowEachCommand) {
  EXPECT_EQ(Given({"serve"}).command, Command::kServe);
  EXPECT_EQ(Given({"migrate"}).command, Command::kMigrate);
  EXPECT_EQ(Given({"check"}).command, Command::kCheck);
  EXPECT_EQ(Given({"scrape"}).command, Command::kScrape);
  EXPECT_EQ(Given({"metrics"}).command, Command::kMetrics);
}

TEST(Options, MayStandBeforeOrBehindTheCommand) {
  EXPECT_EQ(Given({"--log.level=debug", "scrape"}).log_level,
            meshhook::log::Level::kDebug);
  EXPECT_EQ(Given({"scrape", "--log.level", "debug"}).log_level,
            meshhook::log::Level::kDebug);
}

TEST(Options, TakeSeveralListenAddresses) {
  EXPECT_EQ(Given({"--web.listen-address=127.0.0.1:1",
                   "--web.listen-address=[::1]:2"})
                .http.listen_addresses,
            (std::vector<std::string>{"127.0.0.1:1", "[::1]:2"}));
}

TEST(Options, SwitchCollectorsOff) {
  const auto options =
      Given({"--no-collector.locks", "--no-collector.workflow_info"});
  EXPECT_FALSE(Has(options, "locks"));
  EXPECT_FALSE(Has(options, "workflow_info"));
  EXPECT_TRUE(Has(options, "database"));
  EXPECT_EQ(options.collectors.size(), OnByDefault() - 2);
}

TEST(Options, SwitchOnACollectorThatIsOff) {
  EXPECT_FALSE(Has(Given({}), "process_idle"));
  const auto options = Given({"--collector.process_idle"});
  EXPECT_TRUE(Has(options, "process_idle"));
  EXPECT_EQ(options.collectors.size(), OnByDefault() + 1);
}

// As postgres_exporter's are given.
TEST(Options, TellACollectorWhatItIsTold) {
  const auto told = [](const Options& options, const std::string& setting) {
    for (const auto& collector : options.collectors) {
      if (collector.name != "stat_statements") continue;
      for (const auto& one : collector.settings) {
        if (one.name == setting) return one.value;
      }
    }
    return std::string("nothing");
  };
  EXPECT_EQ(told(Given({}), "include_query"), "false");
  const auto options =
      Given({"--collector.stat_statements.include_query",
             "--collector.stat_statements.query_length=60",
             "--collector.stat_statements.exclude_users", "a,b"});
  EXPECT_EQ(told(options, "include_query"), "true");
  EXPECT_EQ(told(options, "query_length"), "60");
  EXPECT_EQ(told(options, "exclude_users"), "a,b");
  EXPECT_EQ(told(Given({"--no-collector.stat_statements.include_query"}),
                 "include_query"),
            "false");
}

TEST(Options, LookAfterOneDatabaseUnlessToldOtherwise) {
  const auto plain = Given({}).scrape;
  EXPECT_FALSE(plain.databases.discover);
  EXPECT_TRUE(plain.databases.excluded_schemas.empty());
  EXPECT_EQ(plain.max_series, 250'000u);
  const auto told =
      Given({"--auto-discover-databases", "--include-databases=a*,b",
             "--exclude-databases=ab", "--databases.max-connections=7",
             "--exclude-schemas=x", "--exclude-schemas=y",
             "--scrape.max-series=5000"})
          .scrape;
  EXPECT_TRUE(told.databases.discover);
  EXPECT_EQ(told.databases.include, (std::vector<std::string>{"a*", "b"}));
  EXPECT_EQ(told.databases.exclude, (std::vector<std::string>{"ab"}));
  EXPECT_EQ(told.databases.connections, 7);
  EXPECT_EQ(told.databases.excluded_schemas,
            (std::vector<std::string>{"x", "y"}));
  EXPECT_EQ(told.max_series, 5'000u);
}

// A file of one collector.
std::string FileOf(const std::string& name, const std::string& more) {
  return "collectors:\n- name: " + name +
         "\n  query: SELECT @s@ AS v, 1 AS l\n  labels: [l]\n"
         "  limit: {rows: 5, rank: v}\n  settings: [{name: s, value: x}]\n"
         "  metrics: [{name: app_" +
         name + ", type: gauge, help: A., column: v}]\n" + more;
}

TEST(Options, OfACustomCollectorAreThoseOfAnyOther) {
  const test::Folder folder;
  const auto one = folder.Write("1.yml", FileOf("one", ""));
  const auto two = folder.Write("2.yml", FileOf("two", "  on: false\n"));
  const std::vector<const char*> files{"--collectors.file", one.c_str(),
                                       "--collectors.file", two.c_str()};
  const auto given = [&files](const std::vector<const char*>& more) {
    auto arguments = files;
    arguments.insert(arguments.end(), more.begin(), more.end());
    return Given(arguments);
  };
  const auto options = given({});
  EXPECT_TRUE(Has(options, "one"));
  EXPECT_FALSE(Has(options, "two"));
  EXPECT_EQ(options.collectors.back().name, "one");  // behind those built in
  EXPECT_EQ(options.off.back().name, "two");
  EXPECT_EQ(options.collector_files, (std::vector<std::string>{one, two}));
  EXPECT_FALSE(Has(given({"--no-collector.one"}), "one"));
  const auto told = given({"--collector.two", "--collector.two.s=y",
                           "--collector.two.limit=7"})
                        .collectors.back();
  EXPECT_EQ(told.name + told.settings.at(0).value, "twoy");
  EXPECT_EQ(told.limit.rows, 7);
  EXPECT_NE(Complaint({"--collector.one"}), "");
}

TEST(Options, NameTheMistakesOfAFileUnlessTheyAreSkipped) {
  const test::Folder folder;
  const auto file = folder.Write("1.yml", FileOf("one", "  quary: x\n"));
  const auto flag = "--collectors.file=" + file;
  EXPECT_EQ(Complaint({flag.c_str(), "--collector.one"}),
            file +
                ":8: collector \"one\": unknown key \"quary\"; to mend it: "
                "write query; ");
  const auto options =
      Given({flag.c_str(), "--collectors.skip-invalid", "--collector.one"});
  EXPECT_FALSE(Has(options, "one"));
  EXPECT_EQ(options.skipped.size(), 1u);
  EXPECT_EQ(Given({flag.c_str(), "migrate"}).skipped.size(), 1u);
}

TEST(Options, OfExplainAreRead) {
  const auto options = Given({"explain", "locks", "--analyze"});
  EXPECT_EQ(options.command, Command::kExplain);
  EXPECT_EQ(options.explained, "locks");
  EXPECT_TRUE(options.analyze);
  EXPECT_FALSE(Given({"explain", "locks"}).analyze);
}

TEST(Options, SwitchTheWorkerAndTheBackfillOff) {
  EXPECT_FALSE(Given({"--no-worker"}).worker);
  EXPECT_FALSE(Given({"migrate", "--no-backfill"}).backfill);
}

TEST(Options, OfMigrateAreRead) {
  const auto options =
      Given({"migrate", "--dir=/x", "--print", "--lock-wait=7"});
  EXPECT_EQ(options.migrations_directory, "/x");
  EXPECT_TRUE(options.print_script);
  EXPECT_EQ(options.lock_patience, 7s);
}

TEST(Options, AreReadFromTheEnvironment) {
  const Variable address("PG_EXPORTER_WEB_LISTEN_ADDRESS",
                         "127.0.0.1:1,127.0.0.1:2");
  const Variable path("PG_EXPORTER_WEB_TELEMETRY_PATH", "/m");
  const Variable level("PG_EXPORTER_LOG_LEVEL", "error");
  const Variable format("PG_EXPORTER_LOG_FORMAT", "json");
  const Variable timeout("PG_EXPORTER_SCRAPE_TIMEOUT", "2.5");
  const Variable worker("PG_EXPORTER_WORKER", "false");
  const Variable locks("PG_EXPORTER_COLLECTOR_LOCKS", "false");
  const Variable database("PG_EXPORTER_COLLECTOR_DATABASE", "true");
  const auto options = Given({});
  EXPECT_EQ(options.http.listen_addresses,
            (std::vector<std::string>{"127.0.0.1:1", "127.0.0.1:2"}));
  EXPECT_EQ(options.http.telemetry_path, "/m");
  EXPECT_EQ(options.log_level, meshhook::log::Level::kError);
  EXPECT_EQ(options.log_format, meshhook::log::Format::kJson);
  EXPECT_EQ(options.http.scrape_timeout, 2500ms);
  EXPECT_FALSE(options.worker);
  EXPECT_FALSE(Has(options, "locks"));
  EXPECT_TRUE(Has(options, "database"));
}

TEST(Options, BeatTheEnvironment) {
  const Variable level("PG_EXPORTER_LOG_LEVEL", "error");
  const Variable worker("PG_EXPORTER_WORKER", "true");
  const Variable locks("PG_EXPORTER_COLLECTOR_LOCKS", "false");
  const auto options =
      Given({"--log.level=warn", "--no-worker", "--collector.locks"});
  EXPECT_EQ(options.log_level, meshhook::log::Level::kWarn);
  EXPECT_FALSE(options.worker);
  EXPECT_TRUE(Has(options, "locks"));
}

TEST(Options, AreRefusedInOneLineThatNamesThem) {
  for (const auto& [arguments, named] :
       std::vector<std::pair<std::vector<const char*>, std::string>>{
           {{"--web.listen-adress=:1"}, "--web.listen-adress"},
           {{"--no-collector.lock"}, "--no-collector.lock"},
           {{"--log.level=loud"}, "--log.level"},
           {{"--log.format=xml"}, "--log.format"},
           {{"--web.telemetry-path=metrics"}, "--web.telemetry-path"},
           {{"--scrape.timeout=0"}, "--scrape.timeout"},
           {{"--scrape.timeout=nan"}, "--scrape.timeout"},
           {{"--scrape.timeout=soon"}, "--scrape.timeout"},
           {{"migrate", "--lock-wait=long"}, "--lock-wait"},
           {{"migrate", "--lock-wait=-5"}, "--lock-wait"},
           {{"--web.listen-address"}, "--web.listen-address"},
           {{"bogus"}, "bogus"},
           {{"check", "scrape"}, "scrape"},
           {{"explain"}, "COLLECTOR"},
           {{"--collectors.file"}, "--collectors.file"},
           {{"scrape", "--print"}, "--print"}}) {
    const auto complaint = Complaint(arguments);
    EXPECT_NE(complaint.find(named), complaint.npos) << complaint;
    EXPECT_NE(complaint.find("; see meshhook-exporter --help"), complaint.npos)
        << complaint;
    EXPECT_EQ(complaint.find('\n'), complaint.npos) << complaint;
  }
}

TEST(Options, TakeAPathThatRequestsCanHave) {
  for (const char* path : {"/", "/metrics/", "/pg/v1.0/metrics_~-", "/.m"}) {
    EXPECT_EQ(Given({"--web.telemetry-path", path}).http.telemetry_path, path);
  }
  for (const char* path :
       {"/a?b", "/a#b", "/a%20b", "/a b", "/ä", "//", "/a//b", "/a//", "/.",
        "/a/./b", "/..", "/a/../b", "/healthz", "/readyz"}) {
    EXPECT_NE(
        Complaint({"--web.telemetry-path", path}).find("--web.telemetry-path"),
        std::string::npos)
        << path;
  }
}

TEST(Options, AreRefusedFromTheEnvironmentToo) {
  const Variable level("PG_EXPORTER_LOG_LEVEL", "loud");
  EXPECT_NE(Complaint({}).find("loud"), std::string::npos) << Complaint({});
}

TEST(Options, PrintHelpAndVersionAndDoNoMore) {
  testing::internal::CaptureStdout();
  EXPECT_FALSE(Parse({"--version"}));
  EXPECT_FALSE(Parse({"--help"}));
  EXPECT_FALSE(Parse({"migrate", "--help"}));
  const auto printed = testing::internal::GetCapturedStdout();
  EXPECT_EQ(printed.rfind("meshhook-exporter 0.", 0), 0u) << printed;
  for (const char* part : {"DATABASE_URL", "PG_EXPORTER_", "--lock-wait"}) {
    EXPECT_NE(printed.find(part), printed.npos) << part;
  }
}

TEST(Options, UninstallGoesWithALockWaitAndNothingElse) {
  EXPECT_FALSE(Given({"migrate"}).uninstall);
  const auto options = Given({"migrate", "--uninstall", "--lock-wait=5"});
  EXPECT_TRUE(options.uninstall);
  EXPECT_EQ(options.lock_patience, 5s);
  for (const char* other : {"--print", "--dir=x", "--no-backfill"}) {
    const auto complaint = Complaint({"migrate", "--uninstall", other});
    EXPECT_EQ(complaint.rfind("--uninstall cannot be combined with --", 0), 0u)
        << complaint;
  }
}

}  // namespace
