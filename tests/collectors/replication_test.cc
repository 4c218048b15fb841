// SPDX-License-Identifier: MIT
// Replication seen from all its ends: the primary, the standby, slots, logical
// decoding and subscriptions. On servers of their own.
#include <gtest/gtest.h>

#include <cmath>

#include "collectors/all.h"
#include "tests/support/collect.h"
#include "tests/support/server.h"

namespace {

namespace collectors = meshhook::collectors;
using meshhook::pg::Connection;
using test::Await;
using test::Collecting;
using test::Exec;
using test::SampleSum;
using test::Server;

Connection Open(const Server& server,
                const std::string& database = "postgres") {
  return Connection::Open(
      test::ConninfoOf(server.Url(database)),
      meshhook::pg::Clock::now() + std::chrono::seconds(20));
}

void MakeExporter(Connection& session) {
  Exec(session, "CREATE ROLE meshhook_exporter LOGIN");
  Exec(session, "GRANT pg_monitor TO meshhook_exporter");
}

Collecting Of(const Server& server, const meshhook::Collector& collector) {
  return Collecting(
      test::ConninfoOf("postgresql://meshhook_exporter@127.0.0.1:" +
                       test::PortOf(server.directory()) + "/postgres"),
      collector);
}

int Version(Connection& session) {
  return std::stoi(Exec(session, "SHOW server_version_num"));
}

// A primary and a standby that streams from the slot `copy`.
struct Pair {
  Pair() : primary(Open(first)) {
    MakeExporter(primary);
    Exec(primary, "SELECT pg_create_physical_replication_slot('copy', true)");
    Exec(primary, "CREATE TABLE t (n int)");
    second = Server::StandbyOf(first);
    standby = std::make_unique<Connection>(Open(*second));
    Exec(*standby, "ALTER SYSTEM SET primary_slot_name = 'copy'");
    Exec(*standby, "ALTER SYSTEM SET hot_standby_feedback = on");
    Exec(*standby, "ALTER SYSTEM SET wal_receiver_status_interval = '1s'");
    Exec(*standby, "SELECT pg_reload_conf()");
    EXPECT_TRUE(Await([this] {
      return Exec(primary, "SELECT active FROM pg_replication_slots") == "t";
    }));
    Exec(primary, "INSERT INTO t VALUES (0)");
    EXPECT_TRUE(Await(
        [this] { return Exec(*standby, "SELECT count(*) FROM t") == "1"; }));
  }

  Server first;
  std::unique_ptr<Server> second;
  Connection primary;
  std::unique_ptr<Connection> standby;
};

constexpr auto kZero = [](double now) { return now == 0; };
constexpr auto kMore = [](double now) { return now > 0; };

TEST(Standby, IsZeroBehindWithAllReplayedAndNeverWithItsLinkCut) {
  Pair pair;
  auto standby = Of(*pair.second, collectors::Standby());
  EXPECT_EQ(standby.Sum("meshhook_standby_link_up "), 1);
  EXPECT_TRUE(standby.Becomes("meshhook_standby_lag_seconds ", kZero));
  EXPECT_EQ(standby.Sum("meshhook_standby_replay_lag_bytes "), 0);
  EXPECT_EQ(standby.Sum("meshhook_standby_replay_paused "), 0);
  EXPECT_GE(standby.Sum("meshhook_standby_silence_seconds "), 0);
  EXPECT_TRUE(
      std::isnan(Of(pair.first, collectors::Standby()).Sum("meshhook_standby")))
      << "a primary is no standby";

  Exec(*pair.standby, "SELECT pg_wal_replay_pause()");
  Exec(pair.primary, "INSERT INTO t SELECT generate_series(1, 1000)");
  EXPECT_TRUE(standby.Becomes("meshhook_standby_lag_seconds ", kMore));
  EXPECT_GT(standby.Sum("meshhook_standby_replay_lag_bytes "), 0);
  EXPECT_EQ(standby.Sum("meshhook_standby_replay_paused "), 1);
  Exec(*pair.standby, "SELECT pg_wal_replay_resume()");
  EXPECT_TRUE(standby.Becomes("meshhook_standby_lag_seconds ", kZero));

  // A primary that says nothing: the link stands, as it seems.
  Exec(*pair.standby, "ALTER SYSTEM SET wal_receiver_timeout = '3s'");
  Exec(*pair.standby, "SELECT pg_reload_conf()");
  pair.first.Freeze();
  EXPECT_TRUE(standby.Becomes("meshhook_standby_lag_seconds ", kMore));
  pair.first.Thaw();
  EXPECT_TRUE(standby.Becomes("meshhook_standby_lag_seconds ", kZero));

  pair.first.Stop();
  ASSERT_TRUE(standby.Becomes("meshhook_standby_link_up ", kZero));
  const auto page = standby.Page();
  EXPECT_GT(SampleSum(page, "meshhook_standby_lag_seconds "), 0);
  EXPECT_EQ(SampleSum(page, "meshhook_standby_lag_seconds "),
            SampleSum(page, "meshhook_standby_replay_age_seconds "));
  EXPECT_TRUE(std::isnan(SampleSum(page, "meshhook_standby_silence_seconds ")));

  pair.second->Promote();
  EXPECT_TRUE(std::isnan(standby.Sum("meshhook_standby")));
  EXPECT_EQ(standby.Sum("pg_scrape_collector_success"), 1);
}

TEST(Replicas, AreAsFarBehindAsTheyHaveNotReplayed) {
  Pair pair;
  auto replicas = Of(pair.first, collectors::Replicas());
  const std::string copy = "{slot_name=\"copy\",sync_state=\"async\"}";
  ASSERT_TRUE(replicas.Becomes("meshhook_replica_connections" + copy,
                               [](double now) { return now == 1; }));
  for (const char* lag :
       {"sent_lag_bytes", "write_lag_bytes", "flush_lag_bytes",
        "replay_lag_bytes", "write_lag_seconds", "flush_lag_seconds",
        "replay_lag_seconds"}) {
    EXPECT_TRUE(
        replicas.Becomes(std::string("meshhook_replica_") + lag + copy, kZero))
        << lag;
  }
  Exec(*pair.standby, "SELECT pg_wal_replay_pause()");
  Exec(pair.primary, "INSERT INTO t SELECT generate_series(1, 1000)");
  EXPECT_TRUE(
      replicas.Becomes("meshhook_replica_flush_lag_bytes" + copy, kZero));
  EXPECT_GT(replicas.Sum("meshhook_replica_replay_lag_bytes" + copy), 1000);
  // Never falsely 0: unknown until it has replayed something.
  EXPECT_FALSE(replicas.Sum("meshhook_replica_replay_lag_seconds" + copy) == 0);
  Exec(*pair.standby, "SELECT pg_wal_replay_resume()");
  EXPECT_TRUE(
      replicas.Becomes("meshhook_replica_replay_lag_seconds" + copy, kZero));
  EXPECT_LT(replicas.Sum("meshhook_replica_reply_age_seconds" + copy), 10);

  // What the standby reads keeps the primary from removing rows.
  Exec(*pair.standby,
       "BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM t");
  Exec(pair.primary, "INSERT INTO t VALUES (1)");
  Exec(pair.primary, "INSERT INTO t VALUES (1)");
  EXPECT_TRUE(
      Of(pair.first, collectors::XminHorizon())
          .Becomes("meshhook_xmin_holder_age_transactions{kind=\"replication "
                   "slot\",datname=\"\"}",
                   [](double now) { return now >= 2; }));

  auto slots = Of(pair.first, collectors::Slots());
  const bool since = Version(pair.primary) >= 170000;
  const std::string inactive =
      "meshhook_replication_slot_inactive_seconds{slot_name=\"copy\"}";
  EXPECT_EQ(slots.Sum(inactive) == 0, since);
  pair.standby.reset();
  pair.second->Stop();
  EXPECT_TRUE(
      Await([&] { return std::isnan(replicas.Sum("meshhook_replica_")); }));
  if (since) {
    EXPECT_TRUE(slots.Becomes(inactive, kMore));
  }
  Exec(pair.primary, "INSERT INTO t SELECT generate_series(1, 1000)");
  EXPECT_GT(
      slots.Sum("meshhook_replication_slot_kept_bytes{slot_name=\"copy\"}"),
      1000);
}

TEST(Slots, SayWhyOneIsLost) {
  Server server;
  auto session = Open(server);
  MakeExporter(session);
  Exec(session, "ALTER SYSTEM SET max_slot_wal_keep_size = '1MB'");
  Exec(session, "SELECT pg_reload_conf()");
  Exec(session, "SELECT pg_create_physical_replication_slot('old', true)");
  auto slots = Of(server, collectors::Slots());
  const std::string lost = "meshhook_replication_slot_lost_info{";
  EXPECT_TRUE(std::isnan(slots.Sum(lost)));
  for (int i = 0; i < 3; ++i) {
    Exec(session, "SELECT pg_switch_wal(), txid_current()");
  }
  Exec(session, "CHECKPOINT");
  EXPECT_EQ(slots.Sum(lost + "slot_name=\"old\",reason=\"wal_removed\"}"), 1);
}

TEST(LogicalDecoding, CountsWhatSpilledToDisk) {
  Server server;
  auto session = Open(server);
  if (Version(session) < 140000) GTEST_SKIP() << "PostgreSQL 14 has it first";
  MakeExporter(session);
  Exec(session, "CREATE TABLE t (n int)");
  Exec(session, "CREATE PUBLICATION p FOR TABLE t");
  Exec(session, "SELECT pg_create_logical_replication_slot('s', 'pgoutput')");
  const std::string slot = "{slot_name=\"s\"}";
  auto decoding = Of(server, collectors::LogicalDecoding());
  EXPECT_EQ(decoding.Sum("meshhook_logical_decoding_bytes_total" + slot), 0);
  Exec(session, "INSERT INTO t SELECT generate_series(1, 5000)");
  auto slots = Of(server, collectors::Slots());
  const auto unconfirmed = "meshhook_replication_slot_unconfirmed_bytes" + slot;
  const auto before = slots.Sum(unconfirmed);
  EXPECT_GT(before, 100000);
  EXPECT_GT(Of(server, collectors::XminHorizon())
                .Sum("meshhook_xmin_holder_age_transactions{kind=\"catalog of "
                     "a replication slot\",datname=\"postgres\"}"),
            0);
  Exec(session, "SET logical_decoding_work_mem = '64kB'");
  Exec(session,
       "SELECT count(*) FROM pg_logical_slot_get_binary_changes('s', NULL, "
       "NULL, 'proto_version', '1', 'publication_names', 'p')");
  EXPECT_LT(slots.Sum(unconfirmed), before);
  ASSERT_TRUE(decoding.Becomes(
      "meshhook_logical_decoding_spilled_transactions_total" + slot,
      [](double now) { return now == 1; }));
  EXPECT_GT(
      decoding.Sum("meshhook_logical_decoding_spilled_bytes_total" + slot),
      64 * 1024);
  EXPECT_EQ(
      decoding.Sum("meshhook_logical_decoding_streamed_bytes_total" + slot), 0);
}

TEST(Subscriptions, AreUpUntilTheyMeetAnError) {
  Server server;
  auto session = Open(server);
  MakeExporter(session);
  const auto version = Version(session);
  for (const char* database : {"source", "target"}) {
    Exec(session, std::string("CREATE DATABASE ") + database);
  }
  auto source = Open(server, "source");
  auto target = Open(server, "target");
  Exec(source, "CREATE TABLE t (n int PRIMARY KEY)");
  Exec(target, "CREATE TABLE t (n int PRIMARY KEY)");
  Exec(source, "CREATE PUBLICATION p FOR TABLE t");
  Exec(source, "SELECT pg_create_logical_replication_slot('s', 'pgoutput')");
  Exec(target, "CREATE SUBSCRIPTION s CONNECTION '" + server.Url("source") +
                   "' PUBLICATION p WITH (create_slot = false)");
  const std::string labels = "{datname=\"target\",subscription=\"s\"}";
  auto subscriptions = Of(server, collectors::Subscriptions());
  ASSERT_TRUE(subscriptions.Becomes("meshhook_subscription_up" + labels,
                                    [](double now) { return now == 1; }));
  EXPECT_TRUE(
      subscriptions.Becomes("meshhook_subscription_silence_seconds" + labels,
                            [](double now) { return now >= 0 && now < 60; }));
  EXPECT_TRUE(subscriptions.Becomes(
      "meshhook_subscription_sync_workers" + labels, kZero));

  if (version >= 150000) {
    auto errors = Of(server, collectors::SubscriptionErrors());
    EXPECT_EQ(errors.Sum("meshhook_subscription_apply_errors_total" + labels),
              0);
    ASSERT_TRUE(Await([&] {  // or the copy would meet it, not the worker
      return Exec(target, "SELECT srsubstate FROM pg_subscription_rel") == "r";
    }));
    Exec(target, "INSERT INTO t VALUES (1)");
    Exec(source, "INSERT INTO t VALUES (1)");
    EXPECT_TRUE(errors.Becomes(
        "meshhook_subscription_apply_errors_total" + labels, kMore));
    if (version >= 180000) {
      EXPECT_TRUE(errors.Becomes(
          "meshhook_subscription_conflicts_total{datname=\"target\","
          "subscription=\"s\",kind=\"insert_exists\"}",
          kMore));
    }
  }
  Exec(target, "ALTER SUBSCRIPTION s DISABLE");
  EXPECT_TRUE(std::isnan(subscriptions.Sum("meshhook_subscription_up")));
}

TEST(Progress, ShowsABaseBackup) {
  Server server;
  auto session = Open(server);
  MakeExporter(session);
  const test::Process backup(
      {"bash", "-c",
       "source \"$0/postgres.env\" && PATH=$PG_BINDIR:$PATH "
       "exec pg_basebackup --host=127.0.0.1 --port=\"$PGPORT\" "
       "--username=supabase_admin --checkpoint=fast --max-rate=32k "
       "--wal-method=none --format=tar --pgdata=- >/dev/null",
       server.directory()});
  const std::string labels =
      "{datname=\"\",schemaname=\"\",relname=\"\",command=\"base backup\","
      "phase=\"streaming database files\"}";
  auto progress = Of(server, collectors::Progress());
  EXPECT_TRUE(progress.Becomes("meshhook_progress_done_bytes" + labels, kMore));
  EXPECT_GT(progress.Sum("meshhook_progress_all_bytes" + labels), 10e6);
  EXPECT_EQ(progress.Sum("meshhook_progress_commands" + labels), 1);
}

TEST(PendingRestart, NamesWhatWaitsForOne) {
  Server server;
  auto session = Open(server);
  MakeExporter(session);
  auto pending = Of(server, collectors::PendingRestart());
  EXPECT_EQ(pending.Sum("meshhook_pending_restart_settings "), 0);
  Exec(session, "ALTER SYSTEM SET max_connections = 77");
  Exec(session, "SELECT pg_reload_conf()");
  EXPECT_TRUE(pending.Becomes("meshhook_pending_restart_settings ",
                              [](double now) { return now == 1; }));
  EXPECT_EQ(pending.Sum("meshhook_pending_restart_setting_info{name="
                        "\"max_connections\"}"),
            1);
}

}  // namespace
