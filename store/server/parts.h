// SPDX-License-Identifier: Apache-2.0
// Server::Parts: everything a running member consists of, in the order of construction; the
// destructor runs it backwards. Private to server.cc and wiring.cc.
#pragma once

#include "store/api/bound_metrics.h"
#include "store/api/call_budget.h"
#include "store/api/cluster_service.h"
#include "store/api/gate.h"
#include "store/api/grpc_metrics.h"
#include "store/api/health_service.h"
#include "store/api/http_admin.h"
#include "store/api/kv_service.h"
#include "store/api/lease_service.h"
#include "store/api/maintenance_service.h"
#include "store/api/member_metrics.h"
#include "store/api/pending_calls.h"
#include "store/api/service_context.h"
#include "store/api/watch_service.h"
#include "store/base/metrics.h"
#include "store/base/worker_pool.h"
#include "store/peer/peer_service.h"
#include "store/peer/peer_set.h"
#include "store/peer/snapshot_transfers.h"
#include "store/replica/disk_allowance.h"
#include "store/replica/disk_guard.h"
#include "store/replica/gauges.h"
#include "store/replica/thread_env.h"
#include "store/rpc/event_loop.h"
#include "store/rpc/http_router.h"
#include "store/rpc/server.h"
#include "store/server/allocator_metrics.h"
#include "store/server/bootstrap.h"
#include "store/server/config.h"
#include "store/server/corruption.h"
#include "store/server/notify.h"
#include "store/server/process_metrics.h"
#include "store/server/publisher.h"
#include "store/server/server.h"
#include "store/server/version_monitor.h"
#include "store/watch/watch_hub.h"

#include <atomic>
#include <memory>
#include <string>
#include <vector>

namespace store::server {

inline constexpr WorkClass kRangeWork{0};
inline constexpr size_t kRangesWaitingMax = 4096;
inline constexpr size_t kMetricsConnectionsMax = 256;  // of --listen-metrics-urls
// Half of the machine for the key index, which is memory only.
uint64_t IndexMemoryMax();

class Server::Parts {
 public:
  Parts(const ServerConfig& config, const Clock& clock, Logger log, Fatal fatal);
  ~Parts() { Stop(); }

  // In this order. Each step's error leaves nothing running.
  Status BindPorts();
  Status OpenState();
  void Wire();
  void Run();
  void Stop();

 private:
  void OnEngineTrouble(engine::EngineTrouble trouble, const Error& error);
  replica::DiskRoom LookAtDisk(uint64_t to_replay = 0);
  // Whether a stop can flush the state and close the files.
  bool HasRoomToClose();
  // Apply thread: a received snapshot becomes the state.
  Result<std::shared_ptr<engine::Engine>> OpenInstalled(const raft::SnapshotMeta& meta);
  void MakeContext();
  void AddServices();
  Status BindPeerPort();
  void WirePeers();
  void TimeDisk();
  void TimeMaintenance();
  Timing Time(std::string_view name, std::string_view help, std::vector<double> bounds);
  void AddBounds();
  void AddTransportBounds();
  void AddCallBounds();
  void AddLogBounds();
  void AddStateBounds();
  void OnPublished();
  void OnRemoved() const;
  void LogServing() const;
  void HandOverLeadership();
  Status CheckVersion() const;
  void MakeVersionMonitor();

  const ServerConfig config_;
  const Clock& clock_;
  const Logger log_;
  const Fatal fatal_;
  Registry registry_;
  replica::RaftGauges gauges_;
  replica::DiskAllowance disk_allowance_;
  std::atomic<bool> engine_full_{false};  // its background work waits for room
  Timing engine_writes_;

  // Transport: bound first, so that a port in use is found before the directory is touched.
  std::vector<std::unique_ptr<rpc::EventLoop>> loops_;
  rpc::MethodTable methods_;
  rpc::HttpRouter router_;
  std::unique_ptr<rpc::Server> transport_;
  rpc::MethodTable metrics_methods_;  // none
  rpc::HttpRouter metrics_router_;
  std::unique_ptr<rpc::Server> metrics_port_;

  // The other members' port, on a loop of its own: consensus does not wait behind clients.
  std::unique_ptr<rpc::EventLoop> peer_loop_;
  rpc::MethodTable peer_methods_;
  rpc::HttpRouter peer_router_;
  std::unique_ptr<rpc::Server> peer_port_;

  // State and the threads around it.
  Member member_;
  std::unique_ptr<replica::DiskGuard> disk_guard_;
  std::unique_ptr<watch::WatchHub> hub_;
  std::unique_ptr<peer::PeerSet> peers_;
  std::unique_ptr<peer::PeerService> peer_service_;
  std::unique_ptr<peer::SnapshotTransfers> snapshots_;
  std::unique_ptr<replica::ThreadEnv> env_;

  // Edge.
  api::CallBudget budget_;
  WorkerPool range_pool_;
  WorkerPool ask_pool_;  // waits for other members' pages
  std::vector<std::unique_ptr<api::PendingCalls>> pending_;
  std::unique_ptr<api::Gate> gate_;
  std::unique_ptr<api::ServiceContext> context_;
  std::unique_ptr<api::KvService> kv_;
  std::unique_ptr<api::WatchService> watch_;
  std::unique_ptr<api::LeaseService> lease_;
  std::unique_ptr<api::ClusterService> cluster_;
  std::unique_ptr<api::MaintenanceService> maintenance_;
  std::unique_ptr<api::HttpAdmin> http_admin_;
  std::unique_ptr<api::MemberMetrics> metrics_;
  std::unique_ptr<api::GrpcMetrics> grpc_metrics_;
  std::unique_ptr<ProcessMetrics> process_metrics_;
  std::unique_ptr<AllocatorMetrics> allocator_metrics_;
  std::unique_ptr<api::BoundMetrics> bounds_;
  api::HealthService health_;
  std::unique_ptr<Publisher> publisher_;
  std::unique_ptr<CorruptionMonitor> corruption_;
  std::unique_ptr<Watchdog> watchdog_;
  std::unique_ptr<VersionMonitor> version_monitor_;
  bool running_ = false;
};

}  // namespace store::server
