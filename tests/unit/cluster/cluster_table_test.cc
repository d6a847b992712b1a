// SPDX-License-Identifier: Apache-2.0
#include "store/cluster/cluster_table.h"

#include "store/cluster/alarm_table.h"
#include "store/engine/mem_engine.h"

#include <gtest/gtest.h>

namespace store::cluster {
namespace {

Member MakeMember(uint64_t id, bool learner = false) {
  Member member;
  member.id = raft::NodeId(id);
  member.peer_urls = {"http://10.0.0." + std::to_string(id) + ":2380"};
  member.learner = learner;
  return member;
}

class ClusterTableTest : public testing::Test {
 protected:
  // What a restart would see.
  ClusterTable Restored() {
    EXPECT_TRUE(engine_.Write(*batch_));
    batch_->Clear();
    ClusterTable table;
    EXPECT_TRUE(table.Restore(engine_));
    return table;
  }

  engine::MemEngine engine_;
  std::unique_ptr<engine::WriteBatch> batch_ = engine_.NewBatch();
  ClusterTable table_;
};

TEST_F(ClusterTableTest, MembersAreListedById) {
  EXPECT_TRUE(table_.Add(MakeMember(9), *batch_));
  EXPECT_TRUE(table_.Add(MakeMember(2, true), *batch_));
  ASSERT_EQ(table_.members()->size(), 2U);
  EXPECT_EQ((*table_.members())[0], MakeMember(2, true));
  EXPECT_EQ((*table_.members())[1], MakeMember(9));
  EXPECT_EQ(*Restored().members(), *table_.members());
}

TEST_F(ClusterTableTest, ARemovedIdNeverComesBack) {
  ASSERT_TRUE(table_.Add(MakeMember(1), *batch_));
  EXPECT_TRUE(table_.Remove(raft::NodeId(1), *batch_));
  EXPECT_FALSE(table_.Remove(raft::NodeId(1), *batch_));
  EXPECT_FALSE(table_.Add(MakeMember(1), *batch_));
  ClusterTable restored = Restored();
  EXPECT_TRUE(restored.members()->empty());
  EXPECT_TRUE(restored.WasRemoved(raft::NodeId(1)));
  EXPECT_FALSE(restored.Add(MakeMember(1), *batch_));
}

TEST_F(ClusterTableTest, AMemberPublishesItself) {
  ASSERT_TRUE(table_.Add(MakeMember(1), *batch_));
  auto before = table_.members();
  EXPECT_TRUE(
      table_.Publish(raft::NodeId(1), "infra1", {"http://a:2379", "http://b:2379"}, *batch_));
  EXPECT_FALSE(table_.Publish(raft::NodeId(2), "ghost", {}, *batch_));
  EXPECT_EQ((*before)[0].name, "") << "a list that a reader holds has changed";
  ClusterTable restored = Restored();
  const Member* member = restored.Find(raft::NodeId(1));
  ASSERT_NE(member, nullptr);
  EXPECT_EQ(member->name, "infra1");
  EXPECT_EQ(member->client_urls, (std::vector<std::string>{"http://a:2379", "http://b:2379"}));
}

TEST_F(ClusterTableTest, OnlyLearnersArePromoted) {
  ASSERT_TRUE(table_.Add(MakeMember(1), *batch_));
  ASSERT_TRUE(table_.Add(MakeMember(2, true), *batch_));
  EXPECT_FALSE(table_.Promote(raft::NodeId(1), *batch_));
  EXPECT_TRUE(table_.Promote(raft::NodeId(2), *batch_));
  EXPECT_FALSE(Restored().Find(raft::NodeId(2))->learner);
}

TEST_F(ClusterTableTest, TheVersionIsEmptyUntilDecided) {
  EXPECT_EQ(*Restored().version(), "");
  table_.SetVersion("3.7.0", *batch_);
  EXPECT_EQ(*table_.version(), "3.7.0");
  EXPECT_EQ(*Restored().version(), "3.7.0");
}

TEST_F(ClusterTableTest, ADowngradeLastsUntilItIsTakenBack) {
  EXPECT_EQ(*Restored().downgrade(), Downgrade());
  table_.SetDowngrade({true, "3.6.0"}, *batch_);
  EXPECT_EQ(*Restored().downgrade(), (Downgrade{true, "3.6.0"}));
  table_.SetDowngrade({false, "3.6.0"}, *batch_);
  EXPECT_EQ(*Restored().downgrade(), Downgrade());
  EXPECT_EQ(*table_.downgrade(), Downgrade());
}

TEST_F(ClusterTableTest, BadRowsStopTheRestore) {
  std::string row = EncodeMember(MakeMember(3));
  EXPECT_EQ(*DecodeMember(raft::NodeId(3), row), MakeMember(3));
  for (size_t size = 0; size < row.size(); ++size) {
    auto decoded = DecodeMember(raft::NodeId(3), std::string_view(row).substr(0, size));
    ASSERT_FALSE(decoded);
    EXPECT_EQ(decoded.error().code(), ErrorCode::kCorruption);
  }
  EXPECT_EQ(DecodeMember(raft::NodeId(3), row + "x").error().code(), ErrorCode::kCorruption);
  row[0] = 2;
  EXPECT_EQ(DecodeMember(raft::NodeId(3), row).error().code(), ErrorCode::kUnsupported);
}

TEST(AlarmTableTest, AnAlarmBelongsToOneMember) {
  AlarmTable table;
  EXPECT_TRUE(table.Activate({1, AlarmKind::kNoSpace}));
  EXPECT_FALSE(table.Activate({1, AlarmKind::kNoSpace}));
  EXPECT_TRUE(table.Any(AlarmKind::kNoSpace));
  EXPECT_FALSE(table.Any(AlarmKind::kCorrupt));
  EXPECT_FALSE(table.Deactivate({2, AlarmKind::kNoSpace}));
  EXPECT_TRUE(table.Deactivate({1, AlarmKind::kNoSpace}));
  EXPECT_TRUE(table.alarms().empty());
}

}  // namespace
}  // namespace store::cluster
