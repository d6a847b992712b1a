// SPDX-License-Identifier: Apache-2.0
// Alarms, published members, cluster version and configuration changes at apply.
#include "store/raft/conf_change.h"
#include "tests/unit/apply/machine.h"

#include <etcd/membership.pb.h>

namespace store::apply {
namespace {

using etcdserverpb::AlarmRequest;
using etcdserverpb::AlarmResponse;
using etcdserverpb::CORRUPT;
using etcdserverpb::NONE;
using etcdserverpb::NOSPACE;

std::string Alarms(const CallResult& result) {
  std::string text;
  for (const auto& alarm : As<AlarmResponse>(result).alarms()) {
    text += fmt::format("{}:{} ", alarm.memberid(), static_cast<int>(alarm.alarm()));
  }
  return text;
}

TEST(AlarmTest, AnswersWhatWasRaisedOrCleared) {
  Machine machine;
  EXPECT_EQ(Alarms(machine.Do(AlarmOf(AlarmRequest::GET, 0, NONE))), "");
  EXPECT_EQ(Alarms(machine.Do(AlarmOf(AlarmRequest::ACTIVATE, 7, NOSPACE))), "7:1 ");
  EXPECT_EQ(Alarms(machine.Do(AlarmOf(AlarmRequest::ACTIVATE, 0, CORRUPT))), "0:2 ");
  EXPECT_EQ(Alarms(machine.Do(AlarmOf(AlarmRequest::ACTIVATE, 0, NONE))), "");
  EXPECT_EQ(Alarms(machine.Do(AlarmOf(AlarmRequest::GET, 3, NONE))), "0:2 7:1 ");
  EXPECT_EQ(Alarms(machine.Do(AlarmOf(AlarmRequest::GET, 0, NOSPACE))), "7:1 ");
  EXPECT_EQ(Alarms(machine.Do(AlarmOf(AlarmRequest::DEACTIVATE, 0, NOSPACE))), "")
      << "member 0 is a number, not everybody";
  EXPECT_EQ(Alarms(machine.Do(AlarmOf(AlarmRequest::DEACTIVATE, 7, NOSPACE))), "7:1 ");
  EXPECT_EQ(machine.Do(AlarmOf(AlarmRequest::GET, 0, NONE)).revision, Revision(1));
}

TEST(AlarmTest, SurvivesARestart) {
  Machine machine;
  machine.Do(AlarmOf(AlarmRequest::ACTIVATE, 7, NOSPACE));
  machine.Do(AlarmOf(AlarmRequest::ACTIVATE, 8, CORRUPT));
  machine.Do(AlarmOf(AlarmRequest::DEACTIVATE, 8, CORRUPT));
  Machine restarted = machine.Restarted();
  EXPECT_EQ(restarted.state().Read()->alarms->alarms(),
            (std::set<cluster::Alarm>{{7, cluster::AlarmKind::kNoSpace}}));
  EXPECT_EQ(restarted.Do(PutOf("k", "v")).error, ErrorCode::kSpaceExceeded);
}

TEST(AlarmTest, NoSpaceRefusesWhatNeedsRoomOnly) {
  Machine machine;
  machine.Do(GrantOf(1, 60));
  machine.Do(PutOf("k", "v", 1));
  machine.Do(AlarmOf(AlarmRequest::ACTIVATE, 999, NOSPACE));
  Command writes;
  writes.mutable_txn()->add_success();
  *writes.mutable_txn()->add_failure()->mutable_request_put() = PutOf("x", "y").put();
  Command deletes;
  *deletes.mutable_txn()->add_success()->mutable_request_delete_range() =
      DeleteOf("x").delete_range();
  EXPECT_EQ(machine.Do(PutOf("k", "v")).error, ErrorCode::kSpaceExceeded);
  CallResult refused = machine.Do(GrantOf(2, 60));
  EXPECT_EQ(refused.error, ErrorCode::kSpaceExceeded);
  EXPECT_FALSE(refused.raise_no_space) << "it is raised already";
  EXPECT_EQ(machine.Do(writes).error, ErrorCode::kSpaceExceeded);
  EXPECT_EQ(machine.Do(deletes).error, ErrorCode::kOk);
  EXPECT_EQ(machine.Do(CompactOf(2)).error, ErrorCode::kOk);
  EXPECT_EQ(machine.Do(RevokeOf(1)).error, ErrorCode::kOk);
  EXPECT_EQ(machine.Do(DeleteOf("k")).error, ErrorCode::kOk);
}

TEST(AlarmTest, CorruptRefusesEveryWriteFirst) {
  Machine machine;
  machine.Do(GrantOf(1, 60));
  machine.Do(PutOf("k", "v", 1));
  machine.Do(AlarmOf(AlarmRequest::ACTIVATE, 1, NOSPACE));
  machine.Do(AlarmOf(AlarmRequest::ACTIVATE, 1, CORRUPT));
  Command txn;
  txn.mutable_txn();
  for (const Command& command :
       {PutOf("k", "w"), DeleteOf("k"), txn, CompactOf(2), GrantOf(2, 60), RevokeOf(1)}) {
    EXPECT_EQ(machine.Do(command).error, ErrorCode::kCorruptCluster);
  }
  EXPECT_EQ(machine.Keys(), "k=v@2/2/1/1");
  EXPECT_EQ(machine.Do(AlarmOf(AlarmRequest::DEACTIVATE, 1, CORRUPT)).error, ErrorCode::kOk);
  EXPECT_EQ(machine.Do(DeleteOf("k")).error, ErrorCode::kOk);
}

TEST(ClusterCommandTest, AMemberPublishesItselfAndTheVersionIsDecided) {
  Machine machine;
  EXPECT_EQ(*machine.state().Read()->cluster_version, "");
  Command publish;
  publish.mutable_member_attributes()->set_member_id(kSelf);
  auto* attributes = publish.mutable_member_attributes()->mutable_member_attributes();
  attributes->set_name("default");
  attributes->add_client_urls("http://localhost:2379");
  machine.Do(publish);
  Command version;
  version.mutable_cluster_version()->set_ver("3.7.0");
  machine.Do(version);

  Machine restarted = machine.Restarted();
  for (Machine* each : {&machine, &restarted}) {
    StateRef ref = each->state().Read();
    ASSERT_EQ(ref->members->size(), 1U);
    EXPECT_EQ(ref->members->front().name, "default");
    EXPECT_EQ(ref->members->front().client_urls, std::vector<std::string>{"http://localhost:2379"});
    EXPECT_EQ(ref->members->front().peer_urls, std::vector<std::string>{"http://localhost:2380"});
    EXPECT_EQ(*ref->cluster_version, "3.7.0");
  }
}

class ConfChangeTest : public testing::Test {
 protected:
  raft::ConfChangeKind Change(raft::ConfChangeKind kind, uint64_t node) {
    membershippb::Member member;
    member.set_id(node);
    member.mutable_raft_attributes()->add_peer_urls("http://10.0.0.1:2380");
    raft::ConfChange change{kind, raft::NodeId(node), member.SerializeAsString()};
    std::vector<raft::EntryPtr> log = {MakeEntry(
        machine_.applied() + 1, raft::EncodeConfChange(change), raft::EntryKind::kConfChange)};
    machine_.Feed(log);
    EXPECT_EQ(machine_.last().report.conf_changes.size(), 1U);
    return machine_.last().report.conf_changes.front().kind;
  }
  raft::ConfState AppliedConf() {
    auto row = StateMachine::ReadApplied(machine_.engine(), engine::Tier::kAll);
    return (*row)->conf;
  }

  Machine machine_;
};

TEST_F(ConfChangeTest, ChangesMembersAndTheConfigurationTogether) {
  using Kind = raft::ConfChangeKind;
  EXPECT_EQ(Change(Kind::kAddLearner, 5), Kind::kAddLearner);
  EXPECT_EQ(AppliedConf().learners, std::vector{raft::NodeId(5)});
  EXPECT_EQ(Change(Kind::kAddVoter, 5), Kind::kAddVoter) << "promotes the learner";
  EXPECT_EQ(AppliedConf().voters, (std::vector{raft::NodeId(5), raft::NodeId(kSelf)}));
  EXPECT_EQ(Change(Kind::kAddVoter, 5), Kind::kNone) << "is a voter already";
  EXPECT_EQ(Change(Kind::kRemove, 5), Kind::kRemove);
  EXPECT_EQ(AppliedConf().voters, std::vector{raft::NodeId(kSelf)});
  EXPECT_EQ(Change(Kind::kAddVoter, 5), Kind::kNone) << "a removed id never comes back";
  EXPECT_EQ(machine_.state().Read()->members->size(), 1U);
}

}  // namespace
}  // namespace store::apply
