// SPDX-License-Identifier: Apache-2.0
// Several replicas with a network between them: what followers forward, and what becomes of it when
// the leader is away.
#include "store/apply/command.h"
#include "tests/unit/replica/fake_env.h"

#include <gtest/gtest.h>

#include <memory>
#include <set>
#include <string>
#include <vector>

namespace store::replica {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

// Three members; a disk that is always ready, and a network that loses what goes to or comes from
// `cut`.
class Group {
 public:
  Group() {
    for (uint64_t id = 1; id <= 3; ++id) {
      ReplicaConfig config;
      config.raft.id = raft::NodeId(id);
      config.raft.seed = id;
      Boot boot;
      boot.raft.conf.voters = {raft::NodeId(1), raft::NodeId(2), raft::NodeId(3)};
      members_.push_back(std::make_unique<Member>());
      members_.back()->replica = std::make_unique<Replica>(config, members_.back()->env, boot);
    }
  }

  Replica& replica(uint64_t id) { return *members_.at(id - 1)->replica; }
  FakeEnv& env(uint64_t id) { return members_.at(id - 1)->env; }
  const std::vector<std::string>& applied(uint64_t id) { return members_.at(id - 1)->applied; }
  std::set<uint64_t> cut;

  void Elect(uint64_t id) {
    replica(id).OnBoot();
    Settle();
    ASSERT_EQ(replica(id).status().role, raft::Role::kLeader);
    Tick(milliseconds(100));  // the others hear of the commit
  }
  void Tick(Duration step) {
    for (auto& member : members_) {
      member->env.now += step;
      member->replica->OnTick(member->env.now);
    }
    Settle();
  }
  void Settle() {
    for (int i = 0; i < 30; ++i) {
      for (uint64_t id = 1; id <= 3; ++id) Work(id);
    }
  }
  void Propose(uint64_t id, const std::string& command, uint64_t counter = 1) {
    ProposalBundle bundle;
    bundle.bytes = command.size();
    bundle.proposals.push_back(
        {apply::RequestId{id, 1, LoopId(0), counter}, command, env(id).now + seconds(7)});
    replica(id).OnProposals(std::move(bundle));
    Settle();
  }
  void Ask(uint64_t id, LeaseRequest::Kind kind, uint64_t tag, uint64_t lease) {
    LeaseRequest request{kind, tag, LeaseId(static_cast<int64_t>(lease)), env(id).now};
    replica(id).OnLeaseRequests(LoopId(0), {&request, 1});
    Settle();
  }
  // Member 1 leads, and lease 77 is granted.
  void LeadWithLease(int64_t ttl) {
    Elect(1);
    ChangeWithNext({apply::LeaseChange::Kind::kGranted, LeaseId(77), ttl});
    Propose(1, "grant");
  }
  // At every member by the next entry that is applied.
  void RevokeWithNext(uint64_t lease) {
    ChangeWithNext({apply::LeaseChange::Kind::kRevoked, LeaseId(static_cast<int64_t>(lease))});
  }

 private:
  struct Member {
    FakeEnv env;
    std::unique_ptr<Replica> replica;
    std::vector<std::string> applied;
    std::vector<apply::LeaseChange> leases;
  };

  void ChangeWithNext(const apply::LeaseChange& change) {
    for (auto& member : members_) member->leases.push_back(change);
  }
  bool Passes(uint64_t from, uint64_t to) const { return !cut.contains(from) && !cut.contains(to); }

  void Work(uint64_t id) {
    Member& member = *members_.at(id - 1);
    member.replica->Flush();
    while (!member.env.units.empty()) {
      raft::PersistUnit unit = std::move(member.env.units.front());
      member.env.units.pop_front();
      for (raft::Envelope& envelope : unit.release) member.env.sent.push_back(envelope);
      member.replica->OnPersisted(unit.id);
    }
    Apply(member);
    while (!member.env.sent.empty()) {
      raft::Envelope envelope = std::move(member.env.sent.front());
      member.env.sent.pop_front();
      if (Passes(id, envelope.to.value())) replica(envelope.to.value()).OnPeerMessage(envelope);
    }
    while (!member.env.sent_other.empty()) {
      auto [to, message] = std::move(member.env.sent_other.front());
      member.env.sent_other.pop_front();
      if (Passes(id, to.value())) replica(to.value()).OnPeerOther(raft::NodeId(id), message);
    }
    member.replica->Flush();
  }

  static void Apply(Member& member) {
    if (member.env.to_apply.empty()) return;
    apply::ApplyReport report;
    report.applied = member.env.to_apply.back()->index;
    for (const auto& entry : member.env.to_apply) {
      if (entry->kind != raft::EntryKind::kCommand) continue;
      member.applied.push_back(entry->data);
      report.leases.insert(report.leases.end(), member.leases.begin(), member.leases.end());
      member.leases.clear();
    }
    member.env.to_apply.clear();
    member.replica->OnApplied(report);
  }

  std::vector<std::unique_ptr<Member>> members_;
};

TEST(ReplicaGroup, AFollowersProposalIsForwardedAndAppliedEverywhere) {
  Group group;
  group.Elect(1);
  group.Propose(2, "x");
  group.Tick(milliseconds(100));
  for (uint64_t id = 1; id <= 3; ++id) EXPECT_EQ(group.applied(id), std::vector<std::string>{"x"});
}

TEST(ReplicaGroup, AFollowerReadsThroughTheLeader) {
  Group group;
  group.Elect(1);
  group.replica(3).OnReadTickets(LoopId(0), 5);
  group.Settle();
  ASSERT_EQ(group.env(3).reads.size(), 1u);
  EXPECT_EQ(group.env(3).reads[0].code, ErrorCode::kOk);
  EXPECT_EQ(group.env(3).reads[0].through, 5u);
}

TEST(ReplicaGroup, AKeepAliveAtAFollowerRenewsAtTheLeader) {
  Group group;
  group.LeadWithLease(5);
  group.Tick(seconds(4));
  group.Ask(2, LeaseRequest::Kind::kKeepAlive, 9, 77);
  ASSERT_EQ(group.env(2).answers.size(), 1u);
  EXPECT_EQ(group.env(2).answers[0].tag, 9u);
  EXPECT_EQ(group.env(2).answers[0].error, ErrorCode::kOk);
  EXPECT_EQ(group.env(2).answers[0].ttl_seconds, 5);
  group.Ask(3, LeaseRequest::Kind::kTimeToLive, 4, 77);
  ASSERT_EQ(group.env(3).answers.size(), 1u);
  EXPECT_EQ(group.env(3).answers[0].ttl_seconds, 5) << "the keep-alive has moved the deadline";
}

TEST(ReplicaGroup, AKeepAliveAtAFollowerWaitsForTheRevokeToo) {
  Group group;
  group.LeadWithLease(5);
  group.env(1).now += seconds(6);
  group.Ask(2, LeaseRequest::Kind::kKeepAlive, 9, 77);
  EXPECT_TRUE(group.env(2).answers.empty());
  group.RevokeWithNext(77);
  group.Tick(milliseconds(100));
  ASSERT_EQ(group.env(2).answers.size(), 1u);
  EXPECT_EQ(group.env(2).answers[0].error, ErrorCode::kLeaseNotFound);
}

// Its revoke is lost with its term; the next leader gives the lease its time anew.
TEST(ReplicaGroup, ADeposedLeaderHandsOnAKeepAliveThatWaitsForARevoke) {
  Group group;
  group.LeadWithLease(60);
  group.Tick(milliseconds(100));
  group.env(1).now += seconds(60);
  group.Ask(1, LeaseRequest::Kind::kKeepAlive, 9, 77);
  group.cut = {1};
  for (int i = 0; i < 40; ++i) group.Tick(milliseconds(100));
  EXPECT_TRUE(group.env(1).answers.empty());
  group.cut = {};
  for (int i = 0; i < 10; ++i) group.Tick(milliseconds(100));
  ASSERT_NE(group.replica(1).status().role, raft::Role::kLeader);
  ASSERT_EQ(group.env(1).answers.size(), 1u);
  EXPECT_EQ(group.env(1).answers[0].error, ErrorCode::kOk);
  EXPECT_EQ(group.env(1).answers[0].ttl_seconds, 60);
}

// Seed 100324 of simrun: it wakes up after a pause, hears of its successor and finds that the lease
// was due long ago. The successor gave the lease its time anew, and a client may have kept it alive
// there.
TEST(ReplicaGroup, ALeaderThatWakesUpDeposedEndsNoLease) {
  Group group;
  group.LeadWithLease(5);
  FakeEnv& env = group.env(1);
  env.now += seconds(10);
  raft::Heartbeat heartbeat{group.replica(1).position().term + 1, {}, {}};
  group.replica(1).OnPeerMessage({raft::NodeId(2), raft::NodeId(1), heartbeat});
  group.replica(1).OnTick(env.now);
  group.replica(1).Flush();
  for (const raft::Envelope& envelope : env.sent) {
    EXPECT_FALSE(std::holds_alternative<raft::ForwardPropose>(envelope.message));
  }
}

TEST(ReplicaGroup, AnUnknownLeaseIsNotFoundThroughAFollower) {
  Group group;
  group.Elect(1);
  group.Ask(2, LeaseRequest::Kind::kKeepAlive, 9, 5);
  ASSERT_EQ(group.env(2).answers.size(), 1u);
  EXPECT_EQ(group.env(2).answers[0].error, ErrorCode::kLeaseNotFound);
}

TEST(ReplicaGroup, AKeepAliveThatIsLostIsAskedAgain) {
  Group group;
  group.LeadWithLease(60);
  group.cut = {2};
  group.Ask(2, LeaseRequest::Kind::kKeepAlive, 9, 77);
  EXPECT_TRUE(group.env(2).answers.empty());
  group.cut = {};
  for (int i = 0; i < 6; ++i) group.Tick(milliseconds(100));
  ASSERT_EQ(group.env(2).answers.size(), 1u);
  EXPECT_EQ(group.env(2).answers[0].ttl_seconds, 60);
}

// One life of member 2, whose leader is member 1.
struct FollowersLife {
  explicit FollowersLife(uint64_t random) {
    ReplicaConfig config;
    config.raft.id = raft::NodeId(2);
    Boot boot;
    boot.raft.conf.voters = {raft::NodeId(1), raft::NodeId(2), raft::NodeId(3)};
    env.random = random;
    replica = std::make_unique<Replica>(config, env, boot);
    replica->OnPeerMessage(
        {raft::NodeId(1), raft::NodeId(2), raft::Heartbeat{raft::Term(1), {}, {}}});
  }
  // The tag under which the leader is asked.
  uint64_t Ask(int64_t lease) {
    LeaseRequest request{LeaseRequest::Kind::kKeepAlive, 9, LeaseId(lease), env.now};
    replica->OnLeaseRequests(LoopId(0), {&request, 1});
    CHECK(!env.sent_other.empty());
    return std::get<PeerLeaseRequest>(env.sent_other.back().second).requests.back().tag;
  }

  FakeEnv env;
  std::unique_ptr<Replica> replica;
};

// It comes to the next life, which has asked about another lease.
TEST(ReplicaGroup, AnAnswerToAFormerLifesKeepAliveIsNobodys) {
  const uint64_t former = FollowersLife(1000).Ask(77);
  FollowersLife life(2000);
  const uint64_t tag = life.Ask(78);
  auto answer = [&](uint64_t to) {
    LeaseAnswer alive{to, ErrorCode::kOk, LeaseId(78), 60, 60, {}};
    life.replica->OnPeerOther(raft::NodeId(1), PeerLeaseAnswer{{alive}});
  };
  answer(former);
  EXPECT_TRUE(life.env.answers.empty());
  answer(tag);
  EXPECT_EQ(life.env.answers.size(), 1u);
}

TEST(ReplicaGroup, AKeepAliveWaitsForTheNextLeader) {
  Group group;
  group.LeadWithLease(60);
  group.Tick(milliseconds(100));
  group.cut = {1};
  group.Ask(2, LeaseRequest::Kind::kKeepAlive, 9, 77);
  for (int i = 0; i < 50 && group.env(2).answers.empty(); ++i) group.Tick(milliseconds(100));
  ASSERT_EQ(group.env(2).answers.size(), 1u);
  EXPECT_EQ(group.env(2).answers[0].error, ErrorCode::kOk);
}

TEST(ReplicaGroup, WithoutALeaderAKeepAliveEndsWithNoLeader) {
  Group group;
  group.Ask(2, LeaseRequest::Kind::kKeepAlive, 9, 77);
  EXPECT_TRUE(group.env(2).answers.empty());
  group.cut = {1, 2, 3};
  for (int i = 0; i < 70; ++i) group.Tick(milliseconds(100));
  ASSERT_EQ(group.env(2).answers.size(), 1u);
  EXPECT_EQ(group.env(2).answers[0].error, ErrorCode::kNoLeader);
}

// The leader is deposed while it confirms that it leads: its own clients' requests go to the next
// one.
TEST(ReplicaGroup, ADeposedLeaderHandsItsKeepAlivesOn) {
  Group group;
  group.LeadWithLease(60);
  group.Tick(milliseconds(100));
  group.cut = {1};
  group.Ask(1, LeaseRequest::Kind::kKeepAlive, 9, 77);
  for (int i = 0; i < 40; ++i) group.Tick(milliseconds(100));
  EXPECT_TRUE(group.env(1).answers.empty());
  group.cut = {};
  for (int i = 0; i < 10; ++i) group.Tick(milliseconds(100));
  ASSERT_NE(group.replica(1).status().role, raft::Role::kLeader);
  ASSERT_EQ(group.env(1).answers.size(), 1u);
  EXPECT_EQ(group.env(1).answers[0].error, ErrorCode::kOk);
}

// A forwarded command that is lost would keep its caller waiting for the whole timeout.
TEST(ReplicaGroup, ProposalsWaitWhileTheLeaderIsUnreachable) {
  Group group;
  group.Elect(1);
  group.cut = {1};
  group.replica(2).OnUnreachable(raft::NodeId(1));
  group.Propose(2, "x");
  EXPECT_EQ(group.replica(2).waiting_proposals(), 1u);
  for (int i = 0; i < 40; ++i) group.Tick(milliseconds(100));
  EXPECT_EQ(group.replica(2).waiting_proposals(), 0u);
  EXPECT_EQ(group.applied(2), std::vector<std::string>{"x"});
  EXPECT_EQ(group.applied(3), std::vector<std::string>{"x"});
}

TEST(ReplicaGroup, ALeaderThatAppendsAgainTakesProposals) {
  Group group;
  group.Elect(1);
  group.replica(2).OnUnreachable(raft::NodeId(1));
  group.Propose(2, "x");
  EXPECT_EQ(group.replica(2).waiting_proposals(), 1u);
  group.Propose(3, "y");
  group.Tick(milliseconds(100));
  EXPECT_EQ(group.applied(1), (std::vector<std::string>{"y", "x"}));
}

// What was lost may have been nothing that the leader would ever answer.
TEST(ReplicaGroup, ProposalsAreNotHeldBackForEver) {
  Group group;
  group.Elect(1);
  group.replica(2).OnUnreachable(raft::NodeId(1));
  group.Propose(2, "x");
  for (int i = 0; i < 15; ++i) group.Tick(milliseconds(100));
  EXPECT_EQ(group.replica(2).waiting_proposals(), 1u);
  for (int i = 0; i < 10; ++i) group.Tick(milliseconds(100));
  EXPECT_EQ(group.applied(1), std::vector<std::string>{"x"});
}

}  // namespace
}  // namespace store::replica
