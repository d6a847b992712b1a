// SPDX-License-Identifier: Apache-2.0
// ThreadEnv: a Replica in production. Owns the replica thread, the log writer, the apply worker,
// the watch hub's thread and maintenance, and the mailboxes between them (the picture in
// store/README.md). It is the Env of its Replica, the ReplicaDoor of the io loops and the
// PeerEvents of the peer transport. Start, Stop, AddLoop by the owner's thread, AddLoop before
// Start. ReplicaDoor's and PeerEvents' methods from any thread. Bounds: the replica's mailbox
// refuses loops and peers beyond ThreadEnvLimits, each their own part; what other threads report to
// it is bounded by what the replica handed out before.
#pragma once

#include "store/base/executor.h"
#include "store/base/log.h"
#include "store/base/mailbox.h"
#include "store/base/random.h"
#include "store/base/thread.h"
#include "store/base/worker_pool.h"
#include "store/replica/apply_worker.h"
#include "store/replica/edge.h"
#include "store/replica/env.h"
#include "store/replica/gauges.h"
#include "store/replica/hub_thread.h"
#include "store/replica/lone_writer.h"
#include "store/replica/maintenance.h"
#include "store/replica/peer_transport.h"
#include "store/replica/replica.h"
#include "store/replica/snapshot_installer.h"
#include "store/replica/stages.h"
#include "store/wal/log_store.h"
#include "store/wal/log_writer.h"
#include "store/watch/watch_hub.h"

#include <absl/functional/any_invocable.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <future>
#include <memory>
#include <optional>
#include <span>
#include <variant>
#include <vector>

namespace store::replica {

struct ThreadEnvLimits {
  Duration tick = std::chrono::milliseconds(100);
  MailboxLimits mailbox{100'000, 64 << 20};
  // Messages of peers in the mailbox; more are dropped, and the protocol asks again.
  MailboxLimits peer_mail{20'000, 64 << 20};
  ApplyWorkerLimits apply;
  MaintenanceLimits maintenance;
};

// What it runs on; all outlive it.
struct ThreadEnvParts {
  wal::LogStore& log_store;
  apply::StateMachine& machine;
  watch::WatchHub& hub;
  RaftGauges& gauges;
  const Clock& clock;
  Logger log;
  // Called once, from any thread: the disk failed or the state cannot be applied. The process must
  // end.
  absl::AnyInvocable<void(const Error&)> fatal;
  StageTimes stages{};
  // Null: a member that stays alone (tests); a message to a peer then stops the process.
  PeerTransport* peers = nullptr;
  SnapshotTransport* snapshots = nullptr;
  OpenInstalled open_installed{};
  // Of the cluster that this member has just joined: they are spoken to although the log has not
  // told of them yet.
  cluster::MemberList remotes{};
  // On the replica thread, once: this member has applied its own removal, a second ago.
  Action removed{};
  // On a maintenance thread, several times a second; may be empty.
  absl::AnyInvocable<DiskRoom()> look_at_disk;
};

class ThreadEnv final : public ReplicaDoor, public PeerEvents, private Env {
 public:
  ThreadEnv(const ThreadEnvLimits& limits, ThreadEnvParts parts, uint64_t seed);
  ~ThreadEnv() override;

  // `edge` is called on `executor`. Loops are numbered in the order they are added.
  LoopId AddLoop(Executor& executor, Edge& edge);
  void Start(const ReplicaConfig& config, Boot boot);
  // Everything that waits is failed with kStopped first, then threads end from the edge inwards,
  // and the state is flushed. The loops must still run, and take no new calls.
  void Stop();
  // Before Stop: leadership goes to another member. True as soon as somebody else leads; false at
  // once when this member does not lead or there is nobody to take over; nothing when that fails.
  std::future<bool> HandOver();

  bool TryPropose(ProposalBundle& bundle) override;
  bool TryReadTickets(LoopId loop, uint64_t through) override;
  bool TryLease(LoopId loop, std::vector<LeaseRequest>& requests) override;
  bool TryAdmin(AdminRequest& request) override;
  bool TryRunOnApply(Action action) override;

  void OnPeerMessage(raft::Envelope envelope) override;
  void OnPeerOther(raft::NodeId from, PeerMessage message) override;
  void OnConnection(raft::NodeId peer, bool up) override;
  void OnUnreachable(raft::NodeId peer) override;
  void OnSnapshot(SnapshotEvent event) override;
  // Messages of peers that found no room in the mailbox.
  uint64_t peer_messages_dropped() const { return peer_dropped_.load(std::memory_order_relaxed); }
  // Those that wait, for limits().peer_mail. Any thread, as the two below.
  size_t peer_mail_items() const { return peer_mail_.items.load(std::memory_order_relaxed); }
  size_t peer_mail_bytes() const { return peer_mail_.bytes.load(std::memory_order_relaxed); }
  const ThreadEnvLimits& limits() const { return limits_; }

  Maintenance& maintenance() { return maintenance_; }
  // A full disk holds up apply.
  bool out_of_space() const { return apply_.out_of_space(); }

 private:
  struct ReadTickets {
    LoopId loop;
    uint64_t through;
  };
  struct LeaseCalls {
    LoopId loop;
    std::vector<LeaseRequest> requests;
  };
  struct Persisted {
    uint64_t unit;
  };
  struct Flushed {
    raft::Index durable;
  };
  struct Fetched {
    raft::NodeId peer;
    raft::Index from;
    std::vector<raft::EntryPtr> entries;
  };
  struct FromPeer {
    raft::Envelope envelope;
    size_t bytes = 0;  // counted in peer_mail_
  };
  struct PeerOther {
    raft::NodeId from;
    PeerMessage message;
    size_t bytes = 0;
  };
  struct Unreachable {
    raft::NodeId peer;
  };
  struct Connection {
    raft::NodeId peer;
    bool up;
  };
  struct LeaveOrder {
    std::promise<bool> done;
  };
  using Event = std::variant<ProposalBundle, ReadTickets, LeaseCalls, AdminRequest, Persisted,
                             apply::ApplyReport, Flushed, Fetched, FromPeer, PeerOther, Unreachable,
                             Connection, SnapshotEvent, LeaveOrder>;
  // What peers have in the mailbox.
  struct PeerMail {
    std::atomic<size_t> items = 0;
    std::atomic<size_t> bytes = 0;
  };
  struct Loop {
    Executor* executor;
    Edge* edge;
  };

  // Replica thread.
  void Run();
  void PublishGauges();
  void Flush();
  // Whether this thread may do the work of the log writer and of apply: see LoneWriter.
  bool MayWaitHere() const;
  void OnLateTick(Duration late);
  void Dispatch(Event event);
  void Handle(ProposalBundle& bundle);
  void Handle(const ReadTickets& tickets);
  void Handle(const LeaseCalls& calls);
  void Handle(AdminRequest& request);
  void Handle(const Persisted& persisted);
  void Handle(const apply::ApplyReport& report);
  void Handle(const Flushed& flushed);
  void Handle(Fetched& fetched);
  void Handle(FromPeer& one);
  void Handle(PeerOther& one);
  void Handle(const Unreachable& one);
  void Handle(SnapshotEvent& event);
  void Handle(const Connection& one);
  void Handle(LeaveOrder& order);
  bool AdmitPeerMail(size_t bytes);
  void ReleasePeerMail(size_t bytes);
  // Env.
  void Persist(raft::PersistUnit unit) override;
  void Apply(std::vector<raft::EntryPtr> entries) override;
  void Send(raft::Envelope envelope) override;
  void GrantReads(LoopId loop, uint64_t through) override;
  void FailReads(LoopId loop, uint64_t through, ErrorCode code) override;
  void FailProposals(LoopId loop, std::span<const apply::RequestId> ids, ErrorCode code) override;
  void AnswerLeases(LoopId loop, std::span<const LeaseAnswer> answers) override;
  void AnswerAdmin(const apply::RequestId& id, ErrorCode code) override;
  void SendSnapshot(raft::SnapshotOrder order) override;
  void CancelSnapshot(raft::NodeId peer) override;
  void InstallSnapshot(raft::SnapshotMeta meta) override;
  void DropSnapshot(const raft::SnapshotMeta& meta) override;
  void FetchLog(raft::Fetch fetch) override;
  void TruncateLog(raft::Index through, raft::Term term) override;
  void SendPeer(raft::NodeId to, PeerMessage message) override;
  void OnRole(const raft::RoleChange& change) override;
  TimePoint Now() const override { return parts_.clock.Now(); }
  uint64_t Random() override { return random_.Next(); }

  ApplySinks MakeApplySinks();
  MaintenanceHooks MakeMaintenanceHooks();
  // Also from the log writer's thread.
  void SendNow(raft::Envelope envelope);
  void OnMembers(const std::shared_ptr<const cluster::MemberList>& members,
                 const std::shared_ptr<const cluster::RemovedList>& removed);
  std::shared_ptr<const cluster::MemberList> WithRemotes(const cluster::MemberList& members,
                                                         const cluster::RemovedList& removed) const;
  void Fatal(const Error& error);
  template <class Tell>
  void PostTo(LoopId loop, Tell tell);

  const ThreadEnvLimits limits_;
  ThreadEnvParts parts_;
  store::Random random_;
  std::vector<Loop> loops_;
  std::unique_ptr<Replica> replica_;
  raft::NodeId self_;
  std::optional<LeaveOrder> leave_order_;
  std::optional<TimePoint>
      leave_at_;  // this member was removed; until then others may still ask it

  // Replica thread.
  InFlight persisting_;  // units
  InFlight applying_;    // indexes
  LoneWriter lone_;
  size_t turn_proposals_ = 0;  // of clients, in the running turn
  uint64_t last_unit_ = 0;     // handed to the log
  uint64_t durable_unit_ = 0;
  std::optional<uint64_t> persisted_here_;  // to be told to the core

  Mailbox<Event> mailbox_;
  PeerMail peer_mail_;
  std::atomic<uint64_t> peer_dropped_ = 0;
  ApplyWorker apply_;
  Maintenance maintenance_;
  SnapshotInstaller installer_;
  HubThread hub_thread_;
  wal::LogWriter log_writer_;
  WorkerPool log_helper_;  // truncation and reading back: one thread
  Thread thread_;
  bool started_ = false;
};

}  // namespace store::replica
