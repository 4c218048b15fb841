// SPDX-License-Identifier: MIT
#include "tests/contract/rig.h"

#include <stdexcept>

#include "collectors/all.h"
#include "tests/support/database.h"
#include "tests/support/process.h"

namespace test {
namespace {

using namespace std::chrono_literals;
using meshhook::pg::Clock;
using meshhook::pg::Connection;

// An autovacuum of `slow` begins within a second or two and lasts for minutes.
constexpr auto kBusy = R"(
    CREATE TABLE public.slow WITH (
        autovacuum_vacuum_threshold = 1, autovacuum_vacuum_scale_factor = 0,
        autovacuum_vacuum_cost_delay = 100, autovacuum_vacuum_cost_limit = 1)
    AS SELECT n FROM generate_series(1, 50000) AS n;
    CREATE INDEX ON public.slow (n);
    DELETE FROM public.slow WHERE n % 2 = 0)";

std::string Page(const Server& server, meshhook::ScrapeStatus& status) {
  auto conninfo =
      ConninfoOf("postgresql://" + std::string(kExporter) +
                 "@127.0.0.1:" + PortOf(server.directory()) + "/app");
  auto collectors = meshhook::collectors::All();
  for (auto& collector : collectors) {
    for (auto& setting : collector.settings) {
      if (setting.name == "include_query") setting.value = "true";
    }
  }
  meshhook::Scraper scraper(conninfo, std::move(collectors), nullptr);
  const auto page = scraper.Scrape(Clock::now() + 20s);
  status = scraper.Status();
  return page->text();
}

void Require(bool done, const std::string& what) {
  if (!done) throw std::runtime_error("the rig: " + what);
}

}  // namespace

Rig::Rig() {
  Configure();
  MakeApp();
  version_ = std::stoi(Psql("SHOW server_version_num"));
  if (version_ >= 160'000) Psql("CREATE EXTENSION pg_buffercache");
  Psql(kBusy);
  Psql("SELECT pg_create_physical_replication_slot('standby', true)");
  Psql("SELECT pg_create_logical_replication_slot('reader', 'test_decoding')");
  standby_ = Server::StandbyOf(primary_);
  standby_->Shell(R"(pg_psql "$1" postgres --command \
                       "ALTER SYSTEM SET primary_slot_name = 'standby'" \
                       --command 'SELECT pg_reload_conf()' --output=/dev/null)");
  Require(Await([this] {
            return Psql(
                       "SELECT count(*) FROM pg_replication_slots "
                       "WHERE active") == "1";
          }),
          "the standby does not use its slot");
  Psql("SELECT pg_switch_wal()");
  Require(Await([this] {
            return Psql(
                       "SELECT (last_archived_time IS NOT NULL)::text "
                       "FROM pg_stat_archiver") == "true";
          }),
          "nothing is archived");
  Require(Await(
              [this] {
                return Psql(
                           "SELECT count(*) FROM pg_stat_progress_vacuum "
                           "WHERE relid = 'public.slow'::regclass") == "1";
              },
              60s),
          "no autovacuum begins");
  Psql("SELECT pg_stat_reset()");
}

void Rig::Configure() {
  primary_.Shell(R"(pg_psql "$1" postgres --output=/dev/null \
      --command 'ALTER SYSTEM SET archive_mode = on' \
      --command "ALTER SYSTEM SET archive_command = 'true'" \
      --command 'ALTER SYSTEM SET autovacuum_naptime = 1' \
      --command "ALTER SYSTEM SET log_autovacuum_min_duration = -1" \
      --command "ALTER SYSTEM SET max_slot_wal_keep_size = '1GB'" \
      --command 'ALTER SYSTEM SET max_prepared_transactions = 5')");
  primary_.Shell("pg_cluster_stop \"$1\"");
  primary_.Start();
}

void Rig::MakeApp() {
  primary_.Shell(R"(pg_database_create "$1" app && pg_fixtures_load "$1" app
                    DATABASE_URL="postgresql://postgres@127.0.0.1:$PGPORT/app" \
                      "$2" migrate >/dev/null)",
                 MESHHOOK_EXPORTER);
}

std::string Rig::PrimaryPage() { return Page(primary_, primary_status_); }

std::string Rig::StandbyPage() { return Page(*standby_, standby_status_); }

std::string Rig::Psql(const std::string& sql) {
  if (sessions_.empty()) {
    sessions_.push_back(
        Connection::Open(ConninfoOf(primary_.Url("app")), Clock::now() + 20s));
  }
  return Exec(sessions_[0], sql);
}

}  // namespace test
