// SPDX-License-Identifier: MIT
// What logical slots decode. What spills did not fit logical_decoding_work_mem
// and went to disk.
#include "collectors/all.h"
#include "collectors/metric.h"

namespace meshhook::collectors {

Collector LogicalDecoding() {
  return {
      .name = "logical_decoding",
      .summary = "what logical slots decode, spill and stream",
      .query = R"(
        SELECT slot_name, spill_txns, spill_count, spill_bytes, stream_txns,
               stream_count, stream_bytes, total_txns, total_bytes
        FROM pg_stat_replication_slots)",
      .labels = {"slot_name"},
      .metrics =
          {Counter("meshhook_logical_decoding_transactions_total",
                   "Transactions decoded.", "total_txns"),
           Counter("meshhook_logical_decoding_bytes_total",
                   "Bytes of changes decoded.", "total_bytes"),
           Counter("meshhook_logical_decoding_spilled_transactions_total",
                   "Transactions that were spilled to disk.", "spill_txns"),
           Counter("meshhook_logical_decoding_spills_total",
                   "Times changes were spilled to disk.", "spill_count"),
           Counter("meshhook_logical_decoding_spilled_bytes_total",
                   "Bytes of changes spilled to disk.", "spill_bytes"),
           Counter("meshhook_logical_decoding_streamed_transactions_total",
                   "Transactions that were sent while under way.",
                   "stream_txns"),
           Counter("meshhook_logical_decoding_streams_total",
                   "Times changes of one under way were sent.", "stream_count"),
           Counter("meshhook_logical_decoding_streamed_bytes_total",
                   "Bytes of changes sent so.", "stream_bytes")},
      .min_server_version = 140000,
      .interval = std::chrono::seconds(30),
  };
}

}  // namespace meshhook::collectors
