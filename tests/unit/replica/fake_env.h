// SPDX-License-Identifier: Apache-2.0
// FakeEnv: an Env that remembers what it was asked to do and does it when the test says so: time is
// set by hand, a persist unit becomes durable by Persisted(), entries are applied by Applied().
// Single-threaded.
#pragma once

#include "store/base/check.h"
#include "store/replica/env.h"
#include "store/replica/replica.h"

#include <deque>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace store::replica {

class FakeEnv final : public Env {
 public:
  struct Failed {
    apply::RequestId id;
    ErrorCode code;
  };
  struct Read {
    uint64_t through;
    ErrorCode code;  // kOk: granted
  };

  void Persist(raft::PersistUnit unit) override { units.push_back(std::move(unit)); }
  void Apply(std::vector<raft::EntryPtr> entries) override {
    for (auto& entry : entries) to_apply.push_back(std::move(entry));
  }
  void Send(raft::Envelope envelope) override { sent.push_back(std::move(envelope)); }
  void GrantReads(LoopId, uint64_t through) override { reads.push_back({through, ErrorCode::kOk}); }
  void FailReads(LoopId, uint64_t through, ErrorCode code) override {
    reads.push_back({through, code});
  }
  void FailProposals(LoopId, std::span<const apply::RequestId> ids, ErrorCode code) override {
    for (const auto& id : ids) failed.push_back({id, code});
  }
  void AnswerLeases(LoopId, std::span<const LeaseAnswer> list) override {
    answers.insert(answers.end(), list.begin(), list.end());
  }
  void AnswerAdmin(const apply::RequestId& id, ErrorCode code) override {
    admin.push_back({id, code});
  }
  void SendSnapshot(raft::SnapshotOrder order) override { orders.push_back(order); }
  void CancelSnapshot(raft::NodeId peer) override { cancelled.push_back(peer); }
  void InstallSnapshot(raft::SnapshotMeta meta) override { installs.push_back(std::move(meta)); }
  void DropSnapshot(const raft::SnapshotMeta& meta) override { dropped.push_back(meta); }
  void FetchLog(raft::Fetch) override { CHECK(false); }
  void TruncateLog(raft::Index through, raft::Term) override { truncated = through; }
  void SendPeer(raft::NodeId to, PeerMessage message) override {
    sent_other.emplace_back(to, std::move(message));
  }
  void OnRole(const raft::RoleChange& change) override { roles.push_back(change); }
  TimePoint Now() const override { return now; }
  uint64_t Random() override { return ++random; }

  TimePoint now{std::chrono::seconds(100)};
  uint64_t random = 0;
  std::deque<raft::PersistUnit> units;
  std::deque<raft::EntryPtr> to_apply;
  std::deque<raft::Envelope> sent;
  std::deque<std::pair<raft::NodeId, PeerMessage>> sent_other;
  std::vector<Failed> failed;
  std::vector<Read> reads;
  std::vector<LeaseAnswer> answers;
  std::vector<Failed> admin;
  std::vector<raft::RoleChange> roles;
  raft::Index truncated;
  std::vector<raft::SnapshotOrder> orders;
  std::vector<raft::NodeId> cancelled;
  std::vector<raft::SnapshotMeta> installs;
  std::vector<raft::SnapshotMeta> dropped;
};

// A member alone, with a disk and an applier that the test moves.
class OneMember {
 public:
  // `replay`: entries of a former life that are in the log and not applied.
  explicit OneMember(ReplicaConfig config = {}, uint64_t replay = 0)
      : replica_(Prepare(config), env, MakeBoot(replay)) {
    replica_.OnBoot();
    replica_.Flush();
  }

  Replica& replica() { return replica_; }
  // Everything handed to the disk so far is durable.
  void Persisted() {
    while (!env.units.empty()) {
      uint64_t id = env.units.back().id;
      env.units.clear();
      replica_.OnPersisted(id);
      replica_.Flush();
    }
  }
  // Everything handed to apply so far is applied; leases as given.
  void Applied(std::vector<apply::LeaseChange> leases = {}) {
    if (env.to_apply.empty()) return;
    apply::ApplyReport report;
    report.applied = report.durable = env.to_apply.back()->index;
    report.leases = std::move(leases);
    for (const auto& entry : env.to_apply) report.bytes += entry->data.size() + 64;
    applied.insert(applied.end(), env.to_apply.begin(), env.to_apply.end());
    env.to_apply.clear();
    replica_.OnApplied(report);
    replica_.Flush();
  }
  void Settle() {
    for (int i = 0; i < 10; ++i) {
      Persisted();
      Applied();
    }
  }
  void Tick(Duration step) {
    env.now += step;
    replica_.OnTick(env.now);
    replica_.Flush();
  }
  void Propose(uint64_t counter, std::string command, Duration patience = std::chrono::seconds(7)) {
    ProposalBundle bundle;
    bundle.bytes = command.size();
    bundle.proposals.push_back(
        {apply::RequestId{1, 1, LoopId(0), counter}, std::move(command), env.now + patience});
    replica_.OnProposals(std::move(bundle));
    replica_.Flush();
  }

  FakeEnv env;
  std::vector<raft::EntryPtr> applied;

 private:
  static ReplicaConfig Prepare(ReplicaConfig config) {
    config.raft.id = raft::NodeId(1);
    config.raft.seed = 7;
    return config;
  }
  static Boot MakeBoot(uint64_t replay) {
    Boot boot;
    boot.raft.conf.voters = {raft::NodeId(1)};
    for (uint64_t i = 1; i <= replay; ++i) {
      raft::Entry entry;
      entry.term = raft::Term(1);
      entry.index = raft::Index(i);
      entry.kind = raft::EntryKind::kCommand;
      entry.data = "old";
      boot.raft.tail.push_back(std::make_shared<const raft::Entry>(std::move(entry)));
    }
    if (replay > 0) boot.raft.runs.push_back({raft::Index(1), raft::Term(1)});
    boot.raft.hard_state.term = raft::Term(replay > 0 ? 1 : 0);
    return boot;
  }

  Replica replica_;
};

}  // namespace store::replica
