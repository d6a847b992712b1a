// SPDX-License-Identifier: Apache-2.0
// Snapshots through a whole Replica: a leader whose log no longer holds what a peer needs, and a
// member that gets one.
#include "store/replica/snapshots.h"

#include "store/replica/replica.h"
#include "tests/unit/replica/fake_env.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <initializer_list>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace store::replica {
namespace {

using raft::Index;
using raft::NodeId;
using raft::Term;
using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

constexpr Term kBefore{3};
constexpr uint64_t kCutAt = 100;

raft::ConfState Voters(std::initializer_list<uint64_t> ids) {
  raft::ConfState conf;
  for (uint64_t id : ids) conf.voters.emplace_back(id);
  return conf;
}

// Member 1 of {1, 2, 3, 4, 5}, whose log was cut at 100.
class SnapshotsTest : public testing::Test {
 protected:
  void Start(ReplicaConfig config = {}) {
    config.raft.id = NodeId(1);
    config.raft.seed = 7;
    config.raft.election_ticks = 100'000;  // quorum checks are not the matter here
    config.retention.entries = 5;
    config.retention.step_entries = 1;
    Boot boot;
    boot.raft.conf = Voters({1, 2, 3, 4, 5});
    boot.raft.conf.learners = learners_;
    boot.raft.applied = boot.raft.truncated = Index(kCutAt);
    boot.raft.truncated_term = kBefore;
    boot.raft.hard_state = {kBefore, NodeId(), Index(kCutAt)};
    boot.leases.push_back({LeaseId(9), 60, 0});
    replica_ = std::make_unique<Replica>(config, env_, std::move(boot));
  }
  void Lead(ReplicaConfig config = {}) {
    Start(config);
    replica_->OnBoot();
    replica_->Flush();
    const Term term = kBefore + 1;
    for (bool pre : {true, false}) {
      for (uint64_t id : {2, 4}) Hear(id, raft::VoteReply{term, true, pre});
      Settle();
    }
    ASSERT_EQ(replica_->position().role, raft::Role::kLeader);
    Match(2);
    Match(4);
    ASSERT_EQ(replica_->position().commit, replica_->position().last);
    env_.sent.clear();
  }
  void Hear(uint64_t from, raft::Message message) {
    replica_->OnPeerMessage({NodeId(from), NodeId(1), std::move(message)});
    replica_->Flush();
  }
  // The peer has everything.
  void Match(uint64_t id) {
    Hear(id, raft::AppendReply{replica_->position().term, true, replica_->position().last, {}, {}});
    Settle();
  }
  // Its log ends at 5.
  void FarBehind(uint64_t id) {
    Index prev;
    for (const raft::PeerStatus& peer : replica_->status().peers) {
      if (peer.id == NodeId(id)) prev = peer.next - 1;
    }
    Hear(id, raft::AppendReply{replica_->position().term, false, prev, Index(5), Term(1)});
  }
  void Answers(uint64_t id) {
    Hear(id, raft::HeartbeatReply{replica_->position().term, raft::ReadId(0)});
  }
  // What the disk and apply have to do is done, and flushed.
  void Settle() {
    for (int i = 0; i < 4; ++i) {
      while (!env_.units.empty()) {
        const uint64_t unit = env_.units.back().id;
        for (const raft::PersistUnit& one : env_.units) {
          released_.insert(released_.end(), one.release.begin(), one.release.end());
          if (one.reset_to) reset_to_ = one.reset_to;
        }
        env_.units.clear();
        replica_->OnPersisted(unit);
        replica_->Flush();
      }
      if (env_.to_apply.empty()) continue;
      apply::ApplyReport report;
      report.applied = report.durable = env_.to_apply.back()->index;
      for (const auto& entry : env_.to_apply) report.bytes += entry->data.size();
      env_.to_apply.clear();
      replica_->OnApplied(report);
      replica_->Flush();
    }
  }
  void Write(int count, size_t bytes = 10) {
    for (int i = 0; i < count; ++i) {
      ProposalBundle bundle;
      bundle.proposals.push_back({{}, std::string(bytes, 'x'), env_.now + minutes(5)});
      replica_->OnProposals(std::move(bundle));
      replica_->Flush();
      Settle();
      Match(2);
      Match(4);
    }
  }
  void Tell(SnapshotEvent event) {
    replica_->OnSnapshot(std::move(event));
    replica_->Flush();
    Settle();
  }
  void Tick(Duration step = milliseconds(100)) {
    env_.now += step;
    replica_->OnTick(env_.now);
    replica_->Flush();
    Settle();
  }
  Index last() const { return replica_->position().last; }
  Index cut() const { return replica_->position().first - 1; }
  static raft::SnapshotMeta Meta(uint64_t index, uint64_t term = 4) {
    return {Index(index), Term(term), Voters({1, 2, 3, 4, 5})};
  }

  FakeEnv env_;
  std::vector<NodeId> learners_;
  std::unique_ptr<Replica> replica_;
  std::vector<raft::Envelope> released_;
  std::optional<raft::SnapshotMeta> reset_to_;
};

TEST_F(SnapshotsTest, AnOrderIsSentOnceWhileItIsUnderWay) {
  Lead();
  FarBehind(3);
  ASSERT_EQ(env_.orders.size(), 1U);
  EXPECT_EQ(env_.orders[0].peer, NodeId(3));
  EXPECT_EQ(env_.orders[0].at_least, cut());
  EXPECT_EQ(env_.orders[0].term, replica_->position().term);
  for (int i = 0; i < 50; ++i) {
    Tick();
    Answers(3);
  }
  EXPECT_EQ(env_.orders.size(), 1U);
}

// etcd's pause rule: without it the log is cut behind the snapshot before the peer has it.
TEST_F(SnapshotsTest, EntriesBehindASnapshotStayUntilThePeerGoesOn) {
  Lead();
  FarBehind(3);
  Write(20);
  EXPECT_EQ(cut(), env_.orders.at(0).at_least) << "its checkpoint is not made yet";
  const Index taken = last();
  Tell(SnapshotTaken{NodeId(3), taken});
  Write(20);
  EXPECT_LE(cut(), taken);
  Tell(SnapshotSent{NodeId(3), taken, true});
  Tick();
  Write(20);
  EXPECT_EQ(cut(), taken) << "cut up to it, and no further: the peer installs it";
  Match(3);
  Tick();
  Write(1);
  EXPECT_GT(cut(), taken);
  EXPECT_EQ(env_.orders.size(), 1U);
}

// While a peer installs, its heartbeats are answered and it is probed; from the ordered index on
// that would find the log cut and order another snapshot each time.
TEST_F(SnapshotsTest, APeerThatInstallsIsProbedBehindTheSnapshotItGot) {
  Lead();
  FarBehind(3);
  Write(20);
  const Index taken = last();
  Tell(SnapshotTaken{NodeId(3), taken});
  Write(20);
  Tell(SnapshotSent{NodeId(3), taken, true});
  env_.sent.clear();
  for (int i = 0; i < 20; ++i) {
    Tick();
    Answers(3);
    Write(1);
  }
  EXPECT_EQ(env_.orders.size(), 1U);
  size_t probes = 0;
  for (const raft::Envelope& envelope : env_.sent) {
    const auto* append = std::get_if<raft::AppendRequest>(&envelope.message);
    if (append == nullptr || envelope.to != NodeId(3)) continue;
    ++probes;
    EXPECT_EQ(append->prev, taken);
  }
  EXPECT_GT(probes, 0U);
}

TEST_F(SnapshotsTest, TooMuchBehindASnapshotIsCutAndANewOneIsSent) {
  ReplicaConfig config;
  config.retention.snapshot_bytes = 64 << 10;
  Lead(config);
  FarBehind(3);
  const Index taken = last();
  Tell(SnapshotTaken{NodeId(3), taken});
  Write(100, 100);
  EXPECT_EQ(cut(), taken);
  Write(700, 100);
  EXPECT_GT(cut(), taken) << "beyond the limit";
  Tell(SnapshotSent{NodeId(3), taken, true});
  Tick();
  Answers(3);
  ASSERT_EQ(env_.orders.size(), 2U);
  EXPECT_GT(env_.orders[1].at_least, taken);
}

TEST_F(SnapshotsTest, AFailedOneIsRepeatedAfterAPauseThatGrows) {
  Lead();
  FarBehind(3);
  Duration pause{0};
  for (int attempt = 1; attempt <= 8; ++attempt) {
    ASSERT_EQ(env_.orders.size(), static_cast<size_t>(attempt));
    Tell(SnapshotSent{NodeId(3), {}, false});
    const TimePoint failed = env_.now;
    while (env_.orders.size() == static_cast<size_t>(attempt)) {
      Answers(3);
      Tick();
      ASSERT_LT(env_.now - failed, minutes(1));
    }
    EXPECT_GE(env_.now - failed, std::min<Duration>(pause * 2, seconds(30)));
    pause = env_.now - failed;
  }
  EXPECT_GE(pause, seconds(30));
}

TEST_F(SnapshotsTest, NoMoreThanTheLimitAtOnceAndTheOthersFollow) {
  ReplicaConfig config;
  config.snapshots.sends_max = 1;
  Lead(config);
  FarBehind(3);
  FarBehind(5);
  ASSERT_EQ(env_.orders.size(), 1U);
  Tick();
  EXPECT_EQ(env_.orders.size(), 1U);
  Tell(SnapshotTaken{NodeId(3), last()});
  Tell(SnapshotSent{NodeId(3), last(), true});
  ASSERT_EQ(env_.orders.size(), 2U);
  EXPECT_EQ(env_.orders[1].peer, NodeId(5));
}

// Seed 100387 of simrun: two that fell behind again and again kept the third from its turn for
// ever.
TEST_F(SnapshotsTest, WhoHasWaitedLongestIsNext) {
  learners_ = {NodeId(6)};
  ReplicaConfig config;
  config.snapshots.sends_max = 1;
  Lead(config);
  FarBehind(3);
  FarBehind(5);
  FarBehind(6);
  Tell(SnapshotSent{NodeId(3), {}, false});
  ASSERT_EQ(env_.orders.size(), 2U);
  EXPECT_EQ(env_.orders[1].peer, NodeId(5));
  Tick(minutes(1));
  Answers(3);
  Tick();
  Tell(SnapshotTaken{NodeId(5), last()});
  Tell(SnapshotSent{NodeId(5), last(), true});
  ASSERT_EQ(env_.orders.size(), 3U);
  EXPECT_EQ(env_.orders[2].peer, NodeId(6)) << "before 3, which has had a turn";
  Tell(SnapshotTaken{NodeId(6), last()});
  Tell(SnapshotSent{NodeId(6), last(), true});
  ASSERT_EQ(env_.orders.size(), 4U);
  EXPECT_EQ(env_.orders[3].peer, NodeId(3));
}

TEST_F(SnapshotsTest, WhoLeadsNoLongerEndsItAndKeepsNothingForIt) {
  Lead();
  FarBehind(3);
  Tell(SnapshotTaken{NodeId(3), last()});
  Hear(2, raft::Heartbeat{Term(9), Index(0), raft::ReadId(1)});
  Settle();
  ASSERT_EQ(env_.cancelled, std::vector<NodeId>{NodeId(3)});
  EXPECT_FALSE(replica_->snapshots().Kept());
  EXPECT_EQ(replica_->snapshots().sending(), 1U) << "its end is awaited";
  Tell(SnapshotSent{NodeId(3), last(), false});
  EXPECT_EQ(replica_->snapshots().sending(), 0U);
}

TEST_F(SnapshotsTest, APeerThatNeverGoesOnHoldsUpTheCutForALimitedTime) {
  Lead();
  FarBehind(3);
  const Index taken = last();
  Tell(SnapshotTaken{NodeId(3), taken});
  Tell(SnapshotSent{NodeId(3), taken, true});
  Write(20);
  EXPECT_EQ(cut(), taken);
  Tick(minutes(10));
  Write(1);
  EXPECT_GT(cut(), taken);
}

TEST_F(SnapshotsTest, AReceivedOneIsInstalledAndTheLogStartsBehindIt) {
  Start();
  replica_->OnReadTickets(LoopId(0), 1);
  Tell(SnapshotReceived{NodeId(2), Term(4), Meta(500)});
  ASSERT_EQ(env_.installs, std::vector<raft::SnapshotMeta>{Meta(500)});
  EXPECT_TRUE(replica_->snapshots().installing());
  EXPECT_FALSE(reset_to_) << "not before it is installed";
  released_.clear();
  Tell(SnapshotInstalled{Meta(500), Revision(77), {{LeaseId(4), 30, 0}, {LeaseId(5), 30, 0}}});
  ASSERT_EQ(reset_to_, Meta(500));
  EXPECT_EQ(replica_->position().applied, Index(500));
  EXPECT_EQ(replica_->position().first, Index(501));
  ASSERT_EQ(released_.size(), 1U) << "the leader is answered when the empty log is durable";
  const auto* reply = std::get_if<raft::AppendReply>(&released_[0].message);
  ASSERT_NE(reply, nullptr);
  EXPECT_TRUE(reply->ok);
  EXPECT_EQ(reply->index, Index(500));
  EXPECT_TRUE(env_.dropped.empty());
  EXPECT_FALSE(replica_->snapshots().installing());
  // Leases are those of the snapshot.
  const LeaseRequest list{LeaseRequest::Kind::kList, 1, {}, env_.now};
  replica_->OnLeaseRequests(LoopId(0), std::vector{list, list});
  ASSERT_EQ(env_.answers.size(), 2U);
  EXPECT_EQ(env_.answers[0].leases, env_.answers[1].leases) << "one list for all of a turn";
  EXPECT_EQ(*env_.answers.back().leases, (std::vector<LeaseId>{LeaseId(4), LeaseId(5)}));
}

// etcd #18055: a snapshot that is behind what is applied must not come in.
TEST_F(SnapshotsTest, WhatTheMemberHasAlreadyIsDropped) {
  Start();
  Tell(SnapshotReceived{NodeId(2), Term(4), Meta(kCutAt, 3)});
  Tell(SnapshotReceived{NodeId(2), Term(4), Meta(kCutAt - 10, 3)});
  EXPECT_TRUE(env_.installs.empty());
  EXPECT_EQ(env_.dropped.size(), 2U);
}

TEST_F(SnapshotsTest, WhatADeposedLeaderSentIsDropped) {
  Start();
  Hear(2, raft::Heartbeat{Term(9), Index(0), raft::ReadId(1)});
  Tell(SnapshotReceived{NodeId(3), Term(4), Meta(500)});
  EXPECT_TRUE(env_.installs.empty());
  EXPECT_EQ(env_.dropped, std::vector<raft::SnapshotMeta>{Meta(500)});
}

TEST_F(SnapshotsTest, ASecondOneIsDroppedWhileTheFirstIsInstalled) {
  Start();
  Tell(SnapshotReceived{NodeId(2), Term(4), Meta(500)});
  Tell(SnapshotReceived{NodeId(2), Term(4), Meta(600)});
  EXPECT_EQ(env_.installs, std::vector<raft::SnapshotMeta>{Meta(500)});
  EXPECT_EQ(env_.dropped, std::vector<raft::SnapshotMeta>{Meta(600)});
  Tell(SnapshotInstalled{Meta(500), Revision(77), {}});
  Tell(SnapshotReceived{NodeId(2), Term(4), Meta(600)});
  EXPECT_EQ(env_.installs.size(), 2U);
}

TEST_F(SnapshotsTest, NothingIsAppliedBetweenTheOrderAndTheInstall) {
  Start();
  Tell(SnapshotReceived{NodeId(2), Term(4), Meta(500)});
  auto entry = std::make_shared<const raft::Entry>(
      raft::Entry{Term(4), Index(kCutAt + 1), raft::EntryKind::kNoop, ""});
  Hear(2, raft::AppendRequest{Term(4), Index(kCutAt), kBefore, Index(kCutAt + 1), {entry}});
  Settle();
  EXPECT_EQ(replica_->position().last, Index(kCutAt)) << "it would be lost with the old log";
  Tell(SnapshotInstalled{Meta(500), Revision(77), {}});
  auto next = std::make_shared<const raft::Entry>(
      raft::Entry{Term(4), Index(501), raft::EntryKind::kNoop, ""});
  Hear(2, raft::AppendRequest{Term(4), Index(500), Term(4), Index(501), {next}});
  Settle();
  EXPECT_EQ(replica_->position().applied, Index(501));
}

}  // namespace
}  // namespace store::replica
