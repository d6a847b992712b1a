// SPDX-License-Identifier: Apache-2.0
#include "tests/sim/store_process.h"

#include "store/api/wire.h"
#include "store/base/check.h"
#include "store/base/failpoint.h"
#include "store/raft/conf_change.h"
#include "tests/sim/store_services.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace store::sim {
namespace {

store::Random StreamOf(const StoreOptions& options, const ProcessSelf& self) {
  return store::Random(options.seed).Fork(fmt::format("member {} life {}", self.node, self.life));
}

constexpr Time kNoSpaceRetry = 100 * kMillisecond;
constexpr Time kLeaveAfter = kSecond;
constexpr Time kKnockEvery = kSecond;
constexpr Time kHoldEvery = kSecond / 2;
constexpr Time kHoldFor = 2 * kSecond;

// A rare branch of production code for the length of one call.
class RareBranch {
 public:
  RareBranch(bool on, const char* name) : on_(on) {
    if (on_) CHECK(Failpoints::Parse(fmt::format("{}=branch", name)).has_value());
  }
  ~RareBranch() {
    if (on_) Failpoints::DisarmAll();
  }
  RareBranch(const RareBranch&) = delete;
  RareBranch& operator=(const RareBranch&) = delete;

 private:
  const bool on_;
};

}  // namespace

// Engines are opened by BeginInstall.
StoreProcess::Installer::Installer(StoreProcess& process)
    : apply({}, *process.machine_, {}, process.clock_, {}),
      maintenance({}, *process.machine_, apply, process.clock_, {}, {}),
      installer(*process.machine_, *process.hub_, maintenance,
                [&process](const raft::SnapshotMeta&) -> Result<std::shared_ptr<engine::Engine>> {
                  return std::shared_ptr<engine::Engine>(process.disk_.state);
                }) {}

StoreProcess::StoreProcess(const StoreOptions& options, const ProcessSelf& self, StoreDisk& disk,
                           const apply::InitialState& initial, StoreWorld& world,
                           EventQueue* events, double clock_rate)
    : options_(OptionsAt(options, self.node)),
      self_(self),
      disk_(disk),
      world_(world),
      host_(events, StreamOf(options, self)),
      clock_(*events, clock_rate),
      config_(options.replica),
      snapshots_(*this),
      membership_(self.node, self.remotes),
      replica_thread_(host_, clock_, options.turn_mean, [this] { EndReplicaTurn(); }),
      hub_thread_(host_, clock_, options.turn_mean),
      sinks_(MakeSinks()) {
  config_.raft.id = self_.node;
  config_.raft.seed = StreamOf(options, self).Fork("core").Next();
  config_.raft.reads_after = self.life << 32;
  OpenState(initial);
  hub_ = std::make_unique<watch::WatchHub>(options_.watch, machine_->mvcc(), clock_,
                                           api::EncodeWatchEvents);
  installer_ = std::make_unique<Installer>(*this);
  hub_->SetWake([this] {
    if (!std::exchange(hub_due_, true)) hub_thread_.Post([this] { RunHub(); });
  });
  services_ = std::make_unique<StoreServices>(*this);
  replica_ =
      std::make_unique<replica::Replica>(config_, static_cast<replica::Env&>(*this), LoadBoot());
  before_ = replica_->status();
  OnMembers();
  Input([this] { replica_->OnBoot(); });
  host_.Later(host_.Draw(options_.tick), [this] { Tick(); });
  host_.Later(host_.Draw(options_.flush_every), [this] { FlushState(); });
  host_.Later(host_.Draw(options_.collect_every), [this] { CollectSome(); });
  ArmNotices();
  if (options_.compact_every > 0) HoldSome();
  if (!options_.changes_members()) return;
  publisher_ = std::make_unique<server::Publisher>(
      server::Publisher::Self{self_.node, self_.name, {"http://" + self_.name}}, *machine_,
      static_cast<replica::ReplicaDoor&>(*this), gauges_, services_->executor(),
      options_.request_timeout, [] {});
  services_->executor().Post([this] { publisher_->Run(); });
  KnockSometimes();
}

// Calls first: what they hold calls back into the services.
StoreProcess::~StoreProcess() {
  host_.Kill();
  services_.reset();
}

void StoreProcess::OpenState(const apply::InitialState& initial) {
  bool fresh = disk_.state == nullptr;
  disk_.state = fresh ? std::make_shared<engine::MemEngine>()
                      : std::shared_ptr<engine::MemEngine>(disk_.state->AfterCrash());
  engine_ = disk_.state;
  machine_ = std::make_unique<apply::StateMachine>(
      options_.apply, apply::ApplySelf{self_.node, self_.boot_nonce}, disk_.state);
  Status opened = fresh ? machine_->Bootstrap(initial) : machine_->Restore();
  if (!opened) {
    return world_.Fail(
        fmt::format("member {} cannot open its state: {}", self_.node, opened.error().ToString()));
  }
  auto row = apply::StateMachine::ReadApplied(*disk_.state, engine::Tier::kPersisted);
  auto completed = CheckBootLog(disk_, **row);
  if (!completed) {
    return world_.Fail(
        fmt::format("member {} cannot start: {}", self_.node, completed.error().ToString()));
  }
  if (*completed) ++world_.counts().installs_cut_short;
  applied_ = disk_.durable = (*row)->index;
  conf_ = (*row)->conf;
  collector_ = std::make_unique<mvcc::Collector>(machine_->mvcc());
}

replica::Boot StoreProcess::LoadBoot() {
  replica::Boot boot;
  boot.raft = disk_.log.Load(applied_, conf_);
  for (const auto& [id, lease] : machine_->leases().leases()) {
    boot.leases.push_back({id, lease.ttl_seconds, lease.remaining_seconds});
  }
  boot.members = machine_->Read()->members;
  return boot;
}

void StoreProcess::Receive(raft::Envelope envelope) {
  Input([this, envelope = std::move(envelope)]() mutable {
    world_.OnMessage(*this, envelope);
    replica_->OnPeerMessage(std::move(envelope));
  });
}

void StoreProcess::ReceiveOther(raft::NodeId from, replica::PeerMessage message) {
  Input([this, from, message = std::move(message)] { replica_->OnPeerOther(from, message); });
}

void StoreProcess::Unreachable(raft::NodeId peer) {
  Input([this, peer] {
    replica_->OnPeerConnection(peer, false);
    replica_->OnUnreachable(peer);
  });
}

void StoreProcess::Leave() {
  Input([this] { (void)replica_->OnLeave(); });
}

void StoreProcess::EndWell() {
  while (disk_.log.unsynced() > 0) (void)disk_.log.SyncOne();
  if (engine_ == disk_.state) (void)FlushEngine();  // without room it is as after a crash
}

void StoreProcess::ToldRemoved() {
  if (!std::exchange(leaving_, true)) world_.OnLeft(*this);
}

// As ThreadEnv does: a removed member goes on for a moment, so that the others hear of it.
void StoreProcess::OnMembers() {
  apply::StateRef state = machine_->Read();
  membership_.Set(*state->members, *state->removed);
  gauges_.is_learner.store(membership_.learner(), std::memory_order_relaxed);
  if (leaving_ || !membership_.WasRemoved(self_.node)) return;
  leaving_ = true;
  host_.Later(kLeaveAfter, [this] { world_.OnLeft(*this); });
}

// Connections to all peers are made all the time; whoever refuses says so.
void StoreProcess::KnockSometimes() {
  host_.Later(host_.Draw(kKnockEvery), [this] {
    for (raft::NodeId peer : membership_.known()) world_.Knock(*this, peer);
    KnockSometimes();
  });
}

std::string StoreProcess::Waiting() const {
  if (!to_apply_.empty()) return "entries wait for apply";
  if (disk_.log.unsynced() > 0) return "the log has units to sync";
  if (replica_->waiting_proposals() > 0) return "proposals wait for a leader";
  if (size_t calls = services_->waiting(); calls > 0) return fmt::format("{} calls wait", calls);
  watch::WatchStats watchers = hub_->stats();
  if (watchers.queue_bytes > 0) return "the watch hub has batches to hand out";
  if (watchers.lagging > 0) return fmt::format("{} watchers lag", watchers.lagging);
  return {};
}

// ---- the replica's thread ----

// The rules are looked at after every event, also when a turn brings several: a member may commit
// as leader and be deposed in one turn.
void StoreProcess::Input(Action event) {
  replica_thread_.Post([this, event = std::move(event)]() mutable {
    event();
    world_.OnInput(*this);
  });
}

void StoreProcess::Tick() {
  Input([this] {
    world_.OnTick(*this);
    replica_->OnTick(Now());
  });
  host_.Later(clock_.VirtualFor(std::chrono::microseconds(options_.tick)), [this] { Tick(); });
}

void StoreProcess::EndReplicaTurn() {
  replica_->Flush();
  gauges_.Publish(replica_->position());
  world_.OnInput(*this);
}

void StoreProcess::Persist(raft::PersistUnit unit) {
  world_.OnUnit(*this, unit);
  disk_.log.Write(std::move(unit));
  SyncSome();
}

// Everything written by then with one sync, as the log writer does.
void StoreProcess::SyncSome() {
  if (syncing_ || disk_.log.unsynced() == 0) return;
  syncing_ = true;
  Time time = host_.Draw(options_.sync_mean);
  if (host_.random().Chance(options_.disk_stall)) time = 100 * options_.sync_mean;
  host_.Later(time, [this, units = disk_.log.unsynced()] {
    uint64_t last = 0;
    std::vector<raft::Envelope> release;
    for (size_t i = 0; i < units; ++i) {
      raft::PersistUnit unit = disk_.log.SyncOne();
      last = unit.id;
      std::move(unit.release.begin(), unit.release.end(), std::back_inserter(release));
    }
    for (raft::Envelope& envelope : release) Send(std::move(envelope));
    auto tell = [this, last] {
      syncing_ = false;
      Input([this, last] { replica_->OnPersisted(last); });
      SyncSome();
    };
    // The thread may stand still between the two: answers to what it sent come first.
    if (!host_.random().Chance(options_.disk_stall)) return tell();
    host_.Later(100 * options_.sync_mean, tell);
  });
}

void StoreProcess::Send(raft::Envelope envelope) {
  if (membership_.Knows(envelope.to)) world_.Send(*this, envelope);
}

void StoreProcess::FetchLog(raft::Fetch fetch) {
  ++fetches_;
  host_.Later(host_.Draw(options_.sync_mean), [this, fetch] {
    std::vector<raft::EntryPtr> entries;
    size_t bytes = 0;
    for (raft::Index i = fetch.from; i <= fetch.to; ++i) {
      const raft::EntryPtr* entry = disk_.log.Find(i);
      if (entry == nullptr) break;
      bytes += (*entry)->data.size();
      if (!entries.empty() && bytes > fetch.bytes_max) break;
      entries.push_back(*entry);
    }
    Input([this, fetch, entries = std::move(entries)]() mutable {
      replica_->OnFetched(fetch.peer, fetch.from, std::move(entries));
    });
  });
}

void StoreProcess::TruncateLog(raft::Index through, raft::Term term) {
  // What is cut off can never be applied again.
  if (through > disk_.durable) {
    world_.Fail(fmt::format("member {} cuts its log at {}, its state is durable at {}", self_.node,
                            through, disk_.durable));
  }
  host_.Later(host_.Draw(options_.sync_mean), [this, through, term] {
    if (through <= disk_.log.truncated) return;
    disk_.log.TruncatePrefix(through);
    if (disk_.log.truncated_term != term) {
      world_.Fail(fmt::format("member {} cuts its log at {} with term {}, the entry has term {}",
                              self_.node, through, term, disk_.log.truncated_term));
    }
  });
}

void StoreProcess::SendSnapshot(raft::SnapshotOrder order) { snapshots_.Send(order); }

void StoreProcess::CancelSnapshot(raft::NodeId peer) { snapshots_.Cancel(peer); }

void StoreProcess::DropSnapshot(const raft::SnapshotMeta& meta) { snapshots_.Release(meta.index); }

void StoreProcess::SendPacket(raft::NodeId to, SnapshotPacket packet) {
  world_.SendPacket(*this, to, std::move(packet));
}

void StoreProcess::ReceivePacket(raft::NodeId from, SnapshotPacket packet) {
  host_.Later(0, [this, from, packet = std::move(packet)]() mutable {
    snapshots_.Receive(from, std::move(packet));
  });
}

void StoreProcess::InstallSnapshot(raft::SnapshotMeta meta) {
  to_apply_.emplace_back(Action([this, meta] { BeginInstall(meta); }));
  ScheduleApply();
}

// The one atomic step: STATE names what was received. Apply goes on when it is the machine's, too.
void StoreProcess::BeginInstall(const raft::SnapshotMeta& meta) {
  std::shared_ptr<engine::MemEngine> received = snapshots_.Take(meta.index);
  if (received == nullptr) {
    return world_.Fail(fmt::format("member {} is to install {}, which it has not received",
                                   self_.node, meta.index));
  }
  disk_.state = std::move(received);
  disk_.name = {"state", meta.index.value(), meta.term.value()};
  disk_.durable = meta.index;
  applying_ = true;
  world_.OnInstalling(*this);
  host_.Later(host_.Draw(options_.apply_mean), [this, meta] { EndInstall(meta); });
}

void StoreProcess::EndInstall(const raft::SnapshotMeta& meta) {
  applying_ = false;
  auto installed = installer_->installer.Install(meta);
  if (!installed) {
    return world_.Fail(fmt::format("member {} cannot install {}: {}", self_.node, meta.index,
                                   installed.error().ToString()));
  }
  engine_ = disk_.state;
  engine_->SetFull(full_);
  applied_ = meta.index;
  conf_ = meta.conf;
  world_.OnInstalled(*this, meta);
  snapshots_.Release(meta.index);
  Input([this, event = std::move(*installed)] {
    OnMembers();
    replica_->OnSnapshot(event);
  });
  ScheduleApply();
}

void StoreProcess::SendPeer(raft::NodeId to, replica::PeerMessage message) {
  if (membership_.Knows(to)) world_.SendPeer(*this, to, std::move(message));
}

void StoreProcess::OnRole(const raft::RoleChange& change) {
  bool has_leader = change.leader != raft::NodeId(0);
  gauges_.leader.store(change.leader.value());
  gauges_.term.store(change.term.value());
  gauges_.is_leader.store(change.role == raft::Role::kLeader);
  if (has_leader) gauges_.leader_changes.fetch_add(1);
}

// ---- between the loops and the replica ----

void StoreProcess::GrantReads(LoopId loop, uint64_t through) {
  services_->Post(loop, [through](replica::Edge& edge) { edge.OnReadsGranted(through); });
}

void StoreProcess::FailReads(LoopId loop, uint64_t through, ErrorCode code) {
  services_->Post(loop,
                  [through, code](replica::Edge& edge) { edge.OnReadsFailed(through, code); });
}

void StoreProcess::FailProposals(LoopId loop, std::span<const apply::RequestId> ids,
                                 ErrorCode code) {
  services_->Post(loop, [ids = std::vector(ids.begin(), ids.end()), code](replica::Edge& edge) {
    edge.OnProposalsFailed(ids, code);
  });
}

void StoreProcess::AnswerLeases(LoopId loop, std::span<const replica::LeaseAnswer> answers) {
  services_->Post(loop, [answers = std::vector(answers.begin(), answers.end())](
                            replica::Edge& edge) { edge.OnLeaseAnswers(answers); });
}

void StoreProcess::AnswerAdmin(const apply::RequestId& id, ErrorCode code) {
  services_->Post(id.loop, [id, code](replica::Edge& edge) { edge.OnAdminAnswer(id, code); });
}

bool StoreProcess::TryPropose(replica::ProposalBundle& bundle) {
  if (Refuses()) return false;
  Input([this, taken = std::move(bundle)]() mutable { replica_->OnProposals(std::move(taken)); });
  return true;
}

bool StoreProcess::TryReadTickets(LoopId loop, uint64_t through) {
  if (Refuses()) return false;
  Input([this, loop, through] { replica_->OnReadTickets(loop, through); });
  return true;
}

bool StoreProcess::TryLease(LoopId loop, std::vector<replica::LeaseRequest>& requests) {
  if (Refuses()) return false;
  Input([this, loop, taken = std::move(requests)] { replica_->OnLeaseRequests(loop, taken); });
  requests.clear();
  return true;
}

bool StoreProcess::TryAdmin(replica::AdminRequest& request) {
  if (Refuses()) return false;
  Input([this, taken = std::move(request)]() mutable { replica_->OnAdmin(std::move(taken)); });
  return true;
}

bool StoreProcess::TryRunOnApply(Action action) {
  if (Refuses()) return false;
  to_apply_.emplace_back(std::move(action));
  ScheduleApply();
  return true;
}

// ---- apply ----

void StoreProcess::Apply(std::vector<raft::EntryPtr> entries) {
  to_apply_.emplace_back(std::move(entries));
  ScheduleApply();
}

void StoreProcess::ScheduleApply() {
  if (applying_ || to_apply_.empty()) return;
  applying_ = true;
  host_.Later(host_.Draw(options_.apply_mean), [this] { ApplyStep(); });
}

void StoreProcess::ApplyStep() {
  applying_ = false;
  auto* entries = std::get_if<std::vector<raft::EntryPtr>>(&to_apply_.front());
  if (entries == nullptr) {
    Action action = std::move(std::get<Action>(to_apply_.front()));
    to_apply_.pop_front();
    action();
  } else {
    if (!ApplySlice(*entries)) return;
    if (entries->empty()) to_apply_.pop_front();
  }
  ScheduleApply();
}

// How many of them may be one batch: none may lie on both sides of an index where states are
// compared, and a change of members is one.
size_t StoreProcess::SliceOf(const std::vector<raft::EntryPtr>& entries) {
  size_t most = 1 + host_.random().Below(options_.slice_entries_max);
  size_t count = 0;
  while (count < std::min(most, entries.size())) {
    const raft::Entry& entry = *entries[count];
    bool alone = entry.kind == raft::EntryKind::kConfChange;
    if (alone && count > 0) break;
    ++count;
    if (alone || entry.index.value() % kBatchEndsEvery == 0) break;
  }
  return count;
}

// False: it goes on later, or never.
bool StoreProcess::ApplySlice(std::vector<raft::EntryPtr>& entries) {
  bool again = machine_->write_pending();
  auto outcome = again ? machine_->RetryWrite()
                       : machine_->Apply(std::span(entries).first(SliceOf(entries)), &taken_);
  if (outcome) {
    EndSlice(entries, std::move(*outcome));
    return true;
  }
  if (outcome.error().code() != ErrorCode::kNoSpace) {
    world_.Fail(fmt::format("member {} cannot apply {}: {}", self_.node, applied_ + 1,
                            outcome.error().ToString()));
    return false;
  }
  applying_ = true;
  host_.Later(kNoSpaceRetry, [this] { ApplyStep(); });
  return false;
}

void StoreProcess::EndSlice(std::vector<raft::EntryPtr>& entries, apply::BatchOutcome outcome) {
  for (const raft::ConfChange& change : outcome.report.conf_changes) {
    conf_ = raft::Changed(conf_, change);
  }
  for (size_t i = 0; i < taken_; ++i) {
    if (entries[i]->index <= applied_) continue;
    world_.OnEntry(*this, *entries[i], conf_);
    applied_ = entries[i]->index;
  }
  entries.erase(entries.begin(), entries.begin() + static_cast<ptrdiff_t>(taken_));
  world_.OnBatch(*this, applied_);
  replica::ApplyWorker::Tell(sinks_, std::move(outcome));
}

replica::ApplySinks StoreProcess::MakeSinks() {
  return {
      .events = [this](mvcc::EventBatchPtr events) { PublishEvents(std::move(events)); },
      .results =
          [this](std::vector<apply::LoopResults> results) {
            for (apply::LoopResults& loop : results) {
              for (const apply::CallResult& result : loop.results) {
                world_.OnResult(*this, loop.loop, result);
              }
              services_->Post(loop.loop,
                              [taken = std::move(loop.results)](replica::Edge& edge) mutable {
                                edge.OnResults(std::move(taken));
                              });
            }
          },
      .report =
          [this](apply::ApplyReport report) {
            Input([this, report = std::move(report)] {
              // Before the replica may speak to a member it has just learned of.
              if (report.members) OnMembers();
              replica_->OnApplied(report);
            });
          },
      .fatal = [this](const Error& error) { world_.Fail(error.ToString()); },
  };
}

// ---- watch hub and maintenance ----

void StoreProcess::PublishEvents(mvcc::EventBatchPtr events) {
  RareBranch rare(host_.random().Chance(options_.buggify), "hub-drop");
  hub_->Publish(std::move(events));
}

void StoreProcess::RunHub() {
  hub_due_ = false;
  if (hub_->RunTurn() && !std::exchange(hub_due_, true)) hub_thread_.Post([this] { RunHub(); });
}

// Progress notices: the hub is looked at now and then, as its thread's deadline would do.
void StoreProcess::ArmNotices() {
  host_.Later(options_.tick, [this] {
    if (hub_->NextDeadline() <= Now() && !std::exchange(hub_due_, true)) {
      hub_thread_.Post([this] { RunHub(); });
    }
    ArmNotices();
  });
}

// What STATE names may be newer already: then this was for nothing.
Status StoreProcess::FlushEngine() {
  RETURN_IF_ERROR(engine_->Flush());
  if (engine_ != disk_.state) return Ok();
  auto row = apply::StateMachine::ReadApplied(*engine_, engine::Tier::kPersisted);
  RETURN_IF_ERROR(row);
  disk_.durable = (*row)->index;
  return Ok();
}

void StoreProcess::FlushState() {
  host_.Later(host_.Draw(options_.flush_every), [this] { FlushState(); });
  if (engine_ != disk_.state) return;
  Status flushed = FlushEngine();
  if (!flushed && flushed.error().code() == ErrorCode::kNoSpace) return;
  if (!flushed) return world_.Fail("the state cannot be flushed");
  Input([this, durable = disk_.durable] { replica_->OnFlushed(durable); });
}

// Some revision stays readable while the group compacts beyond it.
void StoreProcess::HoldSome() {
  host_.Later(host_.Draw(kHoldEvery), [this] {
    const mvcc::MvccStore& store = machine_->mvcc();
    const Revision lowest = std::max(store.compacted(), Revision(1));
    auto range = static_cast<uint64_t>(store.current().value() - lowest.value()) + 1;
    auto view = store.Hold(lowest + static_cast<int64_t>(host_.random().Below(range)));
    held_.reset();
    if (view) held_.emplace(std::move(*view));
    host_.Later(host_.Draw(kHoldFor), [this] {
      if (held_) world_.OnView(*this, *held_);
      held_.reset();
      HoldSome();
    });
  });
}

void StoreProcess::CollectSome() {
  host_.Later(host_.Draw(options_.collect_every), [this] { CollectSome(); });
  if (machine_->mvcc().compacted() <= machine_->mvcc().collected()) return;
  RareBranch rare(host_.random().Chance(10 * options_.buggify), "mvcc-collect-one");
  auto step = collector_->Step(Now());
  if (!step && step.error().code() == ErrorCode::kNoSpace) return;
  if (!step) return world_.Fail("collection: " + step.error().ToString());
  if (step->trim.keys.empty()) return;
  auto trim = std::make_shared<mvcc::TrimBatch>(std::move(step->trim));
  (void)TryRunOnApply([this, trim] { machine_->mvcc().Trim(*trim); });
}

}  // namespace store::sim
