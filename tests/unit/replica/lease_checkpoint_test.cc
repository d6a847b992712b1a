// SPDX-License-Identifier: Apache-2.0
// What is left of a lease survives a change of the leader, and a renewed lease is never cut short.
#include "tests/unit/replica/member_group.h"

#include <gtest/gtest.h>

namespace store::replica {
namespace {

using std::chrono::seconds;
using Kind = LeaseRequest::Kind;

constexpr LeaseId kLease{7};
constexpr int64_t kTtl = 100;

class LeaseCheckpointTest : public testing::Test {
 protected:
  static LeaseKeeperLimits Limits(Duration interval) {
    LeaseKeeperLimits limits;
    limits.checkpoint_interval = interval;
    return limits;
  }
  static void Grant(MemberGroup& group) {
    sluice::store::Command grant;
    grant.mutable_lease_grant()->set_id(kLease.value());
    grant.mutable_lease_grant()->set_ttl(kTtl);
    ASSERT_EQ(group.Await(*group.leader(), group.leader()->Propose(grant)), ErrorCode::kOk);
  }
  static LeaseAnswer Ask(MemberGroup& group, Kind kind) {
    GroupMember& by = *group.leader();
    uint64_t tag = by.AskLease(kind, kLease);
    group.RunUntil([&] { return by.lease_answer(tag) != nullptr; });
    return *by.lease_answer(tag);
  }
  static int64_t Left(MemberGroup& group) { return Ask(group, Kind::kTimeToLive).ttl_seconds; }
  // Another member leads.
  static void Change(MemberGroup& group) {
    GroupMember& old = *group.leader();
    ASSERT_TRUE(old.Leave());
    group.RunUntil([&] { return group.leader() != nullptr && group.leader() != &old; });
  }
};

TEST_F(LeaseCheckpointTest, WhatIsLeftSurvivesTheLeader) {
  MemberGroup group(3, {}, Limits(seconds(10)));
  Grant(group);
  group.Run(seconds(45));
  Change(group);
  EXPECT_LE(Left(group), kTtl - 40 + 1) << "the checkpoint after 40 s, and an election timeout";
  EXPECT_GE(Left(group), kTtl - 45);
}

TEST_F(LeaseCheckpointTest, WithoutTheFlagTheNextLeaderBeginsAnew) {
  MemberGroup group(3);
  Grant(group);
  group.Run(seconds(45));
  Change(group);
  EXPECT_GE(Left(group), kTtl - 1);
}

TEST_F(LeaseCheckpointTest, AKeepAliveClearsItBeforeItIsAnswered) {
  MemberGroup group(3, {}, Limits(seconds(10)));
  Grant(group);
  group.Run(seconds(45));
  LeaseAnswer kept = Ask(group, Kind::kKeepAlive);
  EXPECT_EQ(kept.error, ErrorCode::kOk);
  EXPECT_EQ(kept.ttl_seconds, kTtl);
  Change(group);
  EXPECT_GE(Left(group), kTtl - 1) << "its holder was told 100 s";
}

// The checkpoint is in the log when the keep-alive comes, and applied before it is answered.
TEST_F(LeaseCheckpointTest, AKeepAliveThatMeetsACheckpointOnItsWayClearsItToo) {
  for (int64_t offset = 0; offset <= 12; ++offset) {
    MemberGroup group(3, {}, Limits(seconds(10)));
    Grant(group);
    group.Run(std::chrono::milliseconds(19'400 + offset * 100));
    EXPECT_EQ(Ask(group, Kind::kKeepAlive).ttl_seconds, kTtl);
    Change(group);
    EXPECT_GE(Left(group), kTtl - 1) << offset;
  }
}

TEST_F(LeaseCheckpointTest, AShortLeaseHasNone) {
  MemberGroup group(3, {}, Limits(seconds(100)));
  Grant(group);
  group.Run(seconds(50));
  Change(group);
  EXPECT_GE(Left(group), kTtl - 1);
}

}  // namespace
}  // namespace store::replica
