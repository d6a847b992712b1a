// SPDX-License-Identifier: Apache-2.0
// What one that joins makes of the page /members, and how it finds itself in it.
#include "store/server/remote_cluster.h"

#include <gtest/gtest.h>

namespace store::server {
namespace {

cluster::Member MakeMember(uint64_t id, std::vector<std::string> urls, std::string name = {}) {
  cluster::Member member;
  member.id = raft::NodeId(id);
  member.peer_urls = std::move(urls);
  member.name = std::move(name);
  return member;
}

RemoteCluster TwoAndOneUnstarted() {
  return {ClusterId(0xc),
          {MakeMember(1, {"http://a:1"}, "a"), MakeMember(2, {"http://b:1", "http://b:2"}, "b"),
           MakeMember(3, {"http://c:1"})}};
}

TEST(RemoteCluster, MembersSurviveTheirPage) {
  cluster::MemberList members = TwoAndOneUnstarted().members;
  members[0].client_urls = {"http://a:9"};
  members[2].learner = true;
  members[2].id = raft::NodeId(0xfedcba9876543210);  // more than a double holds
  auto read = DecodeMembers(EncodeMembers(members));
  ASSERT_TRUE(read);
  EXPECT_EQ(*read, members);
}

// As etcd writes it.
TEST(RemoteCluster, ReadsEtcdsPage) {
  auto read = DecodeMembers(
      R"([{"id":10276657743932975437,"peerURLs":["http://localhost:2380"],"name":"default",)"
      R"("clientURLs":["http://localhost:2379"]}])"
      "\n");
  ASSERT_TRUE(read);
  ASSERT_EQ(read->size(), 1u);
  EXPECT_EQ(read->front().id, raft::NodeId(0x8e9e05c52164694d));
  EXPECT_EQ(read->front().name, "default");
  EXPECT_FALSE(read->front().learner);
}

TEST(RemoteCluster, WhatIsNoPageIsRefused) {
  for (std::string_view text :
       {"", "{}", "[1]", "[{}]", R"([{"id":"7"}])", R"([{"id":-1}])", "[{"}) {
    EXPECT_FALSE(DecodeMembers(text)) << text;
  }
}

TEST(RemoteCluster, AMemberFindsItselfByItsUrls) {
  const NamedMember wanted[] = {
      {"a", {"http://a:1"}}, {"b", {"http://b:2", "http://b:1"}}, {"new", {"http://c:1"}}};
  auto own = MatchMembers(TwoAndOneUnstarted(), wanted, "new");
  ASSERT_TRUE(own) << own.error().ToString();
  EXPECT_EQ(*own, raft::NodeId(3));
}

TEST(RemoteCluster, OtherMembersThanTheFlagsSayAreRefused) {
  const NamedMember two[] = {{"a", {"http://a:1"}}, {"new", {"http://c:1"}}};
  auto fewer = MatchMembers(TwoAndOneUnstarted(), two, "new");
  ASSERT_FALSE(fewer);
  EXPECT_NE(fewer.error().message().find("error validating peerURLs {ClusterID:c"),
            std::string::npos);
  EXPECT_NE(fewer.error().message().find("member count is unequal"), std::string::npos);
  const NamedMember others[] = {
      {"a", {"http://a:1"}}, {"b", {"http://b:1"}}, {"new", {"http://c:1"}}};
  auto other = MatchMembers(TwoAndOneUnstarted(), others, "new");
  ASSERT_FALSE(other);
  EXPECT_NE(other.error().message().find("PeerURLs: no match found for existing member (2,"),
            std::string::npos);
}

TEST(RemoteCluster, NobodyAnswersAtAClosedPort) {
  const std::string closed[] = {"http://127.0.0.1:1", "https://127.0.0.1:2", "nonsense"};
  PeersAnswer answer = AskPeers(closed, raft::NodeId(1));
  EXPECT_FALSE(answer.cluster);
  EXPECT_FALSE(answer.removed);
}

}  // namespace
}  // namespace store::server
