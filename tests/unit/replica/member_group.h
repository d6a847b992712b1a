// SPDX-License-Identifier: Apache-2.0
// MemberGroup: several Replicas with their state machines in one thread: an in-memory disk, log and
// network, and a clock that the test moves. Every event is a closure in one queue, so a run is
// deterministic. Links can be cut, members stopped. As in production the founders begin behind
// (1, 1), and one that joins starts with nothing and is sent a snapshot: here the entries of the
// sender that are applied, which a new state machine takes at once.
#pragma once

#include "store/apply/command.h"
#include "store/apply/state_machine.h"
#include "store/base/check.h"
#include "store/engine/mem_engine.h"
#include "store/replica/replica.h"

#include <absl/functional/any_invocable.h>
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <deque>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace store::replica {

class MemberGroup;

class GroupMember final : private Env {
 public:
  struct Told {
    ErrorCode error;
    bool by_apply;
  };

  GroupMember(MemberGroup& group, raft::NodeId id, const std::vector<cluster::Member>& founders);

  raft::NodeId id() const { return id_; }
  Replica& replica() { return *replica_; }
  const std::vector<cluster::Member>& members() { return *machine_->Read()->members; }
  raft::Status status() const { return replica_->status(); }
  bool leads() const { return status().role == raft::Role::kLeader; }
  // What the call with that counter was told; null: nothing yet.
  const Told* told(uint64_t counter) const {
    auto found = told_.find(counter);
    return found == told_.end() ? nullptr : &found->second;
  }
  // A request of this member's own edge; its counter.
  uint64_t ChangeMembers(MemberChange::Verb verb, raft::ConfChangeKind kind, raft::NodeId node,
                         Duration patience = std::chrono::seconds(7));
  uint64_t MoveLeader(raft::NodeId to);
  uint64_t Propose(sluice::store::Command command);
  uint64_t AskLease(LeaseRequest::Kind kind, LeaseId lease);
  const LeaseAnswer* lease_answer(uint64_t tag) const {
    auto found = leases_.find(tag);
    return found == leases_.end() ? nullptr : &found->second;
  }
  void Tick();
  // It is about to stop; goes on.
  bool Leave() {
    bool handed = replica_->OnLeave();
    replica_->Flush();
    return handed;
  }

 private:
  friend class MemberGroup;

  void Persist(raft::PersistUnit unit) override;
  void Apply(std::vector<raft::EntryPtr> entries) override;
  void Send(raft::Envelope envelope) override;
  void GrantReads(LoopId, uint64_t) override {}
  void FailReads(LoopId, uint64_t, ErrorCode) override {}
  void FailProposals(LoopId, std::span<const apply::RequestId> ids, ErrorCode code) override {
    for (const auto& id : ids) told_.try_emplace(id.counter, Told{code, false});
  }
  void AnswerLeases(LoopId, std::span<const LeaseAnswer> answers) override {
    for (const LeaseAnswer& answer : answers) leases_.insert_or_assign(answer.tag, answer);
  }
  void AnswerAdmin(const apply::RequestId& id, ErrorCode code) override {
    told_.try_emplace(id.counter, Told{code, false});
  }
  void SendSnapshot(raft::SnapshotOrder order) override;
  void InstallSnapshot(raft::SnapshotMeta meta) override;
  void FetchLog(raft::Fetch fetch) override;
  void TruncateLog(raft::Index, raft::Term) override {}
  void SendPeer(raft::NodeId to, PeerMessage message) override;
  void OnRole(const raft::RoleChange&) override {}
  TimePoint Now() const override;
  uint64_t Random() override { return ++random_; }

  void OpenMachine(const apply::InitialState& initial);
  apply::RequestId NextId() { return {id_.value(), 1, LoopId(0), ++counter_}; }

  MemberGroup& group_;
  const raft::NodeId id_;
  std::shared_ptr<engine::MemEngine> engine_;
  std::unique_ptr<apply::StateMachine> machine_;
  std::vector<raft::EntryPtr> log_;       // from index 1, of which nothing is known
  std::vector<raft::EntryPtr> received_;  // what a snapshot holds
  std::unique_ptr<Replica> replica_;
  std::map<uint64_t, Told> told_;
  std::map<uint64_t, LeaseAnswer> leases_;
  uint64_t counter_ = 0;
  uint64_t random_ = 0;
};

class MemberGroup {
 public:
  explicit MemberGroup(uint64_t voters, MembershipLimits limits = {}, LeaseKeeperLimits leases = {})
      : limits_(limits), leases_(leases) {
    std::vector<cluster::Member>& founders = founders_;
    for (uint64_t i = 1; i <= voters; ++i) founders.push_back(MemberOf(i));
    for (const cluster::Member& member : founders) Start(member.id, founders);
    RunUntil([this] { return leader() != nullptr; });
  }

  static cluster::Member MemberOf(uint64_t id) {
    cluster::Member member;
    member.id = raft::NodeId(id);
    member.name = fmt::format("m{}", id);
    member.peer_urls = {fmt::format("http://10.0.0.{}:2380", id)};
    return member;
  }

  // What the members begin with; nothing if there are none.
  static apply::InitialState StateOf(const std::vector<cluster::Member>& founders) {
    apply::InitialState state;
    if (founders.empty()) return state;
    state.index = raft::Index(1);
    state.term = raft::Term(1);
    state.members = founders;
    for (const cluster::Member& member : founders) state.conf.voters.push_back(member.id);
    return state;
  }

  TimePoint now() const { return now_; }
  GroupMember& at(uint64_t id) { return *members_.at(raft::NodeId(id)); }
  GroupMember* leader() {
    for (auto& [id, member] : members_) {
      if (!stopped_.contains(id) && member->leads()) return member.get();
    }
    return nullptr;
  }
  // A follower that runs.
  GroupMember& follower() {
    for (auto& [id, member] : members_) {
      if (!stopped_.contains(id) && !member->leads()) return *member;
    }
    CHECK(false, "no follower runs");
  }
  // A member that joins: nothing on its disk.
  void Join(uint64_t id) { Start(raft::NodeId(id), {}); }
  // Nothing reaches it or comes from it any more.
  void Stop(uint64_t id) {
    stopped_.insert(raft::NodeId(id));
    TellConnections(raft::NodeId(id), false);
  }
  void Cut(uint64_t a, uint64_t b) {
    cut_.insert({raft::NodeId(a), raft::NodeId(b)});
    cut_.insert({raft::NodeId(b), raft::NodeId(a)});
  }
  void Heal() { cut_.clear(); }

  void Run(Duration time) {
    TimePoint end = now_ + time;
    Drain();
    while (now_ < end) Step();
  }
  template <class Condition>
  void RunUntil(Condition condition, Duration patience = std::chrono::seconds(30)) {
    TimePoint end = now_ + patience;
    Drain();
    while (!condition() && now_ < end) Step();
    EXPECT_TRUE(condition()) << Describe();
  }
  // Runs until the request was told its end.
  ErrorCode Await(GroupMember& member, uint64_t counter) {
    RunUntil([&] { return member.told(counter) != nullptr; });
    const GroupMember::Told* told = member.told(counter);
    return told == nullptr ? ErrorCode::kDeadlineExceeded : told->error;
  }
  // Long enough connected for every check.
  void Settle() { Run(std::chrono::seconds(6)); }
  std::string Describe() {
    std::string text;
    for (auto& [id, member] : members_) {
      text += fmt::format("{}{}\n", stopped_.contains(id) ? "stopped " : "",
                          raft::ToString(member->status()));
    }
    return text;
  }

 private:
  friend class GroupMember;
  using Event = absl::AnyInvocable<void()>;

  void Start(raft::NodeId id, const std::vector<cluster::Member>& founders) {
    members_[id] = std::make_unique<GroupMember>(*this, id, founders);
    Post(id, [this, id] { members_.at(id)->replica().OnBoot(); });
    TellConnections(id, true);
  }
  // As the transport does: between this member and all that run.
  void TellConnections(raft::NodeId id, bool up) {
    for (auto& [other, member] : members_) {
      if (other == id || stopped_.contains(other)) continue;
      Post(other, [&one = *member, id, up] { one.replica().OnPeerConnection(id, up); });
      Post(id,
           [this, id, from = other, up] { members_.at(id)->replica().OnPeerConnection(from, up); });
    }
  }
  void Post(raft::NodeId to, Event event) { queue_.emplace_back(to, std::move(event)); }
  bool Reaches(raft::NodeId from, raft::NodeId to) const {
    return members_.contains(to) && !stopped_.contains(from) && !cut_.contains({from, to});
  }
  void Step() {
    now_ += std::chrono::milliseconds(100);
    for (auto& [id, member] : members_) {
      Post(id, [&one = *member] { one.Tick(); });
    }
    Drain();
  }
  void Drain() {
    while (!queue_.empty()) {
      auto [to, event] = std::move(queue_.front());
      queue_.pop_front();
      if (stopped_.contains(to)) continue;
      event();
      members_.at(to)->replica().Flush();
    }
  }

  const MembershipLimits limits_;
  const LeaseKeeperLimits leases_;
  std::vector<cluster::Member> founders_;
  std::map<raft::NodeId, std::unique_ptr<GroupMember>> members_;
  std::set<raft::NodeId> stopped_;
  std::set<std::pair<raft::NodeId, raft::NodeId>> cut_;
  std::deque<std::pair<raft::NodeId, Event>> queue_;
  TimePoint now_{std::chrono::seconds(100)};
};

inline GroupMember::GroupMember(MemberGroup& group, raft::NodeId id,
                                const std::vector<cluster::Member>& founders)
    : group_(group), id_(id) {
  OpenMachine(MemberGroup::StateOf(founders));
  ReplicaConfig config;
  config.raft.id = id;
  config.raft.seed = id.value();
  config.membership = group.limits_;
  config.leases = group.leases_;
  Boot boot;
  const apply::AppliedRow& applied = machine_->applied();
  boot.raft.applied = boot.raft.truncated = applied.index;
  boot.raft.truncated_term = applied.term;
  boot.raft.conf = applied.conf;
  boot.raft.hard_state = {applied.term, {}, applied.index};
  boot.members = machine_->Read()->members;
  log_.resize(applied.index.value());
  replica_ = std::make_unique<Replica>(config, static_cast<Env&>(*this), std::move(boot));
}

inline TimePoint GroupMember::Now() const { return group_.now_; }
inline void GroupMember::Tick() { replica_->OnTick(group_.now_); }

inline void GroupMember::OpenMachine(const apply::InitialState& initial) {
  engine_ = std::make_shared<engine::MemEngine>();
  machine_ = std::make_unique<apply::StateMachine>(apply::ApplyLimits{}, apply::ApplySelf{id_, 1},
                                                   engine_);
  EXPECT_TRUE(machine_->Bootstrap(initial));
}

inline void GroupMember::SendSnapshot(raft::SnapshotOrder order) {
  const apply::AppliedRow& applied = machine_->applied();
  const raft::SnapshotMeta meta{applied.index, applied.term, applied.conf};
  const bool ok = group_.Reaches(id_, order.peer);
  if (ok) {
    auto end = log_.begin() + static_cast<std::ptrdiff_t>(meta.index.value());
    group_.Post(order.peer, [&peer = group_.at(order.peer.value()), from = id_, order, meta,
                             entries = std::vector(log_.begin(), end)]() mutable {
      peer.received_ = std::move(entries);
      peer.replica_->OnSnapshot(SnapshotReceived{from, order.term, meta});
    });
  }
  group_.Post(id_, [this, order, meta, ok] {
    replica_->OnSnapshot(SnapshotTaken{order.peer, meta.index});
    replica_->OnSnapshot(SnapshotSent{order.peer, meta.index, ok});
  });
}

inline void GroupMember::InstallSnapshot(raft::SnapshotMeta meta) {
  group_.Post(id_, [this, meta] {
    OpenMachine(MemberGroup::StateOf(group_.founders_));
    std::span<const raft::EntryPtr> left = std::span<const raft::EntryPtr>(received_).subspan(1);
    while (!left.empty()) {
      size_t taken = 0;
      CHECK(machine_->Apply(left, &taken).has_value());
      left = left.subspan(taken);
    }
    SnapshotInstalled installed{meta, Revision(0), {}, machine_->Read()->members};
    replica_->OnSnapshot(std::move(installed));
  });
}

inline void GroupMember::Persist(raft::PersistUnit unit) {
  if (unit.reset_to) log_ = received_;
  if (unit.truncate_from) log_.resize(unit.truncate_from->value() - 1);
  log_.insert(log_.end(), unit.entries.begin(), unit.entries.end());
  group_.Post(id_, [this, id = unit.id, release = std::move(unit.release)]() mutable {
    for (raft::Envelope& envelope : release) Send(std::move(envelope));
    replica_->OnPersisted(id);
  });
}

inline void GroupMember::Apply(std::vector<raft::EntryPtr> entries) {
  group_.Post(id_, [this, entries = std::move(entries)] {
    std::span<const raft::EntryPtr> left(entries);
    while (!left.empty()) {
      size_t taken = 0;
      auto outcome = machine_->Apply(left, &taken);
      CHECK(outcome.has_value(), "apply: {}", outcome.error().ToString());
      left = left.subspan(taken);
      for (const apply::LoopResults& loop : outcome->results) {
        for (const apply::CallResult& result : loop.results) {
          told_.try_emplace(result.counter, Told{result.error, true});
        }
      }
      replica_->OnApplied(outcome->report);
    }
  });
}

inline void GroupMember::Send(raft::Envelope envelope) {
  if (!group_.Reaches(id_, envelope.to)) return;
  raft::NodeId to = envelope.to;
  group_.Post(to, [&group = group_, envelope = std::move(envelope)]() mutable {
    group.at(envelope.to.value()).replica().OnPeerMessage(std::move(envelope));
  });
}

inline void GroupMember::SendPeer(raft::NodeId to, PeerMessage message) {
  if (!group_.Reaches(id_, to)) return;
  group_.Post(to, [&group = group_, from = id_, to, message = std::move(message)] {
    group.at(to.value()).replica().OnPeerOther(from, message);
  });
}

inline void GroupMember::FetchLog(raft::Fetch fetch) {
  auto begin = log_.begin() + static_cast<std::ptrdiff_t>(fetch.from.value() - 1);
  auto end = log_.begin() + static_cast<std::ptrdiff_t>(fetch.to.value());
  group_.Post(id_, [this, fetch, entries = std::vector(begin, end)]() mutable {
    replica_->OnFetched(fetch.peer, fetch.from, std::move(entries));
  });
}

inline uint64_t GroupMember::ChangeMembers(MemberChange::Verb verb, raft::ConfChangeKind kind,
                                           raft::NodeId node, Duration patience) {
  using sluice::store::MembershipChange;
  apply::RequestId request = NextId();
  MembershipChange command;
  command.set_verb(static_cast<MembershipChange::Verb>(verb));
  command.set_learners_max(1);
  if (verb == MemberChange::Verb::kAdd) {
    command.mutable_member()->mutable_raft_attributes()->add_peer_urls(
        MemberGroup::MemberOf(node.value()).peer_urls[0]);
  }
  raft::ConfChange change{kind, node, apply::EncodeMembershipChange(request, command)};
  AdminRequest admin{request, group_.now_ + patience, MemberChange{verb, std::move(change)}};
  group_.Post(id_,
              [this, admin = std::move(admin)]() mutable { replica_->OnAdmin(std::move(admin)); });
  return request.counter;
}

inline uint64_t GroupMember::MoveLeader(raft::NodeId to) {
  AdminRequest admin{NextId(), group_.now_ + std::chrono::seconds(7), LeaderMove{to}};
  uint64_t counter = admin.id.counter;
  group_.Post(id_,
              [this, admin = std::move(admin)]() mutable { replica_->OnAdmin(std::move(admin)); });
  return counter;
}

inline uint64_t GroupMember::AskLease(LeaseRequest::Kind kind, LeaseId lease) {
  LeaseRequest request{kind, ++counter_, lease, group_.now_};
  group_.Post(id_, [this, request] { replica_->OnLeaseRequests(LoopId(0), {&request, 1}); });
  return request.tag;
}

inline uint64_t GroupMember::Propose(sluice::store::Command command) {
  apply::RequestId request = NextId();
  ProposalBundle bundle;
  bundle.proposals.push_back(
      {request, apply::EncodeCommand(request, command), group_.now_ + std::chrono::seconds(7)});
  group_.Post(id_, [this, bundle = std::move(bundle)]() mutable {
    replica_->OnProposals(std::move(bundle));
  });
  return request.counter;
}

}  // namespace store::replica
