// SPDX-License-Identifier: Apache-2.0
#include "store/peer/connections.h"

#include <gtest/gtest.h>

namespace store::peer {
namespace {

using raft::NodeId;

TimePoint At(int seconds) { return TimePoint(std::chrono::seconds(seconds)); }

cluster::Member Row(uint64_t id, bool learner = false) {
  cluster::Member member;
  member.id = NodeId(id);
  member.learner = learner;
  return member;
}

TEST(Connections, OnlyWhatHeldSinceTheStartCounts) {
  Connections connections(NodeId(1));
  connections.SetMembers({Row(1), Row(2), Row(3)});
  EXPECT_FALSE(connections.ToQuorumSince(At(10)));
  EXPECT_FALSE(connections.ToMemberSince(NodeId(2), At(10)));
  connections.Set(NodeId(2), At(5));
  EXPECT_TRUE(connections.ToMemberSince(NodeId(2), At(10)));
  EXPECT_FALSE(connections.ToMemberSince(NodeId(2), At(5)));
  EXPECT_TRUE(connections.ToQuorumSince(At(10)));
  EXPECT_FALSE(connections.ToQuorumSince(At(4)));
  connections.Set(NodeId(2), std::nullopt);
  EXPECT_FALSE(connections.ToQuorumSince(At(10)));
}

TEST(Connections, LearnersAreNoPartOfAQuorum) {
  Connections connections(NodeId(1));
  connections.SetMembers({Row(1), Row(2), Row(3), Row(4, true)});
  connections.Set(NodeId(4), At(5));
  EXPECT_FALSE(connections.ToQuorumSince(At(10)));
  connections.Set(NodeId(3), At(5));
  EXPECT_TRUE(connections.ToQuorumSince(At(10)));
}

TEST(Connections, AMemberAloneIsItsOwnQuorum) {
  Connections connections(NodeId(1));
  connections.SetMembers({Row(1)});
  EXPECT_TRUE(connections.ToQuorumSince(At(0)));
}

}  // namespace
}  // namespace store::peer
