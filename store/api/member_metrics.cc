// SPDX-License-Identifier: Apache-2.0
#include "store/api/member_metrics.h"

#include "store/cluster/version.h"
#include "store/engine/engine.h"

#include <fmt/format.h>

#include <string>
#include <utility>

namespace store::api {
namespace {

double Load(const std::atomic<uint64_t>& value) {
  return static_cast<double>(value.load(std::memory_order_relaxed));
}

}  // namespace

MemberMetrics::MemberMetrics(Registry& registry, const ServiceContext& context,
                             const watch::WatchHub& hub, const CallBudget& budget)
    : registry_(registry), context_(context) {
  AddServer();
  AddStorage();
  AddWatch(hub);
  Gauge("sluice_pending_calls", "Calls that wait for an answer.",
        [&budget] { return static_cast<double>(budget.calls()); });
  Gauge("sluice_pending_bytes", "Bytes held for calls that wait.",
        [&budget] { return static_cast<double>(budget.bytes()); });
  registry
      .AddGauges("etcd_server_version", "Which version is running. 1 for 'server_version' label.",
                 {"server_version"})
      .With({std::string(cluster::kServerVersion)})
      .Set(1);
  registry
      .AddGauges("etcd_server_id", "Server or member ID in hexadecimal format. 1 for 'server_id'.",
                 {"server_id"})
      .With({fmt::format("{:x}", context.header.identity().member)})
      .Set(1);
}

void MemberMetrics::Gauge(std::string_view name, std::string_view help, Read read) {
  handles_.push_back(registry_.AddCallbackGauge(name, help, {}, std::move(read)));
}

void MemberMetrics::Counter(std::string_view name, std::string_view help, Read read) {
  handles_.push_back(registry_.AddCallbackCounter(name, help, {}, std::move(read)));
}

void MemberMetrics::AddServer() {
  const replica::RaftGauges& gauges = context_.gauges;
  Gauge("etcd_server_has_leader", "Whether or not a leader exists. 1 is existence, 0 is not.",
        [&gauges] { return Load(gauges.leader) != 0 ? 1.0 : 0.0; });
  Gauge("etcd_server_is_leader", "Whether or not this member is a leader. 1 if is, 0 otherwise.",
        [&gauges] { return gauges.is_leader.load(std::memory_order_relaxed) ? 1.0 : 0.0; });
  Gauge("etcd_server_is_learner", "Whether or not this member is a learner. 1 if is, 0 otherwise.",
        [&context = context_] {
          return context.gauges.is_learner.load(std::memory_order_relaxed) ? 1.0 : 0.0;
        });
  Gauge("sluice_disk_room", "Room for writes on the disk. 0 enough, 1 nearly full, 2 full.",
        [&gauges] { return static_cast<double>(gauges.disk_room.load()); });
  Gauge("sluice_disk_available_bytes", "Bytes that are free on the disk of the data directory.",
        [&gauges] { return Load(gauges.disk_available_bytes); });
  Gauge("etcd_server_quota_backend_bytes", "Current backend storage quota size in bytes.",
        [quota = context_.limits.quota_bytes] { return static_cast<double>(quota); });
  AddProgress();
}

void MemberMetrics::AddProgress() {
  const replica::RaftGauges& gauges = context_.gauges;
  Gauge("etcd_server_proposals_committed_total",
        "The total number of consensus proposals committed.",
        [&gauges] { return Load(gauges.commit); });
  Gauge("etcd_server_proposals_applied_total", "The total number of consensus proposals applied.",
        [&gauges] { return Load(gauges.applied); });
  Gauge("sluice_raft_first_index", "The first entry of the raft log that is still there.",
        [&gauges] { return Load(gauges.first); });
  Gauge("etcd_server_proposals_pending", "The current number of pending proposals to commit.",
        [&gauges] { return Load(gauges.proposals_waiting); });
  Counter("etcd_server_leader_changes_seen_total", "The number of leader changes seen.",
          [&gauges] { return Load(gauges.leader_changes); });
  Counter("etcd_server_heartbeat_send_failures_total",
          "The total number of leader heartbeat send failures (likely overloaded from slow disk).",
          [&gauges] { return Load(gauges.late_heartbeats); });
  Counter("etcd_server_slow_apply_total",
          "Batches of entries that took 100 ms or more to apply (likely overloaded disk).",
          [&gauges] { return Load(gauges.slow_applies); });
  Counter("etcd_server_slow_read_indexes_total",
          "Questions for the read index, one a loop and round, that got no answer in time.",
          [&gauges] { return Load(gauges.slow_reads); });
  Counter("etcd_server_read_indexes_failed_total",
          "Questions for the read index, one a loop and round, that failed with their leader.",
          [&gauges] { return Load(gauges.failed_reads); });
}

void MemberMetrics::AddStorage() {
  const mvcc::MvccStore& store = context_.state.mvcc();
  Gauge("etcd_debugging_mvcc_keys_total", "Total number of keys.",
        [&store] { return static_cast<double>(store.stats().keys); });
  Gauge("etcd_debugging_mvcc_current_revision", "The current revision of store.",
        [&store] { return static_cast<double>(store.current().value()); });
  Gauge("etcd_debugging_mvcc_compact_revision", "The revision of the last compaction in store.",
        [&store] { return static_cast<double>(store.compacted().value()); });
  Counter("etcd_mvcc_put_total", "Puts that were applied, those of transactions included.",
          [&store] { return static_cast<double>(store.stats().puts); });
  Counter("etcd_mvcc_delete_total", "Ranges that were deleted, those of transactions included.",
          [&store] { return static_cast<double>(store.stats().deletes); });
  Counter("etcd_mvcc_range_total", "Ranges that were read, those of transactions included.",
          [&store] { return static_cast<double>(store.stats().ranges); });
  Counter("etcd_mvcc_txn_total", "Transactions of more than one operation, compares included.",
          [&store] { return static_cast<double>(store.stats().txns); });
  Gauge("etcd_mvcc_db_total_size_in_bytes",
        "Total size of the underlying database physically allocated in bytes.", [&store] {
          engine::EngineSizes sizes = store.engine()->Sizes();
          return static_cast<double>(sizes.disk_bytes + sizes.memtable_bytes);
        });
  const auto engine_memory = [&](std::string_view use, uint64_t engine::EngineSizes::* bytes) {
    handles_.push_back(registry_.AddCallbackGauge(
        "sluice_engine_memory_bytes", "Memory of the engine by what it is used for.",
        {{"use", std::string(use)}},
        [&store, bytes] { return static_cast<double>(store.engine()->Sizes().*bytes); }));
  };
  engine_memory("cache", &engine::EngineSizes::cache_bytes);
  engine_memory("memtables", &engine::EngineSizes::memtable_bytes);
  Gauge("etcd_mvcc_db_total_size_in_use_in_bytes",
        "Total size of the underlying database logically in use in bytes.",
        [this] { return static_cast<double>(context_.state.Read()->logical_bytes); });
}

void MemberMetrics::AddWatch(const watch::WatchHub& hub) {
  Gauge("etcd_debugging_mvcc_watch_stream_total", "Total number of watch streams.",
        [&hub] { return static_cast<double>(hub.stats().streams); });
  Gauge("etcd_debugging_mvcc_watcher_total", "Total number of watchers.",
        [&hub] { return static_cast<double>(hub.stats().watchers); });
  Gauge("etcd_debugging_mvcc_slow_watcher_total", "Total number of unsynced slow watchers.",
        [&hub] { return static_cast<double>(hub.stats().lagging); });
  Counter("etcd_debugging_mvcc_events_total", "Total number of events sent by this member.",
          [&hub] { return static_cast<double>(hub.stats().events_sent); });
}

}  // namespace store::api
