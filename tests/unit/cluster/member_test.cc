// SPDX-License-Identifier: Apache-2.0
// Ids, against the values that every etcd prints for the same members.
#include "store/cluster/member.h"

#include "store/cluster/version.h"

#include <gtest/gtest.h>

namespace store::cluster {
namespace {

TEST(MemberIds, ASingleMemberWithDefaultsHasTheWellKnownIds) {
  const std::vector<std::string> urls = {"http://localhost:2380"};
  raft::NodeId member = BootstrapMemberId(urls, "etcd-cluster");
  EXPECT_EQ(member.value(), 0x8e9e05c52164694dU);
  EXPECT_EQ(DeriveClusterId(std::vector{member}).value(), 0xcdf818194e3a8c32U);
}

TEST(MemberIds, OrderOfUrlsAndMembersDoesNotMatter) {
  const std::vector<std::string> urls = {"http://a:1", "http://b:2"};
  const std::vector<std::string> swapped = {"http://b:2", "http://a:1"};
  EXPECT_EQ(BootstrapMemberId(urls, "t"), BootstrapMemberId(swapped, "t"));
  EXPECT_EQ(AddedMemberId(urls, 1700000000), AddedMemberId(swapped, 1700000000));
  raft::NodeId one(1);
  raft::NodeId two(2);
  EXPECT_EQ(DeriveClusterId(std::vector{one, two}), DeriveClusterId(std::vector{two, one}));
}

TEST(MemberIds, TokenAndTimeMakeADifference) {
  const std::vector<std::string> urls = {"http://a:1"};
  EXPECT_NE(BootstrapMemberId(urls, "t"), BootstrapMemberId(urls, "u"));
  EXPECT_NE(AddedMemberId(urls, 1700000000), AddedMemberId(urls, 1700000001));
  // The seconds are hashed as decimal text in the token's place.
  EXPECT_EQ(AddedMemberId(urls, 1700000000), BootstrapMemberId(urls, "1700000000"));
}

TEST(VersionTest, ParsesWhatItPrints) {
  EXPECT_EQ(ParseVersion("3.7.0"), (Version{3, 7, 0}));
  EXPECT_EQ(ParseVersion("3.7"), (Version{3, 7, 0}));
  EXPECT_EQ(ToString(Version{3, 10, 2}), "3.10.2");
  EXPECT_LT((Version{3, 9, 9}), (Version{3, 10, 0}));
}

TEST(VersionTest, RefusesWhatIsNoVersion) {
  for (std::string_view text :
       {"", "3", "3.", "a.b.c", "3.7.0.1", "3.7.", "3.7.0-rc.1", "-3.7.0"}) {
    EXPECT_EQ(ParseVersion(text), std::nullopt) << text;
  }
}

}  // namespace
}  // namespace store::cluster
