// SPDX-License-Identifier: Apache-2.0
// The member's limits and where their use is read: the rows of the table in store/README.md.
#include "store/server/parts.h"

#include <algorithm>

namespace store::server {
namespace {

double Load(const std::atomic<uint64_t>& value) {
  return static_cast<double>(value.load(std::memory_order_relaxed));
}
double Load(const std::atomic<int64_t>& value) {
  return static_cast<double>(value.load(std::memory_order_relaxed));
}

}  // namespace

void Server::Parts::AddBounds() {
  bounds_ = std::make_unique<api::BoundMetrics>(registry_);
  AddTransportBounds();
  AddCallBounds();
  AddLogBounds();
  AddStateBounds();
}

void Server::Parts::AddTransportBounds() {
  const rpc::Server& transport = *transport_;
  const rpc::TransportStats& stats = transport.stats();
  const rpc::ServerOptions& options = transport.options();
  bounds_->Add("connections", static_cast<double>(options.connections_max),
               [&stats] { return Load(stats.connections_open); });
  const rpc::TransportStats& metrics = metrics_port_->stats();
  bounds_->Add("metrics_connections", kMetricsConnectionsMax,
               [&metrics] { return Load(metrics.connections_open); });
  bounds_->Add("input_bytes", static_cast<double>(options.input_bytes_max),
               [&transport] { return static_cast<double>(transport.input_bytes()); });
  bounds_->Add("unsent_bytes", static_cast<double>(context_->limits.unsent_bytes_max),
               [&stats] { return Load(stats.unsent_bytes); });
  bounds_->AddLimit("connection_streams", static_cast<double>(options.limits.streams_max));
  bounds_->AddLimit("connection_input_bytes", static_cast<double>(options.limits.input_bytes_max));
  bounds_->AddLimit("connection_unsent_bytes",
                    static_cast<double>(options.limits.unsent_bytes_max));
  bounds_->AddLimit("message_bytes", static_cast<double>(options.limits.message_bytes_max));
  bounds_->AddLimit("header_bytes", static_cast<double>(options.limits.header_bytes_max));
}

void Server::Parts::AddCallBounds() {
  bounds_->Add("pending_calls", static_cast<double>(budget_.calls_max()),
               [this] { return static_cast<double>(budget_.calls()); });
  bounds_->Add("pending_bytes", static_cast<double>(budget_.bytes_max()),
               [this] { return static_cast<double>(budget_.bytes()); });
  bounds_->Add("range_waiting", kRangesWaitingMax,
               [this] { return static_cast<double>(range_pool_.waiting(kRangeWork)); });
  bounds_->AddLimit("request_bytes", static_cast<double>(context_->limits.request_bytes_max));
  bounds_->AddLimit("txn_ops", static_cast<double>(context_->limits.txn_ops_max));
}

void Server::Parts::AddLogBounds() {
  const replica::ReplicaConfig defaults;
  bounds_->Add("apply_lag_entries", static_cast<double>(defaults.proposals.apply_lag_entries),
               [this] { return std::max(0.0, Load(gauges_.commit) - Load(gauges_.applied)); });
  bounds_->Add("forwarded_bytes", static_cast<double>(defaults.proposals.forwarded_bytes),
               [this] { return Load(gauges_.forwarded_bytes); });
  bounds_->Add("uncommitted_bytes", static_cast<double>(defaults.raft.uncommitted_bytes_max),
               [this] { return Load(gauges_.uncommitted_bytes); });
  const replica::ThreadEnv& env = *env_;
  bounds_->Add("peer_mail", static_cast<double>(env.limits().peer_mail.items_max),
               [&env] { return static_cast<double>(env.peer_mail_items()); });
  bounds_->Add("peer_mail_bytes", static_cast<double>(env.limits().peer_mail.bytes_max),
               [&env] { return static_cast<double>(env.peer_mail_bytes()); });
  const peer::PeerLimits peer;
  bounds_->AddLimit("peer_queue_bytes",
                    static_cast<double>(peer.log_queue_bytes + peer.control_queue_bytes));
  bounds_->Add("log_window_bytes", static_cast<double>(defaults.raft.window_bytes_max),
               [this] { return Load(gauges_.window_bytes); });
}

void Server::Parts::AddStateBounds() {
  const watch::WatchLimits watch;
  bounds_->Add("watch_queue_bytes", static_cast<double>(watch.queue_bytes_max),
               [this] { return static_cast<double>(hub_->stats().queue_bytes); });
  bounds_->Add("watcher_bytes", static_cast<double>(watch.watcher_bytes_max),
               [this] { return static_cast<double>(hub_->stats().watcher_bytes); });
  bounds_->AddLimit("watch_stream_bytes", static_cast<double>(api::kWatchBytesMax));
  bounds_->AddLimit("watch_stream_responses", static_cast<double>(api::kWatchResponsesMax));
  bounds_->AddLimit("watch_kept_bytes", static_cast<double>(watch.kept_bytes_max));
  const mvcc::MvccStore& store = member_.machine->mvcc();
  bounds_->Add("index_bytes", static_cast<double>(IndexMemoryMax()),
               [&store] { return static_cast<double>(store.stats().index_bytes); });
  bounds_->Add("retired_bytes", static_cast<double>(mvcc::MvccOptions{}.retired_bytes_max),
               [&store] { return static_cast<double>(store.stats().retired_bytes); });
  bounds_->Add("trims_waiting", replica::Maintenance::kTrimsWaitingMax,
               [this] { return static_cast<double>(env_->maintenance().trims_waiting()); });
  bounds_->Add("value_cache_bytes", static_cast<double>(store.values().bytes_max()),
               [&store] { return static_cast<double>(store.values().bytes()); });
  bounds_->Add("backend_bytes", static_cast<double>(context_->limits.quota_bytes),
               [this] { return static_cast<double>(member_.machine->Read()->logical_bytes); });
}

}  // namespace store::server
