// SPDX-License-Identifier: Apache-2.0
#include "store/api/lease_service.h"

#include "store/api/keep_alive_call.h"
#include "store/api/kv_service.h"
#include "tests/unit/api/member.h"

#include <gtest/gtest.h>

namespace store::api {
namespace {

using namespace etcdserverpb;
using rpc::GrpcCode;
using Kind = replica::LeaseRequest::Kind;

constexpr std::string_view kGrant = "/etcdserverpb.Lease/LeaseGrant";
constexpr std::string_view kRevoke = "/etcdserverpb.Lease/LeaseRevoke";
constexpr std::string_view kTtl = "/etcdserverpb.Lease/LeaseTimeToLive";
constexpr std::string_view kList = "/etcdserverpb.Lease/LeaseLeases";
constexpr std::string_view kKeepAlive = "/etcdserverpb.Lease/LeaseKeepAlive";

class LeaseServiceTest : public ::testing::Test {
 protected:
  LeaseServiceTest() : kv(*member.context), service(*member.context, 5) {
    kv.Register(member.table);
    service.Register(member.table);
  }
  FakeCallPtr Grant(int64_t id, int64_t ttl) {
    LeaseGrantRequest request;
    request.set_id(id);
    request.set_ttl(ttl);
    return member.Do(kGrant, request);
  }
  void Answer(size_t at, ErrorCode error, int64_t ttl = 0, int64_t granted = 0) {
    ASSERT_LT(at, member.door.leases.size());
    replica::LeaseAnswer answer;
    answer.tag = member.door.leases[at].tag;
    answer.id = member.door.leases[at].id;
    answer.error = error;
    answer.ttl_seconds = ttl;
    answer.granted_seconds = granted;
    member.pending.OnLeaseAnswers({answer});
  }
  static LeaseKeepAliveRequest Alive(int64_t id) {
    LeaseKeepAliveRequest request;
    request.set_id(id);
    return request;
  }

  Member member;
  KvService kv;
  LeaseService service;
};

TEST_F(LeaseServiceTest, GrantChoosesPositiveIdsAndRaisesShortTtls) {
  auto chosen = Grant(0, -5)->Message<LeaseGrantResponse>(0);
  EXPECT_GT(chosen.id(), 0);
  EXPECT_EQ(chosen.ttl(), 2);
  ExpectHeader(chosen.header(), 1);
  auto negative = Grant(-7, 60)->Message<LeaseGrantResponse>(0);
  EXPECT_EQ(negative.id(), -7);
  EXPECT_EQ(negative.ttl(), 60);
  ExpectStatus(Grant(-7, 60), GrpcCode::kFailedPrecondition, "etcdserver: lease already exists");
  ExpectStatus(Grant(8, 9'000'000'001), GrpcCode::kOutOfRange, "etcdserver: too large lease TTL");
}

// etcd counts in whole heartbeats before it rounds to seconds.
TEST_F(LeaseServiceTest, TheLeastTtlFollowsElectionTimeoutAndHeartbeat) {
  struct Row {
    int heartbeat_ms, election_ms, least;
  };
  int64_t id = 100;
  for (Row row : {Row{100, 1000, 2}, Row{100, 1340, 2}, Row{100, 1400, 3}, Row{250, 1400, 2},
                  Row{250, 1750, 3}, Row{100, 500, 1}, Row{100, 2000, 3}, Row{10, 100, 1}}) {
    member.context->limits.heartbeat = std::chrono::milliseconds(row.heartbeat_ms);
    member.context->limits.election_timeout = std::chrono::milliseconds(row.election_ms);
    EXPECT_EQ(Grant(++id, 1)->Message<LeaseGrantResponse>(0).ttl(), row.least)
        << row.heartbeat_ms << " " << row.election_ms;
  }
}

TEST_F(LeaseServiceTest, RevokeDeletesKeysAndUnknownLeasesAreNotFound) {
  Grant(7, 60);
  PutRequest put;
  put.set_key("k");
  put.set_lease(7);
  member.Do("/etcdserverpb.KV/Put", put);
  LeaseRevokeRequest revoke;
  revoke.set_id(7);
  ExpectHeader(member.Do(kRevoke, revoke)->Message<LeaseRevokeResponse>(0).header(), 3);
  ExpectStatus(member.Do(kRevoke, revoke), GrpcCode::kNotFound,
               "etcdserver: requested lease not found");
}

TEST_F(LeaseServiceTest, KeepAliveAnswersInTheOrderOfRequests) {
  auto call = member.Stream(kKeepAlive);
  call->Receive(Alive(1));
  call->Receive(Alive(2));
  member.executor.Run();
  ASSERT_EQ(member.door.leases.size(), 2u);
  EXPECT_EQ(member.door.leases[0].kind, Kind::kKeepAlive);
  Answer(1, ErrorCode::kLeaseNotFound);
  EXPECT_TRUE(call->sent.empty());
  Answer(0, ErrorCode::kOk, 60);
  ASSERT_EQ(call->sent.size(), 2u);
  EXPECT_EQ(call->Message<LeaseKeepAliveResponse>(0).ttl(), 60);
  EXPECT_EQ(call->Message<LeaseKeepAliveResponse>(0).id(), 1);
  EXPECT_EQ(call->Message<LeaseKeepAliveResponse>(1).ttl(), 0);
  EXPECT_FALSE(call->finished);
  call->HalfClose();
  EXPECT_TRUE(call->status.ok());
  EXPECT_TRUE(call->finished);
}

TEST_F(LeaseServiceTest, KeepAliveHeaderIsOfBeforeTheRenewal) {
  auto call = member.Stream(kKeepAlive);
  call->Receive(Alive(1));
  PutRequest put;
  put.set_key("k");
  member.Do("/etcdserverpb.KV/Put", put);
  Answer(0, ErrorCode::kOk, 60);
  ExpectHeader(call->Message<LeaseKeepAliveResponse>(0).header(), 1);
  call->HalfClose();  // before its service goes
}

TEST_F(LeaseServiceTest, OtherErrorsEndTheKeepAliveStream) {
  auto call = member.Stream(kKeepAlive);
  call->Receive(Alive(1));
  call->Receive(Alive(2));
  member.executor.Run();
  Answer(0, ErrorCode::kNoLeader);
  ExpectStatus(call, GrpcCode::kUnavailable, "etcdserver: no leader");
  EXPECT_EQ(member.pending.waiting(), 0u);
}

TEST_F(LeaseServiceTest, ACancelledKeepAliveLeavesNothing) {
  auto call = member.Stream(kKeepAlive);
  call->Receive(Alive(1));
  member.executor.Run();
  call->CancelByClient();
  EXPECT_EQ(member.pending.waiting(), 0u);
  EXPECT_EQ(member.budget.calls(), 0u);
}

// A client sends the keep-alives of all its leases at once: 20 000 of them were the room of all
// calls, and those beyond it ended the stream.
TEST_F(LeaseServiceTest, OneStreamLeavesRoomForTheCallsOfOthers) {
  constexpr int kLeases = 1000;
  auto call = member.Stream(kKeepAlive);
  for (int i = 0; i < kLeases; ++i) call->Receive(Alive(i));
  member.executor.Run();
  EXPECT_EQ(member.budget.calls(), KeepAliveCall::kUnansweredMax);
  EXPECT_EQ(call->held(), kLeases - KeepAliveCall::kUnansweredMax);
  call->HalfClose();
  for (size_t i = 0; i < kLeases; ++i) {
    Answer(i, ErrorCode::kOk, 60);
    member.executor.Run();
    ASSERT_LE(member.budget.calls(), KeepAliveCall::kUnansweredMax);
  }
  ASSERT_EQ(call->sent.size(), static_cast<size_t>(kLeases));
  EXPECT_EQ(call->Message<LeaseKeepAliveResponse>(kLeases - 1).id(), kLeases - 1);
  EXPECT_TRUE(call->finished);
  EXPECT_TRUE(call->status.ok());
}

TEST_F(LeaseServiceTest, ARenewalThatFindsNoRoomWaitsForIt) {
  while (member.budget.TryTake(0)) {
  }
  auto call = member.Stream(kKeepAlive);
  call->Receive(Alive(1));
  call->Receive(Alive(2));
  member.executor.Advance(std::chrono::seconds(1));
  EXPECT_FALSE(call->finished);
  EXPECT_EQ(call->held(), 1u);
  EXPECT_TRUE(member.door.leases.empty());
  member.budget.Give(0);
  member.executor.Advance(std::chrono::milliseconds(10));
  ASSERT_EQ(member.door.leases.size(), 1u);
  Answer(0, ErrorCode::kOk, 60);  // and its room is there for the second
  member.executor.Advance(std::chrono::milliseconds(10));
  ASSERT_EQ(member.door.leases.size(), 2u);
  Answer(1, ErrorCode::kOk, 60);
  ASSERT_EQ(call->sent.size(), 2u);
  EXPECT_EQ(call->Message<LeaseKeepAliveResponse>(1).id(), 2);
  call->HalfClose();
  EXPECT_TRUE(call->finished);
  EXPECT_TRUE(call->status.ok());
}

// In the order in which they found none.
TEST_F(LeaseServiceTest, StreamsWaitForRoomInTheirOrder) {
  while (member.budget.TryTake(0)) {
  }
  std::vector<FakeCallPtr> calls;
  for (int64_t i = 0; i < 3; ++i) {
    calls.push_back(member.Stream(kKeepAlive));
    calls.back()->Receive(Alive(i));
  }
  calls[0]->CancelByClient();
  for (size_t i = 1; i < 3; ++i) {
    member.budget.Give(0);
    member.executor.Advance(std::chrono::milliseconds(10));
    ASSERT_EQ(member.door.leases.size(), i);
    EXPECT_EQ(member.door.leases.back().id, LeaseId(static_cast<int64_t>(i)));
  }
  for (size_t i = 1; i < 3; ++i) calls[i]->CancelByClient();
}

TEST_F(LeaseServiceTest, ARenewalWithoutRoomDoesNotHoldUpAStop) {
  auto call = member.Stream(kKeepAlive);
  call->Receive(Alive(1));
  while (member.budget.TryTake(0)) {
  }
  call->Receive(Alive(2));
  call->Stop();
  EXPECT_FALSE(call->finished) << "what is under way is answered";
  member.executor.Run();
  Answer(0, ErrorCode::kOk, 60);
  ASSERT_TRUE(call->finished);
  EXPECT_EQ(call->status.message, "etcdserver: server stopped");
  EXPECT_EQ(call->sent.size(), 1u);
  member.executor.Advance(std::chrono::seconds(10));
  EXPECT_EQ(member.door.leases.size(), 1u);
}

// At a leader the answer for an ending lease comes with its end.
TEST_F(LeaseServiceTest, OneLateAnswerDoesNotHoldUpTheRenewalsBehindIt) {
  auto call = member.Stream(kKeepAlive);
  for (size_t i = 0; i < 2 * KeepAliveCall::kSlotsMax; ++i) {
    call->Receive(Alive(static_cast<int64_t>(i)));
  }
  member.executor.Run();
  for (size_t i = 1; i < member.door.leases.size(); ++i) {
    Answer(i, ErrorCode::kOk, 60);
    member.executor.Run();
  }
  EXPECT_EQ(member.door.leases.size(), KeepAliveCall::kSlotsMax);
  EXPECT_EQ(member.budget.calls(), 1u);
  EXPECT_TRUE(call->sent.empty());
  Answer(0, ErrorCode::kLeaseNotFound);
  EXPECT_EQ(call->sent.size(), KeepAliveCall::kSlotsMax);
  member.executor.Run();
  EXPECT_EQ(member.budget.calls(), KeepAliveCall::kUnansweredMax);
  call->CancelByClient();
}

TEST_F(LeaseServiceTest, WithoutRoomForALongTimeAKeepAliveStreamEnds) {
  while (member.budget.TryTake(0)) {
  }
  auto call = member.Stream(kKeepAlive);
  call->Receive(Alive(1));
  member.executor.Advance(PendingOptions().request_timeout - std::chrono::milliseconds(10));
  EXPECT_FALSE(call->finished);
  member.executor.Advance(std::chrono::milliseconds(20));
  ExpectStatus(call, GrpcCode::kUnknown, "etcdserver: too many requests");
  EXPECT_EQ(member.pending.waiting(), 0u);
}

TEST_F(LeaseServiceTest, AKeepAliveStreamEndsWhenTheServerStops) {
  auto call = member.Stream(kKeepAlive);
  call->Stop();
  ExpectStatus(call, GrpcCode::kUnavailable, "etcdserver: server stopped");
}

TEST_F(LeaseServiceTest, AKeepAliveUnderWayIsAnsweredBeforeTheStreamEnds) {
  auto call = member.Stream(kKeepAlive);
  call->Receive(Alive(1));
  member.executor.Run();
  call->Stop();
  call->Receive(Alive(2));
  member.executor.Run();
  EXPECT_FALSE(call->finished);
  EXPECT_EQ(member.door.leases.size(), 1u) << "a request after the stop went on";
  Answer(0, ErrorCode::kOk, 60);
  ASSERT_TRUE(call->finished);
  EXPECT_EQ(call->Message<LeaseKeepAliveResponse>(0).ttl(), 60);
  EXPECT_EQ(call->status.code, GrpcCode::kUnavailable);
  EXPECT_EQ(call->status.message, "etcdserver: server stopped");
  EXPECT_EQ(member.pending.waiting(), 0u);
}

TEST_F(LeaseServiceTest, TimeToLiveWithKeys) {
  Grant(7, 60);
  PutRequest put;
  put.set_key("k");
  put.set_lease(7);
  member.Do("/etcdserverpb.KV/Put", put);
  LeaseTimeToLiveRequest request;
  request.set_id(7);
  request.set_keys(true);
  auto call = member.Unary(kTtl, request);
  member.executor.Run();
  Answer(0, ErrorCode::kOk, 59, 60);
  member.Pump();
  auto answer = call->Message<LeaseTimeToLiveResponse>(0);
  EXPECT_EQ(answer.ttl(), 59);
  EXPECT_EQ(answer.grantedttl(), 60);
  ASSERT_EQ(answer.keys_size(), 1);
  EXPECT_EQ(answer.keys(0), "k");
  ExpectHeader(answer.header(), 2);
}

TEST_F(LeaseServiceTest, TimeToLiveOfAnUnknownLeaseIsMinusOne) {
  LeaseTimeToLiveRequest request;
  request.set_id(9);
  auto call = member.Unary(kTtl, request);
  member.executor.Run();
  Answer(0, ErrorCode::kLeaseNotFound);
  auto answer = call->Message<LeaseTimeToLiveResponse>(0);
  EXPECT_EQ(answer.ttl(), -1);
  EXPECT_EQ(answer.id(), 9);
  EXPECT_EQ(answer.grantedttl(), 0);
}

TEST_F(LeaseServiceTest, ListKeepsTheOrderOfTheClock) {
  auto call = member.Unary(kList, LeaseLeasesRequest());
  member.executor.Run();
  replica::LeaseAnswer answer;
  answer.tag = member.door.leases.at(0).tag;
  answer.leases =
      std::make_shared<const std::vector<LeaseId>>(std::vector{LeaseId(9), LeaseId(-3)});
  member.pending.OnLeaseAnswers({answer});
  auto response = call->Message<LeaseLeasesResponse>(0);
  ASSERT_EQ(response.leases_size(), 2);
  EXPECT_EQ(response.leases(1).id(), -3);
}

TEST_F(LeaseServiceTest, NoListIsMadeWhileClientsDoNotReadTheirAnswers) {
  auto waiting = member.Unary(kList, LeaseLeasesRequest());
  LeaseTimeToLiveRequest keys;
  keys.set_id(7);
  keys.set_keys(true);
  auto before = member.Unary(kTtl, keys);
  auto at_apply = member.Unary(kTtl, keys);
  member.executor.Run();
  Answer(2, ErrorCode::kOk, 59, 60);  // goes on to apply
  member.unsent_bytes = member.context->limits.unsent_bytes_max + 1;
  replica::LeaseAnswer answer;
  answer.tag = member.door.leases.at(0).tag;
  answer.leases = std::make_shared<const std::vector<LeaseId>>(1, LeaseId(9));
  member.pending.OnLeaseAnswers({answer});
  Answer(1, ErrorCode::kOk, 59, 60);
  member.Pump();
  for (const auto& call : {waiting, before, at_apply, member.Unary(kList, LeaseLeasesRequest())}) {
    ExpectStatus(call, GrpcCode::kUnknown, "etcdserver: too many requests");
  }
  keys.set_keys(false);
  auto number = member.Unary(kTtl, keys);
  member.executor.Run();
  Answer(3, ErrorCode::kOk, 59, 60);
  EXPECT_EQ(number->Message<LeaseTimeToLiveResponse>(0).ttl(), 59) << "small, as ever";
}

}  // namespace
}  // namespace store::api
