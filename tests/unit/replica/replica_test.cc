// SPDX-License-Identifier: Apache-2.0
#include "store/replica/replica.h"

#include "store/apply/command.h"
#include "tests/unit/replica/fake_env.h"

#include <gtest/gtest.h>

namespace store::replica {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

TEST(Replica, AloneItLeadsAfterItsVoteIsDurable) {
  OneMember member;
  EXPECT_NE(member.replica().status().role, raft::Role::kLeader);
  member.Persisted();
  EXPECT_EQ(member.replica().status().role, raft::Role::kLeader);
}

// etcd #14370: one member answered before its fsync.
TEST(Replica, NothingIsAppliedThatIsNotDurable) {
  OneMember member;
  member.Settle();
  member.Propose(1, "a");
  EXPECT_TRUE(member.env.to_apply.empty());
  EXPECT_EQ(member.env.units.size(), 1u);
  member.Persisted();
  ASSERT_EQ(member.env.to_apply.size(), 1u);
  EXPECT_EQ(member.env.to_apply[0]->data, "a");
}

TEST(Replica, ADiskThatNeverSyncsNeverAnswersEtcd14370) {
  OneMember member;
  member.Settle();
  member.Propose(1, "a");
  for (int i = 0; i < 50; ++i) member.Tick(milliseconds(100));
  EXPECT_TRUE(member.env.to_apply.empty());
  EXPECT_TRUE(member.env.failed.empty()) << "the log has it: its outcome is not known";
}

TEST(Replica, ProposalsWaitForALeaderAndExpire) {
  OneMember member;  // its vote is not durable yet
  member.Propose(1, "a", seconds(1));
  member.Propose(2, "b", seconds(30));
  EXPECT_EQ(member.replica().waiting_proposals(), 2u);
  member.Tick(seconds(2));
  ASSERT_EQ(member.env.failed.size(), 1u);
  EXPECT_EQ(member.env.failed[0].id.counter, 1u);
  EXPECT_EQ(member.env.failed[0].code, ErrorCode::kTimeout);
  member.Settle();
  ASSERT_FALSE(member.applied.empty());
  EXPECT_EQ(member.applied.back()->data, "b");
  EXPECT_EQ(member.replica().waiting_proposals(), 0u);
}

TEST(Replica, OverloadIsRefusedWithTooManyRequests) {
  ReplicaConfig config;
  config.proposals.apply_lag_entries = 3;
  OneMember member(config);
  member.Settle();
  for (uint64_t i = 1; i <= 10; ++i) {
    member.Propose(i, "x");
    member.Persisted();
  }
  ASSERT_FALSE(member.env.failed.empty());
  EXPECT_EQ(member.env.failed[0].code, ErrorCode::kTooManyRequests);
}

// A long log that replays after a restart is no overload: its first writers wait instead of being
// refused.
TEST(Replica, ReplayAfterARestartRefusesNobody) {
  ReplicaConfig config;
  config.proposals.apply_lag_entries = 3;
  OneMember member(config, 50);
  member.Persisted();
  member.Propose(1, "x");
  member.Persisted();
  EXPECT_TRUE(member.env.failed.empty());
  member.Settle();
  EXPECT_EQ(member.applied.back()->data, "x");
}

TEST(Replica, ReadIsGrantedOnlyWhenApplyHasReachedIt) {
  OneMember member;
  member.Settle();
  member.Propose(1, "a");
  member.Persisted();
  member.replica().OnReadTickets(LoopId(0), 5);
  member.replica().Flush();
  EXPECT_TRUE(member.env.reads.empty()) << "the write before it is not applied";
  member.Applied();
  ASSERT_EQ(member.env.reads.size(), 1u);
  EXPECT_EQ(member.env.reads[0].through, 5u);
  EXPECT_EQ(member.env.reads[0].code, ErrorCode::kOk);
}

// etcd #7331: a leader answers no read before it has committed in its term.
TEST(Replica, ReadBeforeTheFirstCommitWaitsEtcd7331) {
  OneMember member;
  member.replica().OnReadTickets(LoopId(0), 1);
  member.replica().Flush();
  EXPECT_TRUE(member.env.reads.empty());
  member.Settle();
  ASSERT_EQ(member.env.reads.size(), 1u);
  EXPECT_EQ(member.env.reads[0].code, ErrorCode::kOk);
}

TEST(Replica, OverdueLeaseIsRevokedByAProposal) {
  OneMember member;
  member.Settle();
  member.Propose(1, "grant");
  member.Persisted();
  member.Applied({{apply::LeaseChange::Kind::kGranted, LeaseId(77), 5, 0}});
  member.Tick(seconds(4));
  member.Settle();
  size_t before = member.applied.size();
  member.Tick(seconds(2));
  member.Settle();
  ASSERT_EQ(member.applied.size(), before + 1);
  sluice::store::Command command;
  ASSERT_TRUE(apply::DecodeCommand(member.applied.back()->data, &command));
  ASSERT_EQ(command.lease_revoke().ids_size(), 1);
  EXPECT_EQ(command.lease_revoke().ids(0), 77);
}

// A tick that comes a little before a scan is due by the last one costs no scan.
TEST(Replica, LeasesExpireAtTheirRateThoughTicksJitter) {
  ReplicaConfig config;
  config.leases.revokes_per_second = 150;
  OneMember member(config);
  member.Settle();
  member.Propose(1, "grant");
  member.Persisted();
  std::vector<apply::LeaseChange> granted;
  for (int64_t id = 1; id <= 150; ++id) {
    granted.push_back({apply::LeaseChange::Kind::kGranted, LeaseId(id), 5, 0});
  }
  member.Applied(std::move(granted));
  member.Tick(seconds(4));
  member.Settle();
  size_t before = member.applied.size();
  member.Tick(milliseconds(1003));
  for (int pair = 0; pair < 5; ++pair) {
    member.Tick(milliseconds(97));
    member.Tick(milliseconds(103));
  }
  member.Settle();
  int revoked = 0;
  for (size_t at = before; at < member.applied.size(); ++at) {
    sluice::store::Command command;
    ASSERT_TRUE(apply::DecodeCommand(member.applied[at]->data, &command));
    revoked += command.lease_revoke().ids_size();
  }
  EXPECT_EQ(revoked, 150);
}

TEST(Replica, KeepAliveCountsFromItsArrival) {
  OneMember member;
  member.Settle();
  member.Propose(1, "grant");
  member.Persisted();
  member.Applied({{apply::LeaseChange::Kind::kGranted, LeaseId(77), 5, 0}});
  LeaseRequest request{LeaseRequest::Kind::kKeepAlive, 9, LeaseId(77), member.env.now + seconds(4)};
  member.env.now += seconds(4);
  member.replica().OnLeaseRequests(LoopId(0), {&request, 1});
  member.replica().Flush();
  ASSERT_EQ(member.env.answers.size(), 1u);
  EXPECT_EQ(member.env.answers[0].ttl_seconds, 5);
  EXPECT_EQ(member.env.answers[0].tag, 9u);
  size_t before = member.applied.size();
  member.Tick(seconds(4));
  member.Settle();
  EXPECT_EQ(member.applied.size(), before) << "alive until 9 s";
}

// Its keys are there until then, so it must not look ended; and others do not wait behind it.
TEST(Replica, AKeepAliveOfAnExpiredLeaseIsAnsweredWhenItsRevokeIsApplied) {
  OneMember member;
  member.Settle();
  member.Propose(1, "grant");
  member.Persisted();
  member.Applied({{apply::LeaseChange::Kind::kGranted, LeaseId(77), 5, 0},
                  {apply::LeaseChange::Kind::kGranted, LeaseId(78), 60, 0}});
  auto ask = [&](uint64_t tag, int64_t lease, TimePoint arrived) {
    LeaseRequest request{LeaseRequest::Kind::kKeepAlive, tag, LeaseId(lease), arrived};
    member.replica().OnLeaseRequests(LoopId(0), {&request, 1});
    member.replica().Flush();
  };
  const TimePoint granted = member.env.now;
  member.env.now += seconds(5);
  ask(1, 77, member.env.now);
  ask(2, 78, member.env.now);
  ASSERT_EQ(member.env.answers.size(), 1u);
  EXPECT_EQ(member.env.answers[0].tag, 2u);
  EXPECT_EQ(member.env.answers[0].error, ErrorCode::kOk);
  member.Tick(milliseconds(100));
  member.Persisted();
  ASSERT_EQ(member.env.to_apply.size(), 1u) << "the revoke";
  ask(3, 77, granted + seconds(4));  // in time, and judged late
  EXPECT_EQ(member.env.answers.size(), 1u);
  member.Applied({{apply::LeaseChange::Kind::kRevoked, LeaseId(77), 0, 0}});
  ASSERT_EQ(member.env.answers.size(), 3u);
  for (size_t at : {1, 2}) {
    EXPECT_EQ(member.env.answers[at].error, ErrorCode::kLeaseNotFound);
    EXPECT_EQ(member.env.answers[at].id, LeaseId(77));
  }
}

TEST(Replica, AKeepAliveThatWaitsForARevokeEndsWithTheMember) {
  OneMember member;
  member.Settle();
  member.Propose(1, "grant");
  member.Persisted();
  member.Applied({{apply::LeaseChange::Kind::kGranted, LeaseId(77), 5, 0}});
  member.env.now += seconds(5);
  LeaseRequest request{LeaseRequest::Kind::kKeepAlive, 1, LeaseId(77), member.env.now};
  member.replica().OnLeaseRequests(LoopId(0), {&request, 1});
  member.replica().Flush();
  EXPECT_TRUE(member.env.answers.empty());
  member.replica().OnStop();
  ASSERT_EQ(member.env.answers.size(), 1u);
  EXPECT_EQ(member.env.answers[0].error, ErrorCode::kStopped);
}

TEST(Replica, UnknownLeaseIsNotFound) {
  OneMember member;
  member.Settle();
  LeaseRequest request{LeaseRequest::Kind::kKeepAlive, 1, LeaseId(5), member.env.now};
  member.replica().OnLeaseRequests(LoopId(0), {&request, 1});
  member.replica().Flush();
  ASSERT_EQ(member.env.answers.size(), 1u);
  EXPECT_EQ(member.env.answers[0].error, ErrorCode::kLeaseNotFound);
}

TEST(Replica, LogIsCutBehindTheDurableAppliedIndex) {
  ReplicaConfig config;
  config.retention = {.entries = 50, .bytes = 1 << 30, .step_entries = 10};
  OneMember member(config);
  member.Settle();
  for (uint64_t i = 1; i <= 200; ++i) {
    member.Propose(i, "x");
    member.Settle();
  }
  raft::Status status = member.replica().status();
  EXPECT_EQ(member.env.truncated + 1, status.first);
  EXPECT_GE(status.last - status.first, 49u);
  EXPECT_LE(status.last - status.first, 61u);
}

// The flush and the apply thread tell the replica each for itself; the log of what the core does
// not know to be applied stays.
TEST(Replica, AFlushToldBeforeItsBatchIsToldToBeAppliedCutsNothingOfIt) {
  ReplicaConfig config;
  config.retention = {.entries = 1, .bytes = 1 << 30, .step_entries = 1};
  OneMember member(config);
  member.Settle();
  const raft::Index applied = member.replica().status().applied;
  for (uint64_t i = 1; i <= 10; ++i) member.Propose(i, "x");
  member.Persisted();
  member.replica().OnFlushed(applied + 10);
  member.replica().Flush();
  EXPECT_LE(member.env.truncated, applied);
  member.Settle();
  member.replica().OnFlushed(applied + 10);
  EXPECT_EQ(member.env.truncated, applied + 9);
}

TEST(Replica, StopAnswersEverythingThatWaits) {
  OneMember member;  // no leader yet
  member.Propose(1, "a");
  member.replica().OnReadTickets(LoopId(0), 3);
  member.replica().OnStop();
  ASSERT_EQ(member.env.failed.size(), 1u);
  EXPECT_EQ(member.env.failed[0].code, ErrorCode::kStopped);
  ASSERT_EQ(member.env.reads.size(), 1u);
  EXPECT_EQ(member.env.reads[0].code, ErrorCode::kStopped);
}

}  // namespace
}  // namespace store::replica
