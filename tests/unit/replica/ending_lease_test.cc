// SPDX-License-Identifier: Apache-2.0
// Keep-alives of leases whose revoke does not come: what waits for it is bounded in time.
#include "tests/unit/replica/member_group.h"

#include <gtest/gtest.h>

namespace store::replica {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

class EndingLeaseTest : public testing::Test {
 protected:
  static LeaseKeeperLimits NoRevokes() {
    LeaseKeeperLimits limits;
    limits.revoke_entries_in_flight = 0;
    limits.peer_requests_waiting = 1;
    return limits;
  }
  EndingLeaseTest() : group(3, {}, NoRevokes()) {
    Grant(kEnding, 5);
    Grant(kAlive, 600);
    group.Run(seconds(8));
  }
  void Grant(LeaseId lease, int64_t ttl) {
    sluice::store::Command grant;
    grant.mutable_lease_grant()->set_id(lease.value());
    grant.mutable_lease_grant()->set_ttl(ttl);
    EXPECT_EQ(group.Await(*group.leader(), group.leader()->Propose(grant)), ErrorCode::kOk);
  }
  // What it was told within that time; null: nothing.
  const LeaseAnswer* Ask(GroupMember& by, LeaseId lease, Duration patience) {
    uint64_t tag = by.AskLease(LeaseRequest::Kind::kKeepAlive, lease);
    group.Run(patience);
    return by.lease_answer(tag);
  }

  static constexpr LeaseId kEnding{7};
  static constexpr LeaseId kAlive{8};
  MemberGroup group;
};

TEST_F(EndingLeaseTest, TheLeadersClientWaitsAsLongAsOneWithoutALeader) {
  EXPECT_EQ(Ask(*group.leader(), kEnding, milliseconds(5800)), nullptr);
  const LeaseAnswer* told = Ask(*group.leader(), kEnding, milliseconds(6300));
  ASSERT_NE(told, nullptr);
  EXPECT_EQ(told->error, ErrorCode::kTimeout);
}

// A follower asks again and again; the leader keeps only the last question.
TEST_F(EndingLeaseTest, TheLeaderForgetsWhatAFollowerHasAskedAgain) {
  EXPECT_EQ(Ask(group.follower(), kEnding, milliseconds(5500)), nullptr);
  group.Run(seconds(2));
  const LeaseAnswer* told = Ask(group.follower(), kAlive, milliseconds(500));
  ASSERT_NE(told, nullptr) << "there is no room for another question";
  EXPECT_EQ(told->error, ErrorCode::kOk);
}

}  // namespace
}  // namespace store::replica
