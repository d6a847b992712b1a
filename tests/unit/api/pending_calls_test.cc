// SPDX-License-Identifier: Apache-2.0
#include "store/api/pending_calls.h"

#include "tests/unit/api/member.h"

#include <gtest/gtest.h>

#include <optional>
#include <vector>

namespace store::api {
namespace {

using std::chrono::seconds;

sluice::store::Command PutCommand(const std::string& key, size_t value_bytes = 1) {
  sluice::store::Command command;
  command.mutable_put()->set_key(key);
  command.mutable_put()->set_value(std::string(value_bytes, 'v'));
  return command;
}

class PendingCallsTest : public ::testing::Test {
 protected:
  CallHandle Propose(size_t value_bytes = 1) {
    auto command = PutCommand("k", value_bytes);
    return member.pending.Propose(
        command, std::nullopt, [this](apply::CallResult result) { codes.push_back(result.error); });
  }
  CallHandle Read() {
    return member.pending.Read([this](ErrorCode code) { codes.push_back(code); });
  }

  Member member;
  std::vector<ErrorCode> codes;
};

TEST_F(PendingCallsTest, OneTurnMakesOneBundleAndOneTicket) {
  for (int i = 0; i < 3; ++i) Propose();
  for (int i = 0; i < 4; ++i) Read();
  EXPECT_TRUE(member.door.bundles.empty());
  member.executor.Run();
  ASSERT_EQ(member.door.bundles.size(), 1u);
  EXPECT_EQ(member.door.bundles[0].proposals.size(), 3u);
  ASSERT_EQ(member.door.tickets.size(), 1u);
  member.Pump();
  EXPECT_EQ(codes, std::vector<ErrorCode>(7, ErrorCode::kOk));
  EXPECT_EQ(member.pending.waiting(), 0u);
  EXPECT_EQ(member.budget.calls(), 0u);
  EXPECT_EQ(member.budget.bytes(), 0u);
}

TEST_F(PendingCallsTest, RefusedBundlesAreKeptInOrderAndOfferedAgain) {
  member.door.refuse = true;
  Propose(900'000);
  Propose(900'000);
  Read();
  member.executor.Run();
  EXPECT_TRUE(member.door.bundles.empty());
  member.door.refuse = false;
  member.executor.Advance(std::chrono::milliseconds(2));
  ASSERT_EQ(member.door.bundles.size(), 2u) << "a bundle holds at most 1 MiB";
  EXPECT_LT(member.door.bundles[0].proposals[0].id.counter,
            member.door.bundles[1].proposals[0].id.counter);
  EXPECT_EQ(member.door.tickets.size(), 1u);
}

TEST_F(PendingCallsTest, WhatWasDroppedBeforeItWasSentIsNotSent) {
  member.door.refuse = true;
  CallHandle dropped = Propose();
  Propose();
  member.executor.Run();
  member.pending.Drop(dropped);
  member.door.refuse = false;
  member.executor.Advance(std::chrono::milliseconds(2));
  ASSERT_EQ(member.door.bundles.size(), 1u);
  EXPECT_EQ(member.door.bundles[0].proposals.size(), 1u);
  EXPECT_TRUE(codes.empty());
}

TEST_F(PendingCallsTest, LateResultsOfDroppedCallsAreIgnored) {
  CallHandle write = Propose();
  CallHandle read = Read();
  member.executor.Run();
  member.pending.Drop(write);
  member.pending.Drop(read);
  member.Pump();
  EXPECT_TRUE(codes.empty());
  EXPECT_EQ(member.budget.calls(), 0u);
}

TEST_F(PendingCallsTest, TimesOutAfterFiveSecondsAndTwoElectionTimeouts) {
  Propose();
  Read();
  member.executor.Advance(seconds(3));
  Propose();
  member.executor.Advance(seconds(3));
  EXPECT_TRUE(codes.empty());
  member.executor.Advance(seconds(1));
  EXPECT_EQ(codes, std::vector<ErrorCode>(2, ErrorCode::kTimeout));
  member.executor.Advance(seconds(3));
  EXPECT_EQ(codes.size(), 3u);
  member.Pump();
  EXPECT_EQ(codes.size(), 3u);
}

TEST(PendingCalls, AMemberThatIsCutOffSaysSo) {
  peer::Connections connections{raft::NodeId(kMember)};
  std::vector<cluster::Member> three(3);
  three[0].id = raft::NodeId(kMember);
  three[1].id = raft::NodeId(kMember + 1);
  three[2].id = raft::NodeId(kMember + 2);
  connections.SetMembers(three);
  MemberOptions options;
  options.pending.connections = &connections;
  Member member(options);
  auto timed_out = [&member] {
    auto command = PutCommand("k");
    std::optional<ErrorCode> code;
    member.pending.Propose(command, std::nullopt,
                           [&code](const apply::CallResult& result) { code = result.error; });
    member.executor.Advance(seconds(7));
    return *code;
  };
  member.gauges.leader = 0;
  EXPECT_EQ(timed_out(), ErrorCode::kTimeoutConnectionLost);
  member.gauges.leader = kMember + 1;
  EXPECT_EQ(timed_out(), ErrorCode::kTimeoutConnectionLost);
  connections.Set(raft::NodeId(kMember + 1), member.executor.Now() - seconds(1));
  EXPECT_EQ(timed_out(), ErrorCode::kTimeout);
  member.gauges.leader = kMember;
  EXPECT_EQ(timed_out(), ErrorCode::kTimeout) << "two of three are connected";
}

TEST(PendingCalls, AProposalWithoutAResultHasFailed) {
  Counter failed;
  MemberOptions options;
  options.pending.proposals_failed = &failed;
  Member member(options);
  auto propose = [&member] {
    auto command = PutCommand("k");
    return member.pending.Propose(command, std::nullopt, [](const apply::CallResult&) {});
  };
  propose();
  member.executor.Advance(seconds(7));
  EXPECT_EQ(failed.value(), 1u) << "time-out";
  member.pending.Drop(propose());
  EXPECT_EQ(failed.value(), 2u) << "the client has gone";
}

TEST_F(PendingCallsTest, ANewLeaderMeanwhileChangesTheTextOfTheTimeout) {
  Propose();
  member.executor.Run();
  member.gauges.leader_changes = 1;
  member.executor.Advance(seconds(7));
  EXPECT_EQ(codes, std::vector<ErrorCode>{ErrorCode::kTimeoutLeaderFailure});
}

TEST_F(PendingCallsTest, TooLargeCommandsNeverLeave) {
  Propose(1'572'864);
  EXPECT_EQ(codes, std::vector<ErrorCode>{ErrorCode::kRequestTooLarge});
  EXPECT_EQ(member.budget.calls(), 0u);
}

TEST_F(PendingCallsTest, AdmissionIsSharedByAllKinds) {
  CallBudget budget(2);
  PendingCalls pending({}, member.door, member.executor, budget, member.gauges);
  auto count = [this](ErrorCode code) { codes.push_back(code); };
  EXPECT_TRUE(pending.Read(count));
  EXPECT_TRUE(pending.StartWork([](const Result<rpc::MessageBody>&) {}));
  EXPECT_FALSE(pending.Read(count));
  EXPECT_EQ(codes, std::vector<ErrorCode>{ErrorCode::kTooManyRequests});
  pending.OnReadsGranted(1);
  EXPECT_TRUE(pending.Read(count));
  member.executor.Run();
}

TEST_F(PendingCallsTest, AWaitingReadCountsWithItsRequest) {
  CallBudget budget(10, 100'000);
  PendingCalls pending({}, member.door, member.executor, budget, member.gauges);
  std::optional<ErrorCode> refused;
  EXPECT_TRUE(pending.Read([](ErrorCode) {}, 90'000));
  EXPECT_GE(budget.bytes(), 90'000u);
  EXPECT_FALSE(pending.Read([&](ErrorCode code) { refused = code; }, 90'000));
  EXPECT_EQ(refused, ErrorCode::kTooManyRequests);
}

TEST_F(PendingCallsTest, ByteBudgetAdmitsOneCallAlone) {
  CallBudget budget(10, 1000);
  EXPECT_TRUE(budget.TryTake(5000));
  EXPECT_FALSE(budget.TryTake(1));
  budget.Give(5000);
  EXPECT_TRUE(budget.TryTake(600));
  EXPECT_FALSE(budget.TryTake(600));
  EXPECT_TRUE(budget.TryTake(400));
}

TEST_F(PendingCallsTest, GrantsAnswerOnlyTicketsUpToTheirNumber) {
  Read();
  CallHandle second = Read();
  Read();
  member.executor.Run();
  member.pending.OnReadsGranted(second.id);
  EXPECT_EQ(codes.size(), 2u);
  member.pending.OnReadsFailed(second.id + 1, ErrorCode::kLeaderChanged);
  ASSERT_EQ(codes.size(), 3u);
  EXPECT_EQ(codes[2], ErrorCode::kLeaderChanged);
}

TEST_F(PendingCallsTest, RefusalsOfTheReplicaReachTheirCalls) {
  CallHandle first = Propose();
  Propose();
  member.executor.Run();
  apply::RequestId id{kMember, 99, LoopId(0), first.id};
  member.pending.OnProposalsFailed({id}, ErrorCode::kTooManyRequests);
  EXPECT_EQ(codes, std::vector<ErrorCode>{ErrorCode::kTooManyRequests});
}

TEST_F(PendingCallsTest, StopFailsEverythingThatWaits) {
  Propose();
  Read();
  member.pending.Lease(
      replica::LeaseRequest::Kind::kList, LeaseId(0),
      [this](const replica::LeaseAnswer& answer) { codes.push_back(answer.error); });
  member.pending.StartWork(
      [this](const Result<rpc::MessageBody>& answer) { codes.push_back(answer.error().code()); });
  member.pending.FailAll(ErrorCode::kStopped);
  EXPECT_EQ(codes, std::vector<ErrorCode>(4, ErrorCode::kStopped));
  EXPECT_EQ(member.budget.calls(), 0u);
  member.executor.Run();
  EXPECT_TRUE(member.door.bundles.empty());
}

}  // namespace
}  // namespace store::api
