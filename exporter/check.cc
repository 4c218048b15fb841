// SPDX-License-Identifier: MIT
#include "exporter/check.h"

#include <fmt/format.h>

#include "exporter/migrations.h"
#include "exporter/remedy.h"
#include "exporter/scraper.h"

namespace meshhook {
namespace {

using namespace std::chrono_literals;

constexpr int kOldestServer = 130000;

class Report {
 public:
  explicit Report(std::ostream& out) : out_(out) {}

  void Ok(const std::string& what) { out_ << "ok    " << what << '\n'; }
  void Off(const std::string& what) { out_ << "off   " << what << '\n'; }
  void Hint(const std::string& what) { out_ << "hint  " << what << '\n'; }
  void Absent(const std::string& what) { out_ << "n/a   " << what << '\n'; }
  void Fail(const std::string& what, const std::string& remedy) {
    out_ << "FAIL  " << what << (remedy.empty() ? "" : "; to mend it: ")
         << remedy << '\n';
    good_ = false;
  }
  bool good() const { return good_; }

 private:
  std::ostream& out_;
  bool good_ = true;
};

// One row of booleans: what must be true, and what to do where it is not.
struct Expectation {
  std::string what;
  std::string query;
  std::string remedy;
};

std::vector<Expectation> Expectations() {
  const auto count = std::to_string(EmbeddedMigrations().size());
  return {
      {"the data layer is installed and as new as this program",
       "SELECT max(version) = " + count + " FROM metrics.schema_migrations",
       "meshhook-exporter migrate, as the owner of MeshHook's tables"},
      {"runs from before the installation are counted",
       "SELECT finished_at IS NOT NULL FROM metrics.backfill_state",
       "meshhook-exporter migrate, which goes on where it stopped"},
      {"this role may fold",
       "SELECT has_function_privilege('metrics.fold(int)', 'EXECUTE')",
       "connect as meshhook_exporter"},
      {"this role may see all sessions (pg_monitor)",
       "SELECT pg_has_role('pg_monitor', 'USAGE')",
       "as an administrator: GRANT pg_monitor TO the role"},
      {"the data is fresh (last fold within a minute)",
       "SELECT coalesce(last_success_at > now() - interval '1 minute', false) "
       "FROM metrics.worker_tasks WHERE task = 'fold'",
       "start the exporter with its worker, or schedule metrics.fold() with "
       "pg_cron"}};
}

void CheckDatabase(const Conninfo& conninfo, Report& report) {
  auto connection = pg::Connection::Open(conninfo, pg::Clock::now() + 10s);
  report.Ok(fmt::format("connected to {}:{}/{} as {}, by {}", connection.host(),
                        connection.port(), connection.database(),
                        connection.user(), conninfo.source()));
  if (connection.server_version() < kOldestServer) {
    report.Fail("PostgreSQL is older than 13", "upgrade the server");
  }
  const auto expectations = Expectations();
  std::vector<pg::Query> queries;
  for (const auto& expectation : expectations) {
    queries.push_back({expectation.query, {}});
  }
  const auto outcomes =
      connection.Flight(queries, {.statement_timeout = 5s, .lock_timeout = 1s},
                        pg::Clock::now() + 20s);
  for (size_t i = 0; i < expectations.size(); ++i) {
    const auto& [what, query, remedy] = expectations[i];
    try {
      const auto& rows = outcomes[i].rows();
      if (rows.rows() > 0 && rows.Text(0, 0) == "t") {
        report.Ok(what);
      } else {
        report.Fail("not true: " + what, remedy);
      }
    } catch (const pg::Error& error) {
      const auto advice = RemedyFor(error);
      report.Fail("not true: " + what + ": " + conninfo.Redact(error.what()),
                  advice.empty() ? remedy : advice);
    }
  }
}

void CheckCollectors(const Conninfo& conninfo, const Options& options,
                     Report& report) {
  Scraper scraper(conninfo, options.collectors, nullptr, options.scrape);
  scraper.Scrape(pg::Clock::now() + options.http.scrape_timeout);
  for (const auto& collector : scraper.Status().collectors) {
    if (collector.success) {
      report.Ok(fmt::format(
          "collector {}: {} rows in {:.1f} ms", collector.name, collector.rows,
          std::chrono::duration<double, std::milli>(collector.took).count()));
    } else if (collector.silent) {
      report.Absent("collector " + collector.name + ": " + collector.reason);
    } else {
      report.Fail("collector " + collector.name + ": " + collector.reason,
                  collector.remedy);
    }
  }
  for (const auto& collector : options.off) {
    report.Off("collector " + collector.name + ": switched off; --collector." +
               collector.name + " switches it on");
  }
  for (const auto& fault : options.skipped) {
    report.Fail("skipped: " + Text(fault), "");
  }
  for (const auto& advice : options.advice) report.Hint(Text(advice));
}

}  // namespace

bool Check(const Conninfo& conninfo, const Options& options,
           std::ostream& out) {
  Report report(out);
  try {
    CheckDatabase(conninfo, report);
    CheckCollectors(conninfo, options, report);
  } catch (const pg::Error& error) {
    report.Fail("no connection, by " + conninfo.source() + ": " +
                    conninfo.Redact(error.what()),
                RemedyFor(error));
  }
  return report.good();
}

}  // namespace meshhook
