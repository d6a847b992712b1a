// SPDX-License-Identifier: Apache-2.0
// Changes of the membership among several replicas: who is let in, who is refused, and that nothing
// is lost on the way.
#include "store/replica/membership.h"

#include "tests/unit/replica/member_group.h"

#include <gtest/gtest.h>

namespace store::replica {
namespace {

using Kind = raft::ConfChangeKind;
using Verb = MemberChange::Verb;
using std::chrono::seconds;

ErrorCode AddVoter(MemberGroup& group, GroupMember& by, uint64_t id) {
  return group.Await(by, by.ChangeMembers(Verb::kAdd, Kind::kAddVoter, raft::NodeId(id)));
}
ErrorCode AddLearner(MemberGroup& group, GroupMember& by, uint64_t id) {
  return group.Await(by, by.ChangeMembers(Verb::kAdd, Kind::kAddLearner, raft::NodeId(id)));
}
ErrorCode Remove(MemberGroup& group, GroupMember& by, uint64_t id) {
  return group.Await(by, by.ChangeMembers(Verb::kRemove, Kind::kRemove, raft::NodeId(id)));
}
ErrorCode Promote(MemberGroup& group, GroupMember& by, uint64_t id) {
  return group.Await(by, by.ChangeMembers(Verb::kPromote, Kind::kAddVoter, raft::NodeId(id)));
}
// The member says its name, as one that has started.
void Publish(MemberGroup& group, GroupMember& by, uint64_t id) {
  sluice::store::Command command;
  command.mutable_member_attributes()->set_member_id(id);
  command.mutable_member_attributes()->mutable_member_attributes()->set_name(
      MemberGroup::MemberOf(id).name);
  EXPECT_EQ(group.Await(by, by.Propose(std::move(command))), ErrorCode::kOk);
}
sluice::store::Command Put() {
  sluice::store::Command put;
  put.mutable_put()->set_key("k");
  return put;
}
bool Has(GroupMember& member, uint64_t id) {
  for (const cluster::Member& row : member.members()) {
    if (row.id == raft::NodeId(id)) return true;
  }
  return false;
}
bool CaughtUp(MemberGroup& group, uint64_t id) {
  return group.leader() != nullptr &&
         group.at(id).status().applied == group.leader()->status().applied;
}

TEST(Membership, ASecondVoterMayAlwaysJoinASingleOne) {
  MemberGroup group(1);
  EXPECT_EQ(AddVoter(group, group.at(1), 2), ErrorCode::kOk);
  EXPECT_EQ(group.at(1).status().conf.voters.size(), 2u);
  group.Join(2);
  group.RunUntil([&] { return CaughtUp(group, 2); });
  EXPECT_TRUE(Has(group.at(2), 1)) << "the founder, from the log";
  EXPECT_EQ(group.at(2).status().conf.voters.size(), 2u);
}

TEST(Membership, AFollowerPassesTheChangeOnAndIsAnsweredByItsOwnApply) {
  MemberGroup group(3);
  group.Settle();
  GroupMember& asked = group.follower();
  uint64_t call = asked.ChangeMembers(Verb::kAdd, Kind::kAddVoter, raft::NodeId(4));
  EXPECT_EQ(group.Await(asked, call), ErrorCode::kOk);
  EXPECT_TRUE(asked.told(call)->by_apply);
  EXPECT_TRUE(Has(asked, 4));
}

TEST(Membership, ARefusalComesBackThroughTheFollower) {
  MemberGroup group(3);
  GroupMember& asked = group.follower();
  uint64_t call = asked.ChangeMembers(Verb::kAdd, Kind::kAddVoter, raft::NodeId(4));
  EXPECT_EQ(group.Await(asked, call), ErrorCode::kUnhealthy) << "connected for less than 5 s";
  EXPECT_FALSE(asked.told(call)->by_apply);
}

TEST(Membership, AnotherVoterMustWaitUntilTheLastOneHasStarted) {
  MemberGroup group(1);
  EXPECT_EQ(AddVoter(group, group.at(1), 2), ErrorCode::kOk);
  group.Join(2);
  group.RunUntil([&] { return CaughtUp(group, 2); });
  group.Settle();
  EXPECT_EQ(AddVoter(group, *group.leader(), 3), ErrorCode::kMemberNotEnoughStarted);
  Publish(group, *group.leader(), 2);
  EXPECT_EQ(AddVoter(group, *group.leader(), 3), ErrorCode::kOk);
}

TEST(Membership, NoVoterJoinsWhileTooFewAreThere) {
  MemberGroup group(3);
  group.Settle();
  group.Stop(group.follower().id().value());
  group.Run(seconds(2));
  EXPECT_EQ(AddVoter(group, *group.leader(), 4), ErrorCode::kUnhealthy)
      << "two of four would have to agree on everything";
  EXPECT_EQ(AddLearner(group, *group.leader(), 4), ErrorCode::kUnhealthy);
}

TEST(Membership, WithoutStrictChecksOnlyRaftsRulesHold) {
  MemberGroup group(3, {.strict = false});
  EXPECT_EQ(AddVoter(group, *group.leader(), 4), ErrorCode::kOk);
  EXPECT_EQ(AddVoter(group, *group.leader(), 4), ErrorCode::kMemberExists) << "decided at apply";
}

TEST(Membership, OneThatIsAwayMayBeRemovedButNotOneOfTheQuorum) {
  MemberGroup group(3);
  group.Settle();
  uint64_t away = group.follower().id().value();
  group.Stop(away);
  group.Run(seconds(2));
  uint64_t needed = group.follower().id().value();
  EXPECT_EQ(Remove(group, *group.leader(), needed), ErrorCode::kUnhealthy);
  EXPECT_EQ(Remove(group, *group.leader(), away), ErrorCode::kOk);
  EXPECT_EQ(group.leader()->status().conf.voters.size(), 2u);
  EXPECT_EQ(Remove(group, *group.leader(), away), ErrorCode::kMemberNotFound);
}

TEST(Membership, ALeaderThatStopsHandsOverAtOnce) {
  MemberGroup group(3);  // too young for a change of the membership
  GroupMember& old = *group.leader();
  GroupMember& other = group.follower();
  EXPECT_FALSE(other.replica().OnLeave()) << "not a leader";
  EXPECT_TRUE(old.Leave());
  group.Run(std::chrono::milliseconds(200));
  ASSERT_NE(group.leader(), nullptr) << group.Describe();
  EXPECT_NE(group.leader(), &old);
  EXPECT_FALSE(old.Leave());
}

TEST(Membership, OneWithoutOthersHasNobodyToHandOverTo) {
  MemberGroup group(1);
  EXPECT_FALSE(group.at(1).Leave());
  MemberGroup three(3);
  uint64_t leader = three.leader()->id().value();
  for (uint64_t id = 1; id <= 3; ++id) {
    if (id != leader) three.Stop(id);
  }
  three.Run(std::chrono::milliseconds(100));
  EXPECT_FALSE(three.at(leader).Leave());
}

// The follower has sent it and never sends it again.
TEST(Membership, WhatIsForwardedWhileLeadershipMovesReachesTheNextLeader) {
  MemberGroup group(3);
  group.Settle();
  GroupMember& old = *group.leader();
  GroupMember& asked = group.follower();
  EXPECT_TRUE(old.Leave());
  uint64_t call = asked.Propose(Put());
  TimePoint asked_at = group.now();
  EXPECT_EQ(group.Await(asked, call), ErrorCode::kOk);
  EXPECT_TRUE(asked.told(call)->by_apply);
  EXPECT_LT(group.now() - asked_at, seconds(1));
  EXPECT_FALSE(old.leads());
  EXPECT_EQ(old.replica().forwarded_bytes(), 0u);
}

TEST(Membership, WhatIsForwardedWaitsOnlySoLong) {
  MemberGroup group(3);
  group.Settle();
  GroupMember& old = *group.leader();
  GroupMember& asked = group.follower();
  sluice::store::Command put = Put();
  std::vector<std::string> commands{apply::EncodeCommand({}, put)};
  for (uint64_t id = 1; id <= 3; ++id) {
    if (id != old.id().value()) group.Stop(id);
  }
  group.Run(seconds(3));
  EXPECT_FALSE(old.leads()) << "nobody answers it";
  old.replica().OnPeerMessage({asked.id(), old.id(), raft::ForwardPropose{commands}});
  EXPECT_GT(old.replica().forwarded_bytes(), 0u);
  std::vector<std::string> large{std::string(16 << 20, 'x')};
  old.replica().OnPeerMessage({asked.id(), old.id(), raft::ForwardPropose{large}});
  EXPECT_LT(old.replica().forwarded_bytes(), 1u << 20) << "more than may wait";
  group.Run(seconds(3));
  EXPECT_EQ(old.replica().forwarded_bytes(), 0u);
}

TEST(Membership, TheLastVoterStays) {
  MemberGroup group(1);
  EXPECT_EQ(Remove(group, group.at(1), 1), ErrorCode::kMemberNotEnoughStarted);
  MemberGroup loose(1, {.strict = false});
  EXPECT_EQ(Remove(loose, loose.at(1), 1), ErrorCode::kMemberNotEnoughStarted);
  EXPECT_EQ(loose.at(1).status().conf.voters.size(), 1u);
}

TEST(Membership, ALearnerIsPromotedOnceItIsNearTheLeader) {
  MemberGroup group(1);
  for (int i = 0; i < 50; ++i) {
    sluice::store::Command put;
    put.mutable_put()->set_key("k");
    group.Await(group.at(1), group.at(1).Propose(put));
  }
  EXPECT_EQ(AddLearner(group, group.at(1), 2), ErrorCode::kOk);
  EXPECT_EQ(Promote(group, group.at(1), 2), ErrorCode::kMemberLearnerNotReady);
  group.Join(2);
  group.RunUntil([&] { return CaughtUp(group, 2); });
  EXPECT_EQ(Promote(group, group.at(2), 2), ErrorCode::kOk) << "asked of the learner itself";
  EXPECT_EQ(Promote(group, group.at(1), 2), ErrorCode::kMemberNotLearner);
  EXPECT_EQ(Promote(group, group.at(1), 9), ErrorCode::kMemberNotFound);
  EXPECT_TRUE(group.leader()->status().conf.learners.empty());
}

TEST(Membership, ChangesGoOneAfterTheOther) {
  MemberGroup group(1, {.strict = false});
  std::vector<uint64_t> calls;
  GroupMember& one = group.at(1);
  calls.push_back(one.ChangeMembers(Verb::kAdd, Kind::kAddLearner, raft::NodeId(2)));
  calls.push_back(one.ChangeMembers(Verb::kRemove, Kind::kRemove, raft::NodeId(2)));
  calls.push_back(one.ChangeMembers(Verb::kAdd, Kind::kAddLearner, raft::NodeId(3)));
  for (uint64_t call : calls) EXPECT_EQ(group.Await(one, call), ErrorCode::kOk);
  EXPECT_EQ(one.status().conf.learners, std::vector{raft::NodeId(3)});
}

TEST(Membership, WhatWaitsIsBoundedAndEnds) {
  MemberGroup group(3, {.strict = false, .waiting_max = 2});
  GroupMember& follower = group.follower();
  group.Stop(group.leader()->id().value());
  for (auto id : {1, 2, 3}) {
    if (raft::NodeId(static_cast<uint64_t>(id)) != follower.id()) {
      group.Cut(follower.id().value(), static_cast<uint64_t>(id));
    }
  }
  group.RunUntil([&] { return follower.status().leader == raft::NodeId(); });
  std::vector<uint64_t> calls;
  for (uint64_t node = 4; node < 7; ++node) {
    calls.push_back(
        follower.ChangeMembers(Verb::kAdd, Kind::kAddVoter, raft::NodeId(node), seconds(2)));
  }
  EXPECT_EQ(group.Await(follower, calls[2]), ErrorCode::kTooManyRequests);
  EXPECT_EQ(follower.told(calls[0]), nullptr);
  EXPECT_EQ(group.Await(follower, calls[0]), ErrorCode::kTimeout);
  EXPECT_EQ(group.Await(follower, calls[1]), ErrorCode::kTimeout);
}

TEST(Membership, ALeaderThatIsRemovedHandsOverFirst) {
  for (uint64_t voters : {2u, 3u}) {
    MemberGroup group(voters);
    group.Settle();
    GroupMember& leader = *group.leader();
    uint64_t old = leader.id().value();
    raft::Term term = leader.status().term;
    uint64_t call = leader.ChangeMembers(Verb::kRemove, Kind::kRemove, leader.id());
    group.RunUntil([&] {
      GroupMember* now = group.leader();
      return now != nullptr && now->id().value() != old && !Has(*now, old);
    });
    EXPECT_FALSE(leader.leads());
    EXPECT_EQ(group.leader()->status().conf.voters.size(), voters - 1);
    EXPECT_EQ(group.leader()->status().term, term + 1) << "a transfer, no second election";
    group.Stop(old);
    EXPECT_EQ(AddLearner(group, *group.leader(), 9), ErrorCode::kOk) << "the rest works on";
    (void)call;
  }
}

TEST(Membership, TheLeaderIsMovedAndSaysWhen) {
  MemberGroup group(3);
  group.Settle();
  GroupMember& leader = *group.leader();
  GroupMember& next = group.follower();
  EXPECT_EQ(group.Await(next, next.MoveLeader(next.id())), ErrorCode::kNotLeader);
  EXPECT_EQ(group.Await(leader, leader.MoveLeader(next.id())), ErrorCode::kOk);
  EXPECT_TRUE(next.leads());
  EXPECT_EQ(group.Await(next, next.MoveLeader(next.id())), ErrorCode::kOk) << "it is there already";
}

TEST(Membership, ATransferToOneThatIsAwayTakesTooLong) {
  MemberGroup group(3);
  group.Settle();
  GroupMember& leader = *group.leader();
  raft::NodeId away = group.follower().id();
  group.Stop(away.value());
  EXPECT_EQ(group.Await(leader, leader.MoveLeader(away)), ErrorCode::kTimeoutLeaderTransfer);
  EXPECT_TRUE(leader.leads());
}

TEST(Membership, GrowsToFiveAndShrinksToOne) {
  MemberGroup group(1);
  for (uint64_t id = 2; id <= 5; ++id) {
    EXPECT_EQ(AddLearner(group, *group.leader(), id), ErrorCode::kOk) << id;
    group.Join(id);
    group.RunUntil([&] { return CaughtUp(group, id); });
    Publish(group, *group.leader(), id);
    EXPECT_EQ(Promote(group, group.follower(), id), ErrorCode::kOk) << id;
    group.Settle();
  }
  EXPECT_EQ(group.leader()->status().conf.voters.size(), 5u);
  for (uint64_t left = 5; left > 1; --left) {
    uint64_t gone = group.leader()->id().value();
    GroupMember& leader = *group.leader();
    leader.ChangeMembers(Verb::kRemove, Kind::kRemove, raft::NodeId(gone));
    group.RunUntil([&] {
      GroupMember* now = group.leader();
      return now != nullptr && now->id().value() != gone && !Has(*now, gone);
    });
    group.Stop(gone);
    group.Settle();
    EXPECT_EQ(group.leader()->status().conf.voters.size(), left - 1);
  }
}

}  // namespace
}  // namespace store::replica
