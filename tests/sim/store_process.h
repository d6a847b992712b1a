// SPDX-License-Identifier: Apache-2.0
// StoreProcess: one life of one simulated member: the production Replica, StateMachine, MvccStore,
// WatchHub and services, with what stands around them in production (store/replica/thread_env.h)
// replaced by events: log writer, apply thread, hub thread, maintenance. It is the Env of its
// Replica and the ReplicaDoor of its loops. StoreDisk is what survives it. StoreWorld is what it
// tells and asks of the simulation; all of that is for checking, but Send.
#pragma once

#include "store/api/pending_calls.h"
#include "store/apply/state_machine.h"
#include "store/engine/mem_engine.h"
#include "store/mvcc/collector.h"
#include "store/mvcc/read_view.h"
#include "store/replica/apply_worker.h"
#include "store/replica/edge.h"
#include "store/replica/env.h"
#include "store/replica/gauges.h"
#include "store/replica/replica.h"
#include "store/replica/snapshot_installer.h"
#include "store/server/publisher.h"
#include "store/watch/watch_hub.h"
#include "tests/sim/boot_disk.h"
#include "tests/sim/host.h"
#include "tests/sim/membership_view.h"
#include "tests/sim/snapshot_traffic.h"
#include "tests/sim/store_counts.h"
#include "tests/sim/store_options.h"

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <variant>
#include <vector>

namespace store::sim {

class StoreServices;

// Which process it is.
struct ProcessSelf {
  raft::NodeId node;
  uint64_t life = 0;  // from 1
  uint64_t boot_nonce = 0;
  std::string name;             // what it tells the group of itself
  cluster::MemberList remotes;  // of the group that it joins
};

class StoreProcess;

class StoreWorld {
 public:
  virtual void Send(StoreProcess& from, const raft::Envelope& envelope) = 0;
  virtual void SendPeer(StoreProcess& from, raft::NodeId to, replica::PeerMessage message) = 0;
  virtual void SendPacket(StoreProcess& from, raft::NodeId to, SnapshotPacket packet) = 0;
  virtual void OnUnit(StoreProcess& process, const raft::PersistUnit& unit) = 0;
  // The machine has applied it; `conf`: of the machine after it.
  virtual void OnEntry(StoreProcess& process, const raft::Entry& entry,
                       const raft::ConfState& conf) = 0;
  virtual void OnResult(StoreProcess& process, LoopId loop, const apply::CallResult& result) = 0;
  // Between two batches: the state stands exactly at `applied`.
  virtual void OnBatch(StoreProcess& process, raft::Index applied) = 0;
  // A view that was held for a while is let go.
  virtual void OnView(StoreProcess& process, const mvcc::HeldView& view) = 0;
  // STATE names a snapshot; the process goes over to it next.
  virtual void OnInstalling(StoreProcess& process) = 0;
  // A snapshot took the place of its state.
  virtual void OnInstalled(StoreProcess& process, const raft::SnapshotMeta& meta) = 0;
  // It knows that it was removed and ends.
  virtual void OnLeft(StoreProcess& process) = 0;
  // Speaks to a peer only to learn whether it may.
  virtual void Knock(StoreProcess& from, raft::NodeId to) = 0;
  // The replica's next event is a tick, or that message.
  virtual void OnTick(StoreProcess& process) = 0;
  virtual void OnMessage(StoreProcess& process, const raft::Envelope& envelope) = 0;
  // The replica has taken an event, or its output was executed.
  virtual void OnInput(StoreProcess& process) = 0;
  virtual void Fail(const std::string& problem) = 0;
  virtual StoreCounts& counts() = 0;
  // No stream breaks and no part is damaged any more.
  virtual bool healed() const = 0;
  virtual ~StoreWorld() = default;
};

// State hashes of two members are compared where their batches are sure to end.
inline constexpr uint64_t kBatchEndsEvery = 32;

class StoreProcess final : private replica::Env, private replica::ReplicaDoor {
 public:
  // `initial`: of the group, for a disk that was never started.
  StoreProcess(const StoreOptions& options, const ProcessSelf& self, StoreDisk& disk,
               const apply::InitialState& initial, StoreWorld& world, EventQueue* events,
               double clock_rate);
  ~StoreProcess() override;
  StoreProcess(const StoreProcess&) = delete;
  StoreProcess& operator=(const StoreProcess&) = delete;

  // From the network.
  void Receive(raft::Envelope envelope);
  void ReceiveOther(raft::NodeId from, replica::PeerMessage message);
  void ReceivePacket(raft::NodeId from, SnapshotPacket packet);
  void Unreachable(raft::NodeId peer);
  // It is told to stop: whoever leads hands over first.
  void Leave();
  // And stops: nothing is left to replay.
  void EndWell();
  // A peer has refused it for good.
  void ToldRemoved();

  const ProcessSelf& self() const { return self_; }
  Host& host() { return host_; }
  SimClock& clock() { return clock_; }
  StoreServices& services() { return *services_; }
  const raft::Raft& raft() const { return replica_->raft(); }
  const raft::Config& raft_config() const { return config_.raft; }
  const apply::StateMachine& machine() const { return *machine_; }
  const StoreDisk& disk() const { return disk_; }
  MembershipView& membership() { return membership_; }
  const raft::ConfState& conf() const { return conf_; }
  raft::Index applied() const { return applied_; }
  raft::Status& before() { return before_; }  // of the checker
  // The disk of the state has no room any more, or has room again.
  void SetFull(bool full) {
    full_ = full;
    engine_->SetFull(full);
  }
  // What still waits for something inside; empty if nothing does.
  std::string Waiting() const;
  uint64_t fetches() const { return fetches_; }
  watch::WatchStats watch_stats() const { return hub_->stats(); }

 private:
  friend class SnapshotTraffic;
  friend class StoreServices;
  using ApplyItem = std::variant<std::vector<raft::EntryPtr>, Action>;

  // What the production installer works with; its threads never start.
  struct Installer {
    explicit Installer(StoreProcess& process);
    replica::ApplyWorker apply;
    replica::Maintenance maintenance;
    replica::SnapshotInstaller installer;
  };

  void OnMembers();
  void KnockSometimes();
  void OpenState(const apply::InitialState& initial);
  replica::Boot LoadBoot();
  // Env.
  void Persist(raft::PersistUnit unit) override;
  void Apply(std::vector<raft::EntryPtr> entries) override;
  void Send(raft::Envelope envelope) override;
  void GrantReads(LoopId loop, uint64_t through) override;
  void FailReads(LoopId loop, uint64_t through, ErrorCode code) override;
  void FailProposals(LoopId loop, std::span<const apply::RequestId> ids, ErrorCode code) override;
  void AnswerLeases(LoopId loop, std::span<const replica::LeaseAnswer> answers) override;
  void AnswerAdmin(const apply::RequestId& id, ErrorCode code) override;
  void SendSnapshot(raft::SnapshotOrder order) override;
  void CancelSnapshot(raft::NodeId peer) override;
  void InstallSnapshot(raft::SnapshotMeta meta) override;
  void DropSnapshot(const raft::SnapshotMeta& meta) override;
  void FetchLog(raft::Fetch fetch) override;
  void TruncateLog(raft::Index through, raft::Term term) override;
  void SendPeer(raft::NodeId to, replica::PeerMessage message) override;
  void OnRole(const raft::RoleChange& change) override;
  TimePoint Now() const override { return clock_.Now(); }
  uint64_t Random() override { return host_.random().Next(); }
  // ReplicaDoor.
  bool TryPropose(replica::ProposalBundle& bundle) override;
  bool TryReadTickets(LoopId loop, uint64_t through) override;
  bool TryLease(LoopId loop, std::vector<replica::LeaseRequest>& requests) override;
  bool TryAdmin(replica::AdminRequest& request) override;
  bool TryRunOnApply(Action action) override;

  bool Refuses() { return host_.random().Chance(options_.refuse); }
  void Input(Action event);
  void Tick();
  void EndReplicaTurn();
  void SyncSome();
  void SendPacket(raft::NodeId to, SnapshotPacket packet);
  void BeginInstall(const raft::SnapshotMeta& meta);
  void EndInstall(const raft::SnapshotMeta& meta);
  void ScheduleApply();
  void ApplyStep();
  size_t SliceOf(const std::vector<raft::EntryPtr>& entries);
  bool ApplySlice(std::vector<raft::EntryPtr>& entries);
  void EndSlice(std::vector<raft::EntryPtr>& entries, apply::BatchOutcome outcome);
  void PublishEvents(mvcc::EventBatchPtr events);
  void RunHub();
  void ArmNotices();
  Status FlushEngine();
  void FlushState();
  void CollectSome();
  void HoldSome();
  replica::ApplySinks MakeSinks();

  const StoreOptions options_;
  const ProcessSelf self_;
  StoreDisk& disk_;
  StoreWorld& world_;
  Host host_;
  SimClock clock_;
  replica::ReplicaConfig config_;
  replica::RaftGauges gauges_;
  std::shared_ptr<engine::MemEngine> engine_;  // the machine's: STATE may name a newer one already
  std::unique_ptr<apply::StateMachine> machine_;
  std::unique_ptr<mvcc::Collector> collector_;
  std::unique_ptr<watch::WatchHub> hub_;
  std::unique_ptr<Installer> installer_;
  SnapshotTraffic snapshots_;
  MembershipView membership_;
  std::unique_ptr<replica::Replica> replica_;
  SimThread replica_thread_;
  SimThread hub_thread_;
  std::unique_ptr<StoreServices> services_;
  std::unique_ptr<server::Publisher> publisher_;

  raft::Status before_;
  raft::ConfState conf_;  // of the machine
  raft::Index applied_;
  std::deque<ApplyItem> to_apply_;
  replica::ApplySinks sinks_;
  size_t taken_ = 0;  // of the slice that a full disk holds up
  bool full_ = false;
  bool leaving_ = false;
  bool applying_ = false;
  bool syncing_ = false;
  bool hub_due_ = false;
  std::optional<mvcc::HeldView> held_;  // of the machine, which outlives it
  uint64_t fetches_ = 0;
};

}  // namespace store::sim
