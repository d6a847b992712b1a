// SPDX-License-Identifier: Apache-2.0
#include "store/server/corruption.h"

#include <gtest/gtest.h>

namespace store::server {
namespace {

MemberHash Of(uint64_t member, uint32_t hash, int64_t at = 9, int64_t compacted = 4) {
  return {raft::NodeId(member), {hash, Revision(at), Revision(compacted), Revision(at)}};
}

TEST(Corruption, EqualHistoriesHaveNoDeviant) {
  EXPECT_TRUE(Deviants({}).empty());
  const MemberHash equal[] = {Of(1, 7), Of(2, 7), Of(3, 7)};
  EXPECT_TRUE(Deviants(equal).empty());
}

TEST(Corruption, TheMajorityIsRightEvenAgainstTheLeader) {
  const MemberHash one_off[] = {Of(1, 7), Of(2, 8), Of(3, 7)};
  EXPECT_EQ(Deviants(one_off), std::vector{raft::NodeId(2)});
  const MemberHash leader_off[] = {Of(1, 7), Of(2, 8), Of(3, 8)};
  EXPECT_EQ(Deviants(leader_off), std::vector{raft::NodeId(1)});
  const MemberHash tie[] = {Of(1, 7), Of(2, 6)};
  EXPECT_EQ(Deviants(tie), std::vector{raft::NodeId(2)});
}

TEST(Corruption, OnlyWhatHasTheSameRevisionAndCompactionIsCompared) {
  const MemberHash apart[] = {Of(1, 7), Of(2, 8, 10), Of(3, 8, 9, 5)};
  EXPECT_TRUE(Deviants(apart).empty());
}

TEST(Corruption, AHashSurvivesItsPage) {
  mvcc::KvHash hash{0xfedcba98, Revision(1LL << 40), Revision(-1), Revision(1LL << 41)};
  auto read = DecodeHash(EncodeHash(hash));
  ASSERT_TRUE(read);
  EXPECT_EQ(read->hash, hash.hash);
  EXPECT_EQ(read->at, hash.at);
  EXPECT_EQ(read->compacted, hash.compacted);
  EXPECT_EQ(read->current, hash.current);
  for (std::string_view text :
       {"", "[]", "{}", R"({"hash":-1,"hashRevision":1,"compactRevision":1,"revision":1})"}) {
    EXPECT_FALSE(DecodeHash(text)) << text;
  }
}

}  // namespace
}  // namespace store::server
