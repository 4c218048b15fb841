// SPDX-License-Identifier: MIT
// The list of collectors. To add one: its own file, its declaration here and
// its line in All().
#pragma once

#include <vector>

#include "exporter/collector.h"

namespace meshhook::collectors {

// What MeshHook does.
Collector WorkflowRuns();
Collector WorkflowWindows();
Collector WorkflowInfo();
Collector WorkflowActive();
Collector AlertThresholds();
Collector Steps();
Collector WorkflowSteps();
Collector FailureHotspots();
Collector Worker();
Collector Fold();
Collector Queues();
Collector QueueSettings();
Collector JobTracking();
Collector BossJobs();
Collector CronJobs();
Collector EventPartitions();

// What PostgreSQL does, under postgres_exporter's names.
Collector StatActivity();
Collector Connections();
Collector StatDatabase();
Collector Database();
Collector Locks();
Collector StatUserTables();
Collector TableSizes();
Collector StatioUserTables();
Collector StatStatements();
Collector StatStatementsInfo();
Collector Replication();
Collector StatReplication();
Collector ReplicationSlots();
Collector StatWalReceiver();
Collector Wal();
Collector StatArchiver();
Collector XlogLocation();
Collector StatBgwriter();
Collector StatCheckpointer();
Collector StatDatabaseConflicts();
Collector StatActivityAutovacuum();
Collector StatProgressVacuum();
Collector LongRunningTransactions();
Collector DatabaseWraparound();
Collector ProcessIdle();
Collector StatioUserIndexes();
Collector BuffercacheSummary();
Collector Roles();
Collector Settings();
Collector Postmaster();

// What PostgreSQL does, beyond that: the server as a whole.
Collector Blocking();
Collector LockWaits();
Collector WaitEvents();
Collector Transactions();
Collector XminHorizon();
Collector PreparedTransactions();
Collector ClientEncryption();
Collector ConnectionLimits();
Collector DatabaseIds();
Collector Replicas();
Collector Standby();
Collector Slots();
Collector LogicalDecoding();
Collector Subscriptions();
Collector SubscriptionErrors();
Collector StatIo();
Collector StatWal();
Collector Slru();
Collector Progress();
Collector PendingRestart();
Collector Extensions();

// Tables, indexes and sequences of each database, beyond postgres_exporter.
Collector StatUserIndexes();
Collector IndexAdvice();
Collector ForeignKeys();
Collector HypotheticalIndexes();
Collector SequentialScans();
Collector Bloat();
Collector Pgstattuple();
Collector Sequences();
Collector MaterializedViews();
Collector MaterializedViewRefreshes();

inline std::vector<Collector> All() {
  return {WorkflowRuns(),
          WorkflowWindows(),
          WorkflowInfo(),
          WorkflowActive(),
          AlertThresholds(),
          Steps(),
          WorkflowSteps(),
          FailureHotspots(),
          Worker(),
          Fold(),
          Queues(),
          QueueSettings(),
          JobTracking(),
          BossJobs(),
          CronJobs(),
          EventPartitions(),
          StatActivity(),
          Connections(),
          StatDatabase(),
          Database(),
          Locks(),
          StatUserTables(),
          TableSizes(),
          StatioUserTables(),
          StatStatements(),
          StatStatementsInfo(),
          Replication(),
          StatReplication(),
          ReplicationSlots(),
          StatWalReceiver(),
          Wal(),
          StatArchiver(),
          XlogLocation(),
          StatBgwriter(),
          StatCheckpointer(),
          StatDatabaseConflicts(),
          StatActivityAutovacuum(),
          StatProgressVacuum(),
          LongRunningTransactions(),
          DatabaseWraparound(),
          ProcessIdle(),
          StatioUserIndexes(),
          BuffercacheSummary(),
          Roles(),
          Settings(),
          Postmaster(),
          Blocking(),
          LockWaits(),
          WaitEvents(),
          Transactions(),
          XminHorizon(),
          PreparedTransactions(),
          ClientEncryption(),
          ConnectionLimits(),
          DatabaseIds(),
          Replicas(),
          Standby(),
          Slots(),
          LogicalDecoding(),
          Subscriptions(),
          SubscriptionErrors(),
          StatIo(),
          StatWal(),
          Slru(),
          Progress(),
          PendingRestart(),
          Extensions(),
          StatUserIndexes(),
          IndexAdvice(),
          ForeignKeys(),
          HypotheticalIndexes(),
          SequentialScans(),
          Bloat(),
          Pgstattuple(),
          Sequences(),
          MaterializedViews(),
          MaterializedViewRefreshes()};
}

}  // namespace meshhook::collectors
