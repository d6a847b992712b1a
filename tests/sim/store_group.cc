// SPDX-License-Identifier: Apache-2.0
#include "tests/sim/store_group.h"

#include "store/apply/command.h"
#include "store/engine/sys_keys.h"
#include "store/mvcc/restore.h"
#include "store/raft/conf_change.h"
#include "tests/sim/comparable.h"
#include "tests/sim/draw.h"
#include "tests/sim/kept_history.h"

#include <fmt/format.h>

#include <string>
#include <utility>

namespace store::sim {
namespace {

using raft::Index;
using raft::NodeId;
using raft::Term;

uint64_t Mix(uint64_t hash, uint64_t value) {
  hash = (hash ^ value) * 0x9e3779b97f4a7c15;
  return hash ^ (hash >> 29);
}

uint64_t MixBytes(uint64_t hash, std::string_view bytes) {
  hash = Mix(hash, bytes.size());
  for (char c : bytes) hash = Mix(hash, static_cast<unsigned char>(c));
  return hash;
}

// Everything replicated: the history as HashKV sees it, and every row of `sys` but how far this
// member has collected.
uint64_t HashOf(const StoreProcess& process) {
  auto kv = process.machine().mvcc().HashByRevision(Revision());
  uint64_t hash = kv ? Mix(kv->hash, static_cast<uint64_t>(kv->current.value())) : 0;
  auto rows = process.disk().state->Scan(engine::Table::kSys, {}, {}, {});
  for (; rows->Valid(); rows->Next()) {
    if (rows->key() == mvcc::CompactFinishedKey()) continue;
    hash = MixBytes(MixBytes(hash, rows->key()), rows->value());
  }
  return hash;
}

void CountTxn(const etcdserverpb::TxnRequest& request, StoreCounts* counts) {
  if (request.success_size() > 10) ++counts->txns_big;
  for (const auto& op : request.success()) {
    if (op.has_request_txn()) ++counts->txns_nested;
  }
}

apply::InitialState MakeInitial(int members) {
  apply::InitialState initial{
      .index = kFoundingIndex, .term = kFoundingTerm, .members = {}, .conf = {}};
  for (int i = 1; i <= members; ++i) {
    cluster::Member member;
    member.id = NodeId(static_cast<uint64_t>(i));
    member.name = fmt::format("m{}", i);
    member.peer_urls = {fmt::format("http://10.0.0.{}:2380", i)};
    initial.conf.voters.push_back(member.id);
    initial.members.push_back(std::move(member));
  }
  return initial;
}

}  // namespace

StoreGroup::StoreGroup(const StoreOptions& options)
    : options_(options),
      random_(Random(options.seed).Fork("group")),
      raft_checker_(
          [this](NodeId node, Index index, Term term) { return HoldsDurably(node, index, term); }),
      network_(&events_, Random(options.seed).Fork("network"), options.network,
               [this](const raft::Envelope& envelope) { Deliver(envelope); }),
      checks_(events_, model_, options.clocks.Fastest()),
      initial_(MakeInitial(options.members)) {
  model_.members().Begin(initial_.members);
  raft_checker_.Begin(kFoundingIndex, kFoundingTerm, initial_.conf);
  for (const cluster::Member& member : initial_.members) {
    members_[member.id].founder = true;
    members_[member.id].clock_rate = options_.clocks.Usual(random_);
    Restart(member.id);
  }
}

StoreGroup::~StoreGroup() {
  for (auto& [node, member] : members_) member.process.reset();
}

void StoreGroup::RunUntil(Time end) {
  while (problem_.empty() && events_.RunNext(end)) {
    if (events_max_ > 0 && events_.ran() >= events_max_) Fail("as many events as were asked for");
  }
}

void StoreGroup::Say(std::string_view what) const {
  if (trace_) fmt::print("{:>10} {}\n", events_.now(), what);
}

void StoreGroup::Fail(const std::string& problem) {
  if (problem_.empty() && !problem.empty()) problem_ = problem;
}

bool StoreGroup::HoldsDurably(NodeId node, Index index, Term term) const {
  auto at = members_.find(node);
  if (at == members_.end()) return false;
  const StoreDisk& disk = at->second.disk;
  if (index <= disk.log.truncated || index <= disk.durable) return true;
  const raft::EntryPtr* entry = disk.log.Find(index);
  return entry != nullptr && (*entry)->term == term;
}

StoreProcess* StoreGroup::Leader() {
  StoreProcess* best = nullptr;
  for (auto& [node, member] : members_) {
    StoreProcess* process = member.process.get();
    if (process == nullptr || process->before().role != raft::Role::kLeader) continue;
    if (best == nullptr || best->before().term < process->before().term) best = process;
  }
  return best;
}

// ---- faults ----

void StoreGroup::Crash(NodeId node) {
  StoreMember& member = members_.at(node);
  if (member.process == nullptr) return;
  ++counts_.crashes;
  Say(fmt::format("member {} crashes", node));
  Bury(member);
  size_t whole = random_.Below(member.disk.log.unsynced() + 1);
  int torn = static_cast<int>(random_.Below(5)) - 1;
  if (torn >= 0 && whole < member.disk.log.unsynced()) ++counts_.torn;
  member.disk.log.Crash(whole, torn);
}

void StoreGroup::Bury(StoreMember& member) {
  counts_.fetches += member.process->fetches();
  counts_.hub_drops += member.process->watch_stats().batches_dropped;
  member.process.reset();
}

void StoreGroup::Stop(NodeId node, Time patience) {
  if (members_.at(node).process == nullptr) return;
  bool leads = Leader() == members_.at(node).process.get();
  Say(fmt::format("member {} is told to stop", node));
  members_.at(node).process->Leave();
  events_.After(patience, [this, node, leads, life = members_.at(node).lives] {
    StoreMember& member = members_.at(node);
    if (member.process == nullptr || member.lives != life || healed_) return;
    ++counts_.stops;
    if (leads && member.process->before().role != raft::Role::kLeader) ++counts_.handed_over;
    Say(fmt::format("member {} stops", node));
    member.process->EndWell();
    Bury(member);
  });
}

void StoreGroup::Restart(NodeId node) {
  StoreMember& member = members_.at(node);
  cluster::MemberList remotes;
  if (member.process != nullptr || member.retired || member.wiped) return;
  if (!MayStart(node, member, &remotes)) return;
  ProcessSelf self{node, ++member.lives, 0, fmt::format("m{:x}", node), std::move(remotes)};
  self.boot_nonce = random_.Fork(fmt::format("nonce {} {}", node, member.lives)).Next();
  member.process = std::make_unique<StoreProcess>(
      options_, self, member.disk, member.founder ? initial_ : apply::InitialState(),
      static_cast<StoreWorld&>(*this), &events_, member.clock_rate);
  Index applied = member.process->applied();
  Say(fmt::format("member {} starts at {}", node, applied));
  member.digest = applied == Index() ? 0 : raft_checker_.StateOf(applied).digest;
  // What survived is exactly a state that was.
  if (states_.contains(applied)) CompareState(*member.process);
}

void StoreGroup::Pause(NodeId node, Time time) {
  StoreMember& member = members_.at(node);
  if (member.process == nullptr) return;
  ++counts_.pauses;
  Say(fmt::format("member {} is paused for {} us", node, time));
  member.process->host().PauseUntil(events_.now() + time);
}

void StoreGroup::SetClockRate(NodeId node, double rate) {
  StoreMember& member = members_.at(node);
  ++counts_.clock_rates;
  Say(fmt::format("the clock of member {} has rate {:.3f}", node, rate));
  member.clock_rate = rate;
  if (member.process != nullptr) member.process->clock().SetRate(rate);
}

void StoreGroup::Heal() {
  Say("everything heals");
  healed_ = true;
  network_.Heal();
  network_.MakeReliable();
  for (auto& [node, member] : members_) {
    if (options_.clocks.wild > 1) SetClockRate(node, options_.clocks.Usual(random_));
    if (member.process != nullptr) {
      member.process->host().Wake();
      member.process->SetFull(false);
    }
    Restart(node);
  }
}

// ---- what processes do ----

void StoreGroup::Send(StoreProcess& from, const raft::Envelope& envelope) {
  Fail(raft_checker_.ObserveSent(envelope, from.disk().log));
  network_.Send(envelope);
}

void StoreGroup::SendPeer(StoreProcess& from, NodeId to, replica::PeerMessage message) {
  NodeId node = from.self().node;
  network_.SendOther(node, to, [this, node, to, message = std::move(message)]() mutable {
    StoreProcess* target = Listener(node, to);
    if (target != nullptr) target->ReceiveOther(node, std::move(message));
  });
}

// What speaks to a member that is down is told so, as a connection that breaks.
void StoreGroup::SendPacket(StoreProcess& from, NodeId to, SnapshotPacket packet) {
  NodeId node = from.self().node;
  network_.SendStream(node, to, [this, node, to, packet = std::move(packet)]() mutable {
    StoreProcess* target = Listener(node, to);
    if (target != nullptr) return target->ReceivePacket(node, std::move(packet));
    auto sender = members_.find(node);
    bool answers = packet.kind == SnapshotPacket::Kind::kChunk;
    if (!answers || sender == members_.end() || sender->second.process == nullptr) return;
    SnapshotPacket broken{
        .kind = SnapshotPacket::Kind::kEnd, .transfer = packet.transfer, .bytes = {}};
    sender->second.process->ReceivePacket(to, std::move(broken));
  });
}

// A crash before, in or right after the moment when the state is another one and the log is not.
void StoreGroup::OnInstalling(StoreProcess& process) {
  if (healed_ || !random_.Chance(options_.snapshots.crash)) return;
  NodeId node = process.self().node;
  Time most = 2 * options_.apply_mean + 2 * options_.sync_mean + 2 * options_.turn_mean;
  events_.After(TimeBetween(random_, 0, most), [this, node] { Crash(node); });
  events_.After(most + TimeBetween(random_, 0, kSecond), [this, node] { Restart(node); });
}

void StoreGroup::OnInstalled(StoreProcess& process, const raft::SnapshotMeta& meta) {
  ++counts_.installs;
  if (process.watch_stats().watchers > 0) ++counts_.installs_watched;
  Say(fmt::format("member {} has installed a snapshot of {}", process.self().node, meta.index));
  const StateAt& state = raft_checker_.StateOf(meta.index);
  members_.at(process.self().node).digest = state.digest;
  if (state.conf != meta.conf) {
    Fail(fmt::format("member {} installs {} with other members than it had", process.self().node,
                     meta.index));
  }
  CompareState(process);
}

void StoreGroup::Deliver(const raft::Envelope& envelope) {
  auto to = members_.find(envelope.to);
  if (to != members_.end() && to->second.process != nullptr) {
    StoreProcess* target = Listener(envelope.from, envelope.to);
    if (target != nullptr) target->Receive(envelope);
    return;
  }
  auto from = members_.find(envelope.from);
  if (from == members_.end() || from->second.process == nullptr) return;
  from->second.process->Unreachable(envelope.to);
}

void StoreGroup::OnUnit(StoreProcess& process, const raft::PersistUnit& unit) {
  if (unit.truncate_from) ++counts_.replaced_tails;
  Fail(raft_checker_.ObserveUnit(unit, process.raft()));
}

void StoreGroup::OnTick(StoreProcess& process) { raft_checker_.Ticks(process.self().node); }

void StoreGroup::OnMessage(StoreProcess& process, const raft::Envelope& envelope) {
  raft_checker_.Arrives(process.raft_config(), process.before(), envelope);
}

void StoreGroup::OnInput(StoreProcess& process) {
  raft::Role role = process.before().role;
  Fail(raft_checker_.Observe(process.raft_config(), process.raft(), &process.before()));
  const raft::Status& now = process.before();
  if (trace_ && role != now.role) {
    Say(fmt::format("member {} is {} in term {}", now.id, raft::Name(now.role), now.term));
  }
  if (role != raft::Role::kLeader && now.role == raft::Role::kLeader) {
    ++counts_.elections;
    for (const auto& [node, member] : members_) {
      bool other = node != now.id && member.process != nullptr;
      if (other && member.process->before().role == raft::Role::kLeader) ++counts_.two_leaders;
    }
  }
  for (uint64_t part : {now.id.value(), now.term.value(), now.last.value(), now.commit.value(),
                        now.applied.value(), static_cast<uint64_t>(events_.now())}) {
    Trace(part);
  }
}

void StoreGroup::OnEntry(StoreProcess& process, const raft::Entry& entry,
                         const raft::ConfState& conf) {
  StoreMember& member = members_.at(process.self().node);
  member.digest = DigestAfter(member.digest, entry);
  Fail(raft_checker_.ObserveApplied(process.self().node, entry, {member.digest, conf}));
  if (entry.index != committed_ + 1) return;
  Commit(entry);
  if (entry.kind == raft::EntryKind::kConfChange && model_.members().Conf() != conf) {
    Fail(fmt::format("after entry {} the members are {}, expected {}", entry.index,
                     raft::ToString(conf), raft::ToString(model_.members().Conf())));
  }
}

// The first member has applied it: the model does.
void StoreGroup::Commit(const raft::Entry& entry) {
  committed_ = entry.index;
  if (entry.kind == raft::EntryKind::kConfChange) return ApplyChange(entry);
  if (entry.kind != raft::EntryKind::kCommand) return;
  sluice::store::Command command;
  if (!apply::DecodeCommand(entry.data, &command)) {
    return Fail(fmt::format("entry {} is no command", entry.index));
  }
  if (trace_) Say(fmt::format("entry {}: {}", entry.index, command.ShortDebugString()));
  ModelAnswer answer = model_.Apply(command, events_.now());
  if (command.has_lease_revoke()) {
    for (int64_t id : command.lease_revoke().ids()) Fail(checks_.LeaseEnded(id));
    if (command.header().counter() == 0) ++counts_.leases_expired;
  }
  for (const auto& checkpoint : command.lease_checkpoint().checkpoints()) {
    ++(checkpoint.remaining_ttl() > 0 ? counts_.checkpoints : counts_.checkpoints_cleared);
  }
  if (command.has_txn()) CountTxn(command.txn(), &counts_);
  Expect(apply::IdOf(command.header()), std::move(answer), entry.index);
}

void StoreGroup::ApplyChange(const raft::Entry& entry) {
  auto change = raft::DecodeConfChange(entry.data);
  sluice::store::MembershipChange command;
  if (!change || !command.ParseFromString(change->context)) {
    return Fail(fmt::format("entry {} is no change of the members", entry.index));
  }
  if (trace_) {
    Say(fmt::format("entry {}: member {}, {}", entry.index, change->node,
                    command.ShortDebugString()));
  }
  Expect(apply::IdOf(command.header()), model_.Apply(*change, command), entry.index);
}

void StoreGroup::Expect(const apply::RequestId& id, ModelAnswer answer, Index index) {
  if (id.counter == 0) return;
  CallKey key(id.member, id.boot_nonce, id.loop.value(), id.counter);
  if (answers_.emplace(key, std::move(answer)).second) return;
  Fail(fmt::format("the command {} of member {} is in the log twice, again at {}", id.counter,
                   id.member, index));
}

void StoreGroup::OnResult(StoreProcess& process, LoopId loop, const apply::CallResult& result) {
  CallKey key(process.self().node.value(), process.self().boot_nonce, loop.value(), result.counter);
  auto expected = answers_.find(key);
  if (expected == answers_.end()) {
    return Fail(fmt::format("member {} has a result of {}, which is not in the log",
                            process.self().node, result.counter));
  }
  const ModelAnswer& model = expected->second;
  bool same = result.error == model.error;
  if (same && result.error == ErrorCode::kOk) {
    same = result.revision.value() == model.revision &&
           Comparable(result.response.get()) == Comparable(model.response.get());
  }
  if (same) return;
  Fail(fmt::format("member {} answers {} at revision {} ({}), expected {} at {} ({})",
                   process.self().node, Name(result.error), result.revision,
                   Readable(result.response.get()), Name(model.error), model.revision,
                   Readable(model.response.get())));
}

void StoreGroup::OnBatch(StoreProcess& process, Index applied) {
  if (trace_) {
    Say(fmt::format("member {} is at {}, revision {}", process.self().node, applied,
                    process.machine().mvcc().current()));
  }
  if (applied.value() % kBatchEndsEvery == 0) CompareState(process);
}

void StoreGroup::OnView(StoreProcess& process, const mvcc::HeldView& view) {
  if (!view.cancelled() && view.revision() < process.machine().mvcc().compacted()) {
    ++counts_.views_outlived;
  }
  Fail(checks_.Held(view));
}

void StoreGroup::CompareState(StoreProcess& process) {
  ++counts_.states_compared;
  Index applied = process.applied();
  process.machine().mvcc().CheckInvariants();
  if (std::string left = LeftBelowCollected(process.machine().mvcc()); !left.empty()) {
    return Fail(fmt::format("member {} at {}: {}", process.self().node, applied, left));
  }
  uint64_t hash = HashOf(process);
  auto [known, fresh] = states_.try_emplace(applied, hash);
  if (known->second != hash) {
    return Fail(fmt::format("member {} is in another state at {} than a member before",
                            process.self().node, applied));
  }
  Fail(checks_.Contents(process.machine().mvcc()));
}

}  // namespace store::sim
