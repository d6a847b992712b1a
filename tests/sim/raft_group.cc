// SPDX-License-Identifier: Apache-2.0
#include "tests/sim/raft_group.h"

#include "store/base/check.h"
#include "store/raft/conf_change.h"
#include "store/raft/quorum.h"

#include <algorithm>
#include <utility>
#include <variant>

namespace store::sim {
namespace {

using raft::Index;
using raft::NodeId;
using raft::Term;

}  // namespace

RaftGroup::RaftGroup(const RaftOptions& options)
    : options_(options),
      random_(Random(options.seed).Fork("hosts")),
      checker_([this](NodeId node, Index index, Term term) {
        auto at = members_.find(node);
        if (at == members_.end()) return false;
        const RaftMember& member = at->second;
        if (index <= member.disk.truncated || index <= member.flushed.index) return true;
        const raft::EntryPtr* entry = member.disk.Find(index);
        return entry != nullptr && (*entry)->term == term;
      }),
      network_(&events_, Random(options.seed).Fork("network"),
               {options.latency_min, options.latency_mean, options.loss, options.duplicate},
               [this](const raft::Envelope& envelope) { Deliver(envelope); }) {
  for (int i = 1; i <= options.members; ++i) first_conf_.voters.push_back(NodeId(i));
  for (NodeId node : first_conf_.voters) Start(node);
}

void RaftGroup::RunUntil(Time end) {
  while (problem_.empty() && events_.RunNext(end)) {
  }
}

void RaftGroup::Fail(const std::string& problem) {
  if (problem_.empty() && !problem.empty()) problem_ = problem;
}

Time RaftGroup::Draw(Time mean) {
  return static_cast<Time>(random_.Below(2 * static_cast<uint64_t>(mean) + 1));
}

void RaftGroup::Later(RaftMember& member, Time delay, Step step) {
  NodeId node = member.config.id;
  EventQueue::Event event = [this, node, life = member.life, step = std::move(step)]() mutable {
    RaftMember& self = At(node);
    if (self.life == life && self.raft != nullptr) step(self);
  };
  events_.After(delay, [this, node, event = std::move(event)]() mutable {
    RaftMember& self = At(node);
    if (self.paused_until > events_.now()) {
      self.parked.push_back(std::move(event));
    } else {
      event();
    }
  });
}

// What was due while it was paused comes at once and in its order.
void RaftGroup::Release(RaftMember& member) {
  if (member.paused_until > events_.now()) return;
  for (EventQueue::Event& event : std::exchange(member.parked, {})) {
    events_.After(0, std::move(event));
  }
}

void RaftGroup::Touched(RaftMember& member) {
  Fail(checker_.Observe(member.config, *member.raft, &member.before));
  const raft::Status& now = member.before;
  for (uint64_t part : {now.id.value(), now.term.value(), now.last.value(), now.commit.value(),
                        now.applied.value(), static_cast<uint64_t>(events_.now())}) {
    trace_hash_ = (trace_hash_ ^ part) * 0x100000001b3;
  }
  if (member.taking || !member.raft->HasOutput()) return;
  member.taking = true;
  Later(member, static_cast<Time>(random_.Below(100)), [this](RaftMember& self) { Take(self); });
}

RaftMember* RaftGroup::Leader() {
  RaftMember* best = nullptr;
  for (auto& [node, member] : members_) {
    if (member.raft == nullptr || member.before.role != raft::Role::kLeader) continue;
    if (best == nullptr || best->before.term < member.before.term) best = &member;
  }
  return best;
}

// ---- inputs ----

void RaftGroup::Propose(NodeId node, std::vector<std::string> commands) {
  RaftMember& member = At(node);
  if (member.raft == nullptr || member.paused_until > events_.now()) return;
  ++counts_.proposed;
  member.raft->Propose(std::move(commands));
  Touched(member);
}

void RaftGroup::ProposeConfChange(NodeId node, const raft::ConfChange& change) {
  RaftMember& member = At(node);
  if (member.raft == nullptr || member.paused_until > events_.now()) return;
  if (member.raft->ProposeConfChange(change) == raft::ProposeResult::kAppended) {
    ++counts_.conf_changes;
    if (!members_.contains(change.node)) Start(change.node);
  }
  Touched(member);
}

void RaftGroup::Read(NodeId node) {
  RaftMember& member = At(node);
  if (member.raft == nullptr || member.paused_until > events_.now()) return;
  Index& seen = member.reads[member.raft->RequestRead()];
  seen = std::max(seen, checker_.told());
  Touched(member);
}

// As a host does it: the lease is looked at when the answer leaves.
void RaftGroup::LeaseRead(NodeId node) {
  RaftMember& member = At(node);
  if (member.raft == nullptr || member.paused_until > events_.now()) return;
  if (member.before.role != raft::Role::kLeader ||
      member.clock.At(events_.now()) >= member.lease_until)
    return;
  ++counts_.lease_reads;
  if (member.before.commit < checker_.told()) {
    Fail(fmt::format("member {} reads at {} under its lease, {} had been told", node,
                     member.before.commit, checker_.told()));
  }
}

void RaftGroup::Transfer(NodeId node, NodeId to) {
  RaftMember& member = At(node);
  if (member.raft == nullptr || member.paused_until > events_.now()) return;
  ++counts_.transfers;
  member.raft->TransferLeadership(to);
  Touched(member);
}

// ---- lives ----

void RaftGroup::Start(NodeId node) {
  RaftMember& member = members_[node];
  member.config = options_.raft;
  member.config.id = node;
  member.config.seed = Random(options_.seed).Fork(fmt::format("core {}", node)).Next();
  member.clock = OwnTime(options_.clocks.Usual(random_));
  member.applied.state.conf = member.flushed.state.conf = first_conf_;
  Boot(member);
}

void RaftGroup::Boot(RaftMember& member) {
  raft::UnitDisk& disk = member.disk;
  // The state was installed, the crash came before the log heard of it (architecture 3.5).
  const raft::EntryPtr* own = disk.Find(member.flushed.index);
  bool behind = member.flushed.index > disk.truncated &&
                (own == nullptr || (*own)->term != member.flushed.term);
  if (behind) {
    disk.entries.clear();
    disk.truncated = member.flushed.index;
    disk.truncated_term = member.flushed.term;
    disk.hard_state.term = std::max(disk.hard_state.term, member.flushed.term);
  }
  member.applied = member.flushed;
  member.config.reads_after = member.life << 32;
  member.raft = std::make_unique<raft::Raft>(
      member.config, disk.Load(member.applied.index, member.applied.state.conf));
  member.before = member.raft->status();
  Time phase = static_cast<Time>(random_.Below(static_cast<uint64_t>(options_.tick)));
  Later(member, phase, [this](RaftMember& self) { Tick(self); });
  Later(member, Draw(options_.flush_every), [this](RaftMember& self) { FlushAndCut(self); });
  Touched(member);
}

void RaftGroup::Crash(NodeId node) {
  RaftMember& member = At(node);
  if (member.raft == nullptr) return;
  ++counts_.crashes;
  ++member.life;
  member.raft.reset();
  size_t whole = random_.Below(member.disk.unsynced() + 1);
  int torn = static_cast<int>(random_.Below(5)) - 1;
  if (torn >= 0 && whole < member.disk.unsynced()) ++counts_.torn;
  member.disk.Crash(whole, torn);
  member.to_apply.clear();
  member.parked.clear();
  member.reads.clear();
  member.rounds_sent.clear();
  member.lease_until = member.paused_until = 0;
  member.taking = member.syncing = member.applying = false;
}

void RaftGroup::Restart(NodeId node) {
  RaftMember& member = At(node);
  if (member.raft == nullptr && !member.retired) Boot(member);
}

void RaftGroup::Pause(NodeId node, Time time) {
  RaftMember& member = At(node);
  if (member.raft == nullptr) return;
  ++counts_.pauses;
  member.paused_until = events_.now() + time;
  events_.After(time, [this, node] { Release(At(node)); });
}

void RaftGroup::SetClockRate(NodeId node, double rate) {
  ++counts_.rates;
  At(node).clock.SetRate(events_.now(), rate);
}

void RaftGroup::Heal() {
  network_.Heal();
  network_.MakeReliable();
  for (auto& [node, member] : members_) {
    member.paused_until = 0;
    if (options_.clocks.wild > 1) SetClockRate(node, options_.clocks.Usual(random_));
    Release(member);
    Restart(node);
  }
}

// ---- the host ----

void RaftGroup::Tick(RaftMember& member) {
  checker_.Ticks(member.config.id);
  member.raft->Tick();
  Touched(member);
  Later(member, member.clock.VirtualFor(options_.tick), [this](RaftMember& self) { Tick(self); });
}

void RaftGroup::Take(RaftMember& member) {
  member.taking = false;
  raft::Output output = member.raft->TakeOutput();
  if (output.role) {
    counts_.elections += output.role->role == raft::Role::kLeader ? 1 : 0;
    member.lease_until = 0;
    member.rounds_sent.clear();
  }
  if (output.lease_ended) member.lease_until = 0;
  NoteRounds(member, output);
  for (const raft::Envelope& envelope : output.send) Send(member, envelope);
  if (output.persist) {
    Fail(checker_.ObserveUnit(*output.persist, *member.raft));
    member.disk.Write(std::move(*output.persist));
    SyncSome(member);
  }
  for (raft::EntryPtr& entry : output.apply) member.to_apply.push_back(std::move(entry));
  size_t handed = 0;
  for (const raft::EntryPtr& entry : member.to_apply) handed += raft::EntryBytes(*entry);
  if (handed > member.config.apply_bytes_max && member.to_apply.size() > 1) {
    Fail(fmt::format("member {} has {} bytes to apply", member.config.id, handed));
  }
  if (!member.to_apply.empty()) ApplySome(member);
  if (output.restore) {
    Later(member, Draw(options_.apply_mean * 10),
          [this, meta = *output.restore](RaftMember& self) { Restore(self, meta); });
  }
  for (const raft::Fetch& fetch : output.fetch) {
    Later(member, Draw(options_.sync_mean),
          [this, fetch](RaftMember& self) { Fetched(self, fetch); });
  }
  for (const raft::SnapshotOrder& order : output.snapshots) {
    Later(member, Draw(options_.latency_mean * 10),
          [this, order](RaftMember& self) { SendSnapshot(self, order); });
  }
  for (const raft::ReadGrant& grant : output.reads) Grant(member, grant);
  for (raft::ReadId batch : output.reads_failed) member.reads.erase(batch);
  Touched(member);
}

// When a round was first sent is when the lease it may give begins.
void RaftGroup::NoteRounds(RaftMember& member, const raft::Output& output) {
  for (const raft::Envelope& envelope : output.send) {
    const auto* heartbeat = std::get_if<raft::Heartbeat>(&envelope.message);
    if (heartbeat != nullptr)
      member.rounds_sent.try_emplace(heartbeat->round, member.clock.At(events_.now()));
  }
  if (!output.quorum_round || !options_.raft.lease_reads) return;
  auto sent = member.rounds_sent.find(*output.quorum_round);
  if (sent == member.rounds_sent.end()) return;
  // Less one tick, which may have begun before, and what the two clocks may differ.
  double ticks = options_.raft.election_ticks - 1;
  double valid = ticks * static_cast<double>(options_.tick) * (1 - 2.2 * options_.clocks.drift_max);
  member.lease_until = sent->second + static_cast<Time>(valid);
  member.rounds_sent.erase(member.rounds_sent.begin(), std::next(sent));
}

void RaftGroup::Send(RaftMember& member, const raft::Envelope& envelope) {
  Fail(checker_.ObserveSent(envelope, member.disk));
  network_.Send(envelope);
}

void RaftGroup::Deliver(const raft::Envelope& envelope) {
  auto at = members_.find(envelope.to);
  if (at == members_.end() || at->second.raft == nullptr) {
    auto from = members_.find(envelope.from);
    if (from == members_.end() || from->second.raft == nullptr) return;
    return Later(from->second, 0, [this, to = envelope.to](RaftMember& self) {
      self.raft->OnUnreachable(to);
      Touched(self);
    });
  }
  Later(at->second, 0, [this, envelope](RaftMember& self) {
    checker_.Arrives(self.config, self.before, envelope);
    self.raft->Step(envelope);
    Touched(self);
  });
}

// Everything written by then with one sync, as the log writer does.
void RaftGroup::SyncSome(RaftMember& member) {
  if (member.syncing || member.disk.unsynced() == 0) return;
  member.syncing = true;
  Time time = Draw(options_.sync_mean);
  if (random_.Chance(options_.disk_stall)) time = 100 * options_.sync_mean;
  Later(member, time, [this, units = member.disk.unsynced()](RaftMember& self) {
    uint64_t last = 0;
    std::vector<raft::Envelope> release;
    for (size_t i = 0; i < units; ++i) {
      raft::PersistUnit unit = self.disk.SyncOne();
      last = unit.id;
      std::move(unit.release.begin(), unit.release.end(), std::back_inserter(release));
    }
    for (const raft::Envelope& envelope : release) Send(self, envelope);
    auto tell = [this, last](RaftMember& told) {
      told.syncing = false;
      told.raft->OnPersisted(last);
      Touched(told);
      SyncSome(told);
    };
    // The thread may stand still between the two: answers to what it sent come first.
    if (!random_.Chance(options_.disk_stall)) return tell(self);
    Later(self, 100 * options_.sync_mean, tell);
  });
}

void RaftGroup::ApplySome(RaftMember& member) {
  if (member.applying || member.to_apply.empty()) return;
  member.applying = true;
  Later(member, Draw(options_.apply_mean), [this](RaftMember& self) {
    self.applying = false;
    size_t count = std::min<size_t>(self.to_apply.size(), 1 + random_.Below(20));
    for (size_t i = 0; i < count; ++i) {
      raft::EntryPtr entry = std::move(self.to_apply.front());
      self.to_apply.pop_front();
      ApplyOne(self, *entry);
    }
    self.raft->OnApplied(self.applied.index);
    Touched(self);
    ApplySome(self);
  });
}

void RaftGroup::ApplyOne(RaftMember& member, const raft::Entry& entry) {
  Applied& applied = member.applied;
  if (entry.index != applied.index + 1) {
    return Fail(fmt::format("member {} applies {} behind {}", member.config.id, entry.index,
                            applied.index));
  }
  if (entry.kind == raft::EntryKind::kConfChange) {
    raft::ConfChange change = *raft::DecodeConfChange(entry.data);
    applied.state.conf = member.raft->ApplyConfChange(change);
    bool removal = change.kind == raft::ConfChangeKind::kRemove && change.node == member.config.id;
    if (removal && !raft::IsVoter(applied.state.conf, change.node)) {
      member.removed_at = entry.index;
    }
  }
  applied.index = entry.index;
  applied.term = entry.term;
  applied.state.digest = DigestAfter(applied.state.digest, entry);
  Fail(checker_.ObserveApplied(member.config.id, entry, applied.state));
}

void RaftGroup::Restore(RaftMember& member, const raft::SnapshotMeta& meta) {
  ++counts_.restores;
  if (meta.index < member.applied.index) {
    Fail(fmt::format("member {} installs {} over {}", member.config.id, meta.index,
                     member.applied.index));
  }
  member.to_apply.clear();
  member.applied = {meta.index, meta.term, {checker_.StateOf(meta.index).digest, meta.conf}};
  member.flushed = member.applied;
  member.raft->OnRestored(meta);
  Touched(member);
}

void RaftGroup::SendSnapshot(RaftMember& member, const raft::SnapshotOrder& order) {
  // Whoever lost the leadership meanwhile has nothing to say.
  bool leads = member.before.role == raft::Role::kLeader;
  bool arrives = leads && random_.Chance(0.9);
  if (member.applied.index < order.at_least) {
    return Fail(fmt::format("member {} is asked for a snapshot of {}, its state is at {}",
                            member.config.id, order.at_least, member.applied.index));
  }
  if (arrives) {
    raft::SnapshotMeta meta{member.applied.index, member.applied.term, member.applied.state.conf};
    network_.Send({member.config.id, order.peer, raft::SnapshotNotice{member.before.term, meta}});
  }
  member.raft->OnSnapshotSent(order.peer, arrives, member.applied.index);
  Touched(member);
}

void RaftGroup::Fetched(RaftMember& member, const raft::Fetch& fetch) {
  ++counts_.fetches;
  std::vector<raft::EntryPtr> entries;
  size_t bytes = 0;
  for (Index i = fetch.from; i <= fetch.to; ++i) {
    const raft::EntryPtr* entry = member.disk.Find(i);
    if (entry == nullptr) break;
    bytes += raft::EntryBytes(**entry);
    if (!entries.empty() && bytes > fetch.bytes_max) break;
    entries.push_back(*entry);
  }
  member.raft->OnFetched(fetch.peer, fetch.from, std::move(entries));
  Touched(member);
}

// The others may need its vote until a quorum of them has applied its removal: with two voters the
// remaining one could not even elect itself (etcd's advice against two-member clusters).
bool RaftGroup::MayRetire(const RaftMember& member) const {
  if (member.removed_at == Index()) return false;
  auto knows = [&](NodeId voter) {
    auto at = members_.find(voter);
    return at != members_.end() && at->second.flushed.index >= member.removed_at;
  };
  const raft::ConfState& conf = member.applied.state.conf;
  return raft::QuorumVote(conf, [&](NodeId voter) { return std::optional(knows(voter)); }) ==
         raft::VoteResult::kWon;
}

void RaftGroup::FlushAndCut(RaftMember& member) {
  if (MayRetire(member)) {
    member.retired = true;
    ++member.life;
    member.raft.reset();
    return;
  }
  member.flushed = member.applied;
  uint64_t flushed = member.flushed.index.value();
  Index through(flushed > options_.keep_entries ? flushed - options_.keep_entries : 0);
  if (through >= member.before.first) {
    member.disk.TruncatePrefix(through);
    member.raft->TruncateLog(through);
    Touched(member);
  }
  Later(member, Draw(options_.flush_every), [this](RaftMember& self) { FlushAndCut(self); });
}

void RaftGroup::Grant(RaftMember& member, const raft::ReadGrant& grant) {
  ++counts_.grants;
  auto open = member.reads.find(grant.batch);
  if (open == member.reads.end()) {
    return Fail(fmt::format("member {} is granted batch {}, which it did not ask for",
                            member.config.id, grant.batch));
  }
  if (grant.index < open->second) {
    Fail(fmt::format("member {} may read batch {} at {}, {} had been told before it asked",
                     member.config.id, grant.batch, grant.index, open->second));
  }
  member.reads.erase(open);
}

}  // namespace store::sim
