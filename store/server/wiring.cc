// SPDX-License-Identifier: Apache-2.0
// How the parts are made and connected; server.cc starts and stops them.
#include "store/base/random.h"
#include "store/cluster/version.h"
#include "store/engine/checkpoint.h"
#include "store/server/parts.h"
#include "store/server/process.h"
#include "store/server/remote_cluster.h"

#include <algorithm>
#include <thread>
#include <unistd.h>
#include <utility>

namespace store::server {
namespace {

constexpr WorkClass kAskWork{0};
// What may wait to be flushed, of the whole disk.
constexpr uint64_t kDiskPartUnflushed = 16;

// Half of the processors, but two where there are two: reads live on the loops alone, and a second
// one gave 1.3 to 1.5 times the ranges at the same number of puts (tests/bench/store, two cores).
size_t LoopCount() {
  const size_t cores = std::thread::hardware_concurrency();
  return cores < 2 ? 1 : std::clamp<size_t>(cores / 2, 2, 8);
}

// What is left when the log, the state and the listeners have their files, as etcd reckons.
size_t ConnectionsMax() {
  constexpr size_t kFilesMax = 500;
  size_t descriptors = DescriptorsMax();
  return descriptors > 2 * kFilesMax ? descriptors - kFilesMax : descriptors / 2;
}

// With what gRPC adds, as etcd reckons.
size_t MessageBytesMax(const ServerConfig& config) {
  return config.max_request_bytes + (512 << 10);
}

rpc::ServerOptions TransportOptions(const ServerConfig& config) {
  rpc::ServerOptions options;
  options.limits.message_bytes_max = MessageBytesMax(config);
  options.limits.streams_max = config.max_concurrent_streams;
  options.limits.keepalive.peer_interval_min = config.grpc_keepalive_min_time;
  options.limits.keepalive.interval = config.grpc_keepalive_interval;
  options.limits.keepalive.timeout = config.grpc_keepalive_timeout;
  options.connections_max = ConnectionsMax();
  return options;
}

Status ListenOn(rpc::Server& server, const std::vector<Url>& urls, const std::string& flag) {
  for (const Url& url : urls) {
    if (url.tls()) {
      return Fail(ErrorCode::kUnsupported,
                  fmt::format("{} {}: TLS is not supported yet; use http", flag, url.ToString()));
    }
    if (Status bound = server.Listen(url.Address()); !bound) {
      return Fail(bound.error().WithContext(flag));
    }
  }
  return Ok();
}

std::vector<double> HashBounds() { return Histogram::Exponential(0.01, 2, 15); }

int64_t QuotaBytes(const ServerConfig& config) {
  return config.quota_backend_bytes == 0 ? kDefaultQuotaBytes : config.quota_backend_bytes;
}

uint64_t BytesToReplay(const raft::Restart& restart) {
  uint64_t bytes = 0;
  for (const raft::EntryPtr& entry : restart.tail) {
    if (entry->index > restart.applied) bytes += entry->data.size();
  }
  return bytes;
}

}  // namespace

uint64_t IndexMemoryMax() {
  return static_cast<uint64_t>(sysconf(_SC_PHYS_PAGES)) *
         static_cast<uint64_t>(sysconf(_SC_PAGE_SIZE)) / 2;
}

Server::Parts::Parts(const ServerConfig& config, const Clock& clock, Logger log, Fatal fatal)
    : config_(config),
      clock_(clock),
      log_(std::move(log)),
      fatal_(std::move(fatal)),
      range_pool_("range", std::thread::hardware_concurrency() >= 4 ? 2 : 1,
                  {{"range", 2, kRangesWaitingMax}}),
      ask_pool_("ask", 1, {{"ask", 1, 1}}) {
  for (size_t i = 0; i < LoopCount(); ++i) {
    loops_.push_back(std::make_unique<rpc::EventLoop>(LoopId(static_cast<uint32_t>(i)), clock_));
  }
  peer_loop_ = std::make_unique<rpc::EventLoop>(LoopId(static_cast<uint32_t>(loops_.size())),
                                                clock_, "peer");
}

Status Server::Parts::BindPorts() {
  std::vector<rpc::EventLoop*> loops;
  loops.reserve(loops_.size());
  for (auto& loop : loops_) loops.push_back(loop.get());
  transport_ = std::make_unique<rpc::Server>(methods_, router_, loops, TransportOptions(config_));
  RETURN_IF_ERROR(ListenOn(*transport_, config_.listen_client_urls, "--listen-client-urls"));
  RETURN_IF_ERROR(
      ListenOn(*transport_, config_.listen_client_http_urls, "--listen-client-http-urls"));
  rpc::ServerOptions metrics;
  metrics.connections_max = kMetricsConnectionsMax;
  metrics_port_ = std::make_unique<rpc::Server>(metrics_methods_, metrics_router_, loops, metrics);
  RETURN_IF_ERROR(ListenOn(*metrics_port_, config_.listen_metrics_urls, "--listen-metrics-urls"));
  return BindPeerPort();
}

Status Server::Parts::BindPeerPort() {
  rpc::ServerOptions options;
  options.limits = peer::PeerTransportLimits(config_.max_request_bytes);
  // The streams of peers end when PeerSet says so; nobody else is worth waiting for.
  options.stop_grace = Duration(0);
  peer_port_ = std::make_unique<rpc::Server>(peer_methods_, peer_router_,
                                             std::vector{peer_loop_.get()}, options);
  return ListenOn(*peer_port_, config_.listen_peer_urls, "--listen-peer-urls");
}

void Server::Parts::WirePeers() {
  peer::PeerSetOptions options;
  options.cluster = member_.cluster;
  options.self = member_.id;
  options.server_version = std::string(cluster::kServerVersion);
  options.dial.limits = peer::PeerTransportLimits(config_.max_request_bytes);
  options.dial.seed = EntropySeed();
  peers_ =
      std::make_unique<peer::PeerSet>(*peer_loop_, clock_, log_, registry_, std::move(options));
  peer_service_ = std::make_unique<peer::PeerService>(*peers_);
  peer_service_->Register(peer_methods_);
  snapshots_ = std::make_unique<peer::SnapshotTransfers>(
      peer::SnapshotTransferOptions{member_.cluster, member_.id,
                                    JoinPath(config_.data_dir, "member")},
      *peer_loop_, *member_.machine, *peers_, log_);
  peers_->OnRemoved([this] { OnRemoved(); });
  auto run_hash = [this](Action&& action) {
    return env_->maintenance().RunHash(std::move(action));
  };
  AddHashPage(peer_router_, *member_.machine, run_hash);
  api::AddVersionPage(peer_router_, *member_.machine);
  AddMembersPage(peer_router_, {.id = member_.cluster, .read = [this] {
                                  apply::StateRef state = member_.machine->Read();
                                  return MembersPage::Lists{state->members, state->removed};
                                }});
}

void Server::Parts::OnRemoved() const {
  fatal_(Error(ErrorCode::kMemberNotFound, std::string(kRemovedText)));
}

Status Server::Parts::OpenState() {
  apply::ApplyLimits limits;
  limits.quota_bytes = QuotaBytes(config_);
  limits.index_memory_max = IndexMemoryMax();
  auto member = OpenMember(
      config_, limits,
      [this](engine::EngineTrouble trouble, const Error& error) {
        OnEngineTrouble(trouble, error);
      },
      log_);
  RETURN_IF_ERROR(member);
  member_ = std::move(*member);
  log_.Info("opened the data directory", {{"data-dir", config_.data_dir},
                                          {"cluster-id", fmt::format("{:x}", member_.cluster)},
                                          {"member-id", fmt::format("{:x}", member_.id)},
                                          {"applied-index", member_.boot.raft.applied},
                                          {"revision", member_.machine->mvcc().current()}});
  RETURN_IF_ERROR(CheckVersion());
  if (!config_.initial_corrupt_check || member_.fresh) return Ok();
  return CheckInitialCorruption(*member_.machine, member_.id, log_);
}

// A release that is older than what the cluster has agreed on does not know what is in the log.
Status Server::Parts::CheckVersion() const {
  auto agreed = cluster::ParseVersion(*member_.machine->Read()->cluster_version);
  auto own = cluster::ParseVersion(cluster::kServerVersion);
  if (!agreed || !own || *agreed <= *own) return Ok();
  return Fail(ErrorCode::kUnsupported,
              fmt::format("this is version {}, lower than the cluster's {}; start a newer release, "
                          "or downgrade the cluster first",
                          cluster::kServerVersion, cluster::ToString(*agreed)));
}

void Server::Parts::MakeVersionMonitor() {
  version_monitor_ = std::make_unique<VersionMonitor>(VersionMonitor::Parts{
      .machine = *member_.machine,
      .door = *env_,
      .gauges = gauges_,
      .executor = *loops_[0],
      .log = log_,
      .registry = registry_,
      .self = member_.id,
      .ask = [self =
                  member_.id](const cluster::Member& member) { return AskVersion(member, self); },
      .run = [this](Action&& action) { return ask_pool_.TrySubmit(kAskWork, std::move(action)); }});
}

void Server::Parts::OnEngineTrouble(engine::EngineTrouble trouble, const Error& error) {
  switch (trouble) {
    case engine::EngineTrouble::kNoSpace:
      engine_full_.store(true, std::memory_order_relaxed);
      log_.Error("the disk of the state is full; writes wait until there is space", {error});
      return;
    case engine::EngineTrouble::kRecovered:
      engine_full_.store(false, std::memory_order_relaxed);
      log_.Info("the disk of the state has space again");
      return;
    case engine::EngineTrouble::kFatal:
      fatal_(error.WithContext("state"));
      return;
  }
}

// etcd's names and buckets; its dashboards and alerts ask for these two.
void Server::Parts::TimeDisk() {
  const std::vector<double> bounds = Histogram::Exponential(0.001, 2, 14);
  member_.log->ObserveSyncs(
      {clock_,
       registry_.AddHistogram("etcd_disk_wal_fsync_duration_seconds",
                              "The latency distributions of fsync called by WAL.", bounds)});
  engine_writes_ = {clock_, registry_.AddHistogram(
                                "etcd_disk_backend_commit_duration_seconds",
                                "The latency distributions of commit called by backend.", bounds)};
  member_.engine->ObserveWrites(engine_writes_);
}

Timing Server::Parts::Time(std::string_view name, std::string_view help,
                           std::vector<double> bounds) {
  return {clock_, registry_.AddHistogram(name, help, std::move(bounds))};
}

// A flush of the state is here what saving a snapshot is there: the log before it may go.
void Server::Parts::TimeMaintenance() {
  env_->maintenance().Observe(
      {.flush = Time("etcd_debugging_snap_save_total_duration_seconds",
                     "The total latency distributions of save called by snapshot.",
                     Histogram::Exponential(0.001, 2, 14)),
       .defragment = Time("etcd_disk_backend_defrag_duration_seconds",
                          "The latency distribution of backend defragmentation.",
                          Histogram::Exponential(0.1, 2, 13)),
       .defragmenting = &registry_.AddGauge(
           "etcd_disk_defrag_inflight",
           "Whether or not defrag is active on the member. 1 means active, 0 means not."),
       .collected = &registry_.AddCounter("etcd_debugging_mvcc_db_compaction_keys_total",
                                          "Total number of db keys compacted.")});
}

Result<std::shared_ptr<engine::Engine>> Server::Parts::OpenInstalled(
    const raft::SnapshotMeta& meta) {
  const engine::Path root = JoinPath(config_.data_dir, "member");
  auto name = engine::SwitchState(root, meta.index.value(), meta.term.value());
  RETURN_IF_ERROR(name);
  engine::RocksSettings settings;
  settings.on_error = [this](engine::EngineTrouble trouble, const Error& error) {
    OnEngineTrouble(trouble, error);
  };
  auto opened = engine::RocksEngine::Open(root / name->directory, std::move(settings));
  RETURN_IF_ERROR(opened);
  std::shared_ptr<engine::RocksEngine> engine = std::move(*opened);
  engine->ObserveWrites(engine_writes_);
  member_.engine->RemoveWhenClosed();
  member_.engine = engine;
  return engine;
}

// In this order: what is on its way meanwhile is counted at least once.
replica::DiskRoom Server::Parts::LookAtDisk(uint64_t to_replay) {
  replica::DiskGuard::Signals signals;
  signals.taken_bytes = disk_allowance_.taken();
  signals.refused_bytes = disk_allowance_.refused();
  signals.admitted_bytes = budget_.bytes();
  signals.log_waits = member_.log->out_of_space();
  signals.state_waits = env_->out_of_space() || engine_full_.load(std::memory_order_relaxed);
  signals.unflushed_bytes = env_->maintenance().unflushed_bytes() + to_replay;
  signals.state_bytes = member_.machine->mvcc().engine()->Sizes().disk_bytes;
  return disk_guard_->Look(signals);
}

void Server::Parts::Wire() {
  TimeDisk();
  disk_guard_ = std::make_unique<replica::DiskGuard>(
      replica::DiskGuardLimits{.segment_bytes = config_.wal_segment_bytes}, config_.data_dir,
      gauges_, disk_allowance_, log_);
  watch::WatchLimits watch;
  watch.fragment_bytes_max = MessageBytesMax(config_);
  if (config_.watch_progress_notify_interval != Duration(0)) {
    watch.progress_interval = config_.watch_progress_notify_interval;
  }
  hub_ = std::make_unique<watch::WatchHub>(watch, member_.machine->mvcc(), clock_,
                                           api::EncodeWatchEvents);
  WirePeers();
  replica::ThreadEnvLimits limits;
  limits.tick = std::chrono::milliseconds(config_.heartbeat_interval_ms);
  // A flush must fit beside what it replaces.
  if (auto space = GetDiskSpace(config_.data_dir)) {
    limits.maintenance.flush_bytes =
        std::min(limits.maintenance.flush_bytes, space->total_bytes / kDiskPartUnflushed);
  }
  env_ = std::make_unique<replica::ThreadEnv>(
      limits,
      replica::ThreadEnvParts{
          .log_store = *member_.log,
          .machine = *member_.machine,
          .hub = *hub_,
          .gauges = gauges_,
          .clock = clock_,
          .log = log_,
          .fatal = [this](const Error& error) { fatal_(error); },
          .stages = replica::MakeStageTimes(registry_, clock_),
          .peers = peers_.get(),
          .snapshots = snapshots_.get(),
          .open_installed = [this](const raft::SnapshotMeta& meta) { return OpenInstalled(meta); },
          .remotes = member_.remotes,
          .removed = [this] { OnRemoved(); },
          .look_at_disk = [this] { return LookAtDisk(); }},
      EntropySeed());
  TimeMaintenance();
  // Before the first call is admitted; maintenance goes on with it.
  (void)LookAtDisk(BytesToReplay(member_.boot.raft));
  Counter& proposals_failed = registry_.AddCounter("etcd_server_proposals_failed_total",
                                                   "Proposals that ended without a result.");
  for (auto& loop : loops_) {
    api::PendingOptions options;
    options.member = member_.id.value();
    options.boot_nonce = member_.boot_nonce;
    options.loop = loop->id();
    options.request_timeout = config_.request_timeout();
    options.request_bytes_max = config_.max_request_bytes;
    options.connections = &peers_->connections();
    options.proposals_failed = &proposals_failed;
    pending_.push_back(
        std::make_unique<api::PendingCalls>(options, *env_, *loop, budget_, gauges_));
    env_->AddLoop(*loop, *pending_.back());
  }
  MakeContext();
  AddServices();
  MakeVersionMonitor();
}

void Server::Parts::MakeContext() {
  gate_ = std::make_unique<api::Gate>(gauges_, registry_);
  api::ServiceLimits limits;
  limits.quota_bytes = QuotaBytes(config_);
  limits.txn_ops_max = config_.max_txn_ops;
  limits.request_bytes_max = config_.max_request_bytes;
  limits.heartbeat = std::chrono::milliseconds(config_.heartbeat_interval_ms);
  limits.election_timeout = config_.election_timeout();
  limits.learners_max = config_.max_learners;
  std::vector<api::PendingCalls*> pending;
  pending.reserve(pending_.size());
  for (auto& calls : pending_) pending.push_back(calls.get());
  context_ = std::make_unique<api::ServiceContext>(api::ServiceContext{
      .header = api::HeaderSource({member_.cluster, member_.id.value()}, gauges_),
      .gauges = gauges_,
      .state = *member_.machine,
      .door = *env_,
      .range_pool =
          [this](Action&& action) { return range_pool_.TrySubmit(kRangeWork, std::move(action)); },
      .limits = limits,
      .loops = std::move(pending),
      .unsent_bytes = &transport_->stats().unsent_bytes,
      .gate = gate_.get(),
      .disk_allowance = &disk_allowance_});
}

void Server::Parts::AddServices() {
  methods_.SetInterceptor([this](const rpc::CallInfo& info) { return gate_->Check(info); });
  kv_ = std::make_unique<api::KvService>(*context_);
  kv_->Register(methods_);
  watch_ = std::make_unique<api::WatchService>(*context_, *hub_);
  watch_->Register(methods_);
  lease_ = std::make_unique<api::LeaseService>(*context_, EntropySeed());
  lease_->Register(methods_);
  cluster_ = std::make_unique<api::ClusterService>(*context_, clock_);
  cluster_->Register(methods_);
  maintenance_ = std::make_unique<api::MaintenanceService>(
      *context_,
      api::MaintenanceHooks{
          .defragment =
              [this](absl::AnyInvocable<void(Status)> done) {
                return env_->maintenance().Defragment(std::move(done));
              },
          .run_hash =
              [this](Action&& action) { return env_->maintenance().RunHash(std::move(action)); },
          .hash_timing = Time("etcd_mvcc_hash_duration_seconds",
                              "The latency distribution of storage hash operation.", HashBounds()),
          .hash_rev_timing = Time("etcd_mvcc_hash_rev_duration_seconds",
                                  "The latency distribution of storage hash by revision operation.",
                                  HashBounds())});
  maintenance_->Register(methods_);
  health_.Register(methods_);
  http_admin_ = std::make_unique<api::HttpAdmin>(*context_, registry_);
  http_admin_->RegisterClientPages(router_);
  http_admin_->RegisterPages(metrics_router_);
  metrics_ = std::make_unique<api::MemberMetrics>(registry_, *context_, *hub_, budget_);
  grpc_metrics_ = std::make_unique<api::GrpcMetrics>(registry_, methods_);
  process_metrics_ = std::make_unique<ProcessMetrics>(registry_);
  allocator_metrics_ = std::make_unique<AllocatorMetrics>(registry_);
  AddBounds();
}

}  // namespace store::server
