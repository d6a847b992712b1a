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
  using Kind = raft::ConfChangeKind;
  using Verb = sluice::store::MembershipChange;

  // Applies one change, as member `by` proposed it; what raft is told.
  Kind Change(Kind kind, Verb::Verb verb, uint64_t node, std::vector<std::string> urls = {},
              uint64_t by = kSelf) {
    sluice::store::MembershipChange command;
    command.set_verb(verb);
    command.set_learners_max(1);
    for (const std::string& url : urls) {
      command.mutable_member()->mutable_raft_attributes()->add_peer_urls(url);
    }
    raft::ConfChange change{kind, raft::NodeId(node), {}};
    change.context = EncodeMembershipChange({by, kNonce, LoopId(2), ++counter_}, command);
    BatchOutcome outcome = machine_.ApplyOne(raft::EncodeConfChange(change));
    report_ = outcome.report;
    results_ = std::move(outcome.results);
    EXPECT_EQ(report_.conf_changes.size(), 1U);
    return report_.conf_changes.front().kind;
  }
  Kind AddVoter(uint64_t node) { return Change(Kind::kAddVoter, Verb::ADD, node, {UrlOf(node)}); }
  Kind AddLearner(uint64_t node) {
    return Change(Kind::kAddLearner, Verb::ADD, node, {UrlOf(node)});
  }
  Kind Promote(uint64_t node) { return Change(Kind::kAddVoter, Verb::PROMOTE, node); }
  Kind Remove(uint64_t node) { return Change(Kind::kRemove, Verb::REMOVE, node); }
  static std::string UrlOf(uint64_t node) { return fmt::format("http://10.0.0.{}:2380", node); }

  // The error the caller is told.
  ErrorCode Told() {
    EXPECT_EQ(results_.size(), 1U);
    EXPECT_EQ(results_.front().loop, LoopId(2));
    EXPECT_EQ(results_.front().results.front().counter, counter_);
    return results_.front().results.front().error;
  }
  raft::ConfState AppliedConf() {
    auto row = StateMachine::ReadApplied(machine_.engine(), engine::Tier::kAll);
    return (*row)->conf;
  }

  Machine machine_;
  ApplyReport report_;
  std::vector<LoopResults> results_;
  uint64_t counter_ = 0;
};

TEST_F(ConfChangeTest, ChangesMembersAndTheConfigurationTogether) {
  EXPECT_EQ(AddLearner(5), Kind::kAddLearner);
  EXPECT_EQ(AppliedConf().learners, std::vector{raft::NodeId(5)});
  EXPECT_EQ(Promote(5), Kind::kAddVoter);
  EXPECT_EQ(AppliedConf().voters, (std::vector{raft::NodeId(5), raft::NodeId(kSelf)}));
  EXPECT_EQ(Remove(5), Kind::kRemove);
  EXPECT_EQ(AppliedConf().voters, std::vector{raft::NodeId(kSelf)});
  ASSERT_NE(report_.members, nullptr);
  EXPECT_EQ(report_.members->size(), 1U);
  EXPECT_EQ(machine_.state().Read()->members->size(), 1U);
}

TEST_F(ConfChangeTest, WhatMembershipRefusesChangesNothing) {
  AddLearner(5);
  raft::ConfState before = AppliedConf();
  EXPECT_EQ(AddVoter(5), Kind::kNone);
  EXPECT_EQ(Told(), ErrorCode::kMemberExists);
  EXPECT_EQ(Change(Kind::kAddVoter, Verb::ADD, 6, {UrlOf(7), UrlOf(5)}), Kind::kNone);
  EXPECT_EQ(Told(), ErrorCode::kPeerUrlExists);
  EXPECT_EQ(AddLearner(6), Kind::kNone);
  EXPECT_EQ(Told(), ErrorCode::kTooManyLearners);
  EXPECT_EQ(Promote(kSelf), Kind::kNone);
  EXPECT_EQ(Told(), ErrorCode::kMemberNotLearner);
  EXPECT_EQ(Promote(6), Kind::kNone);
  EXPECT_EQ(Told(), ErrorCode::kMemberNotFound);
  EXPECT_EQ(Remove(6), Kind::kNone);
  EXPECT_EQ(Told(), ErrorCode::kMemberNotFound);
  EXPECT_EQ(Remove(kSelf), Kind::kNone) << "raft would keep its last voter";
  EXPECT_EQ(Told(), ErrorCode::kMemberNotEnoughStarted);
  EXPECT_EQ(AppliedConf(), before);
  EXPECT_EQ(report_.members, nullptr);
}

TEST_F(ConfChangeTest, ARemovedIdNeverComesBack) {
  AddVoter(5);
  Remove(5);
  for (Kind told : {AddVoter(5), AddLearner(5), Promote(5), Remove(5)}) {
    EXPECT_EQ(told, Kind::kNone);
    EXPECT_EQ(Told(), ErrorCode::kMemberNotFound);
  }
}

TEST_F(ConfChangeTest, TheCallerIsToldTheMembers) {
  AddLearner(5);
  const auto& added = As<etcdserverpb::MemberAddResponse>(results_[0].results[0]);
  EXPECT_EQ(added.member().id(), 5U);
  EXPECT_TRUE(added.member().islearner());
  EXPECT_EQ(added.member().peerurls(0), UrlOf(5));
  EXPECT_EQ(added.members_size(), 2);
  Promote(5);
  EXPECT_EQ(As<etcdserverpb::MemberPromoteResponse>(results_[0].results[0]).members_size(), 2);
  Remove(5);
  EXPECT_EQ(As<etcdserverpb::MemberRemoveResponse>(results_[0].results[0]).members_size(), 1);
}

TEST_F(ConfChangeTest, OthersAndFormerLivesAreNotAnswered) {
  Change(Kind::kAddVoter, Verb::ADD, 5, {UrlOf(5)}, /*by=*/kSelf + 1);
  EXPECT_TRUE(results_.empty());
  EXPECT_EQ(AppliedConf().voters.size(), 2U);
}

TEST_F(ConfChangeTest, AKindThatIsNotTheVerbsStopsTheMember) {
  raft::ConfChange change{Kind::kRemove, raft::NodeId(5), {}};
  sluice::store::MembershipChange command;
  command.set_verb(Verb::ADD);
  change.context = EncodeMembershipChange({}, command);
  std::vector<raft::EntryPtr> log = {
      MakeEntry(1, raft::EncodeConfChange(change), raft::EntryKind::kConfChange)};
  size_t taken = 0;
  auto outcome = machine_.state().Apply(log, &taken);
  ASSERT_FALSE(outcome);
  EXPECT_EQ(outcome.error().code(), ErrorCode::kCorruption);
}

TEST_F(ConfChangeTest, PeerUrlsAreUpdatedByACommand) {
  AddVoter(5);
  Command update;
  update.mutable_member_update()->set_id(5);
  update.mutable_member_update()->add_peerurls("http://10.0.0.9:2380");
  CallResult result = machine_.Do(update);
  EXPECT_EQ(result.error, ErrorCode::kOk);
  EXPECT_EQ(As<etcdserverpb::MemberUpdateResponse>(result).members(0).peerurls(0),
            "http://10.0.0.9:2380");
  ASSERT_NE(machine_.last().report.members, nullptr);
  EXPECT_EQ(machine_.Do(update).error, ErrorCode::kOk) << "its own URLs are not taken";
  update.mutable_member_update()->set_peerurls(0, "http://localhost:2380");
  EXPECT_EQ(machine_.Do(update).error, ErrorCode::kPeerUrlExists);
  update.mutable_member_update()->set_id(6);
  EXPECT_EQ(machine_.Do(update).error, ErrorCode::kMemberNotFound);
  Machine restarted = machine_.Restarted();
  EXPECT_EQ(restarted.state().Read()->members->front().peer_urls,
            std::vector<std::string>{"http://10.0.0.9:2380"});
}

}  // namespace
}  // namespace store::apply
