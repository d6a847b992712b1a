// SPDX-License-Identifier: Apache-2.0
#include "store/server/server.h"

#include "store/base/file.h"
#include "store/base/random.h"
#include "store/server/advice.h"
#include "store/server/parts.h"

#include <algorithm>
#include <future>
#include <utility>

namespace store::server {
namespace {

// Beside the memtables: the manifest and what the file system takes for itself.
constexpr uint64_t kCloseBytesMin = 4 << 20;

replica::ReplicaConfig MakeReplicaConfig(const ServerConfig& config, raft::NodeId id) {
  replica::ReplicaConfig replica;
  replica.raft.id = id;
  replica.raft.seed = EntropySeed();
  replica.raft.reads_after = EntropySeed() >> 1;
  replica.raft.election_ticks =
      static_cast<int>(config.election_timeout_ms / config.heartbeat_interval_ms);
  replica.election_timeout = config.election_timeout();
  // What is kept for others must not be most of a small disk.
  replica.retention.bytes = std::min(replica.retention.bytes, config.wal_segment_bytes);
  replica.retention.entries = std::max<uint64_t>(config.snapshot_count, 1);
  replica.compaction.period = config.compaction_period;
  replica.compaction.revisions = config.compaction_revisions;
  replica.membership.strict = config.strict_reconfig_check;
  if (config.lease_checkpoint) {
    replica.leases.checkpoint_interval = config.lease_checkpoint_interval;
  }
  return replica;
}

// Runs `action` on the loop and waits for it.
void RunOn(rpc::EventLoop& loop, absl::AnyInvocable<void()> action) {
  std::promise<void> done;
  loop.Post([&] {
    action();
    done.set_value();
  });
  done.get_future().wait();
}

}  // namespace

Result<std::unique_ptr<Server>> Server::Start(const ServerConfig& config, const Clock& clock,
                                              Logger log, Fatal fatal) {
  log.Info("starting an etcd server", {{"name", config.name},
                                       {"data-dir", config.data_dir},
                                       {"heartbeat-interval-ms", config.heartbeat_interval_ms},
                                       {"election-timeout-ms", config.election_timeout_ms},
                                       {"quota-backend-bytes", config.quota_backend_bytes},
                                       {"snapshot-catchup-entries", config.snapshot_count}});
  WarnOfSizes(config, log);
  auto parts = std::make_unique<Parts>(config, clock, std::move(log), std::move(fatal));
  RETURN_IF_ERROR(parts->BindPorts());
  RETURN_IF_ERROR(parts->OpenState());
  parts->Wire();
  parts->Run();
  return std::unique_ptr<Server>(new Server(std::move(parts)));
}

Server::Server(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}
Server::~Server() = default;
void Server::Stop() { parts_->Stop(); }

void Server::Parts::Run() {
  running_ = true;
  range_pool_.Start();
  ask_pool_.Start();
  for (auto& loop : loops_) loop->Start();
  peer_loop_->Start();
  peers_->Start(*env_);
  snapshots_->Start(*env_, peer_methods_, registry_);
  env_->Start(MakeReplicaConfig(config_, member_.id), std::move(member_.boot));
  transport_->Start();
  metrics_port_->Start();
  peer_port_->Start();
  Publisher::Self self{member_.id, config_.name, {}};
  for (const Url& url : config_.advertise_client_urls) self.client_urls.push_back(url.ToString());
  publisher_ =
      std::make_unique<Publisher>(std::move(self), *member_.machine, *env_, gauges_, *loops_[0],
                                  config_.request_timeout(), [this] { OnPublished(); });
  watchdog_ = std::make_unique<Watchdog>(config_.service_manager, gauges_.ticks, *loops_[0]);
  loops_[0]->Post([this] {
    publisher_->Run();
    version_monitor_->Start();
  });
  if (config_.corrupt_check_time == Duration(0)) return;
  corruption_ = std::make_unique<CorruptionMonitor>(
      config_.corrupt_check_time,
      CorruptionMonitor::Parts{
          *member_.machine, *env_, gauges_, *loops_[0],
          [this](Action&& action) { return env_->maintenance().RunHash(std::move(action)); }, log_,
          member_.id});
  loops_[0]->Post([this] { corruption_->Start(); });
}

void Server::Parts::OnPublished() {
  log_.Info("published local member to cluster through raft",
            {{"local-member-id", fmt::format("{:x}", member_.id)},
             {"cluster-id", fmt::format("{:x}", member_.cluster)},
             {"publish-timeout", config_.request_timeout()}});
  log_.Info("ready to serve client requests");
  if (!config_.service_manager.socket.empty()) {
    log_.Info("notifying init daemon");
    bool told = TellServiceManager(config_.service_manager, "READY=1");
    if (told) log_.Info("successfully notified init daemon");
    if (!told) log_.Error("failed to notify init daemon of readiness");
  }
  watchdog_->Start();
  for (const rpc::SocketAddress& address : transport_->addresses()) {
    log_.Info("serving client traffic insecurely; this is strongly discouraged!",
              {{"traffic", "grpc+http"}, {"address", address.ToString()}});
  }
}

// Asked anew: what maintenance saw last is up to half a second old, and a flush that began on a
// disk which has filled up since would wait for ever.
bool Server::Parts::HasRoomToClose() {
  if (engine_full_.load() || env_->out_of_space() || member_.log->out_of_space()) return false;
  auto space = GetDiskSpace(config_.data_dir);
  return !space || space->available_bytes >= env_->maintenance().unflushed_bytes() + kCloseBytesMin;
}

// So that nobody has to wait until the others notice. Not longer than raft itself waits for it.
void Server::Parts::HandOverLeadership() {
  if (!gauges_.is_leader.load()) return;
  const TimePoint began = clock_.Now();
  std::future<bool> handed = env_->HandOver();
  bool in_time = handed.wait_for(config_.election_timeout()) == std::future_status::ready;
  if (in_time && !handed.get()) return log_.Info("leadership is not handed over: nobody is there");
  if (!in_time) return log_.Warn("leadership transfer did not finish in time; stopping anyway");
  log_.Info("leadership transfer finished",
            {{"new-leader-member-id", fmt::format("{:x}", gauges_.leader.load())},
             {"took", clock_.Now() - began}});
}

// From the edge inwards: leadership first, while everything works; no new calls; what is under way
// may end; then everything that still waits is failed while the loops can still carry the answer.
void Server::Parts::Stop() {
  if (!running_) return;
  running_ = false;
  TellServiceManager(config_.service_manager, "STOPPING=1");
  HandOverLeadership();
  health_.SetServing(false);
  RunOn(*loops_[0], [this] {
    publisher_->Stop();
    watchdog_->Stop();
    version_monitor_->Stop();
    if (corruption_) corruption_->Stop();
  });
  // Calls under way may still need the other members.
  transport_->Stop();
  metrics_port_->Stop();
  peers_->Stop();
  RunOn(*peer_loop_, [this] { snapshots_->Stop(); });
  peer_port_->Stop();
  if (!HasRoomToClose()) {
    // What waits for room must not hold up the end, and cannot be made to give up; the log replays
    // what is left undone, as after a crash.
    log_.Warn("the disk is full: the member ends without closing its files");
    return;
  }
  // It may get full now.
  member_.log->StopWaiting();
  env_->Stop();
  for (size_t i = 0; i < loops_.size(); ++i) {
    RunOn(*loops_[i], [this, i] { pending_[i]->FailAll(ErrorCode::kStopped); });
  }
  range_pool_.Stop();
  ask_pool_.Stop();
  for (auto& loop : loops_) loop->Stop();
  peer_loop_->Stop();
  if (Status closed = member_.log->Close(); !closed) {
    log_.Error("the log was not closed cleanly", {closed.error()});
  }
  log_.Info("closed etcd server", {{"name", config_.name}, {"data-dir", config_.data_dir}});
}

}  // namespace store::server
