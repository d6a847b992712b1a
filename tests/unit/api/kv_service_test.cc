// SPDX-License-Identifier: Apache-2.0
#include "store/api/kv_service.h"

#include "tests/unit/api/member.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace store::api {
namespace {

using namespace etcdserverpb;
using rpc::GrpcCode;

constexpr std::string_view kRange = "/etcdserverpb.KV/Range";
constexpr std::string_view kPut = "/etcdserverpb.KV/Put";
constexpr std::string_view kDelete = "/etcdserverpb.KV/DeleteRange";
constexpr std::string_view kTxn = "/etcdserverpb.KV/Txn";
constexpr std::string_view kCompact = "/etcdserverpb.KV/Compact";
constexpr std::string_view kStream = "/etcdserverpb.KV/RangeStream";

class KvServiceTest : public ::testing::Test {
 protected:
  void Open(const MemberOptions& options = {}) {
    member = std::make_unique<Member>(options);
    service = std::make_unique<KvService>(*member->context);
    service->Register(member->table);
  }
  void SetUp() override { Open(); }
  void TearDown() override { member->pool.Stop(); }

  FakeCallPtr Put(const std::string& key, const std::string& value, bool prev = false) {
    PutRequest request;
    request.set_key(key);
    request.set_value(value);
    request.set_prev_kv(prev);
    return member->Do(kPut, request);
  }
  FakeCallPtr Range(const RangeRequest& request) { return member->Do(kRange, request); }
  RangeResponse Get(const std::string& key) {
    RangeRequest request;
    request.set_key(key);
    return Range(request)->Message<RangeResponse>(0);
  }
  void Fill(int keys) {
    for (int i = 0; i < keys; ++i) Put("k" + std::to_string(1000 + i), "value");
  }
  static RangeRequest All() {
    RangeRequest request;
    request.set_key(std::string(1, '\0'));
    request.set_range_end(std::string(1, '\0'));
    return request;
  }

  std::unique_ptr<Member> member;
  std::unique_ptr<KvService> service;
};

TEST_F(KvServiceTest, NoRangeBeginsWhileClientsDoNotReadTheirAnswers) {
  Put("a", "1");
  member->unsent_bytes = member->context->limits.unsent_bytes_max + 1;
  ExpectStatus(Range(All()), GrpcCode::kUnknown, "etcdserver: too many requests");
  TxnRequest read;
  read.add_success()->mutable_request_range()->set_key("a");
  ExpectStatus(member->Do(kTxn, read), GrpcCode::kUnknown, "etcdserver: too many requests");
  ExpectHeader(Put("a", "2")->Message<PutResponse>(0).header(), 3);
  member->unsent_bytes = 0;
  EXPECT_EQ(Get("a").kvs_size(), 1);
}

// Its bytes are not read in place, and it is refused and done like any other put.
TEST_F(KvServiceTest, APutWithAFieldNobodyKnowsIsAPut) {
  const std::string unknown = "\xc0\x02\x01";
  PutRequest request;
  request.set_value("1");
  ASSERT_TRUE(request.ParseFromString(request.SerializeAsString() + unknown));
  ExpectStatus(member->Do(kPut, request), GrpcCode::kInvalidArgument,
               "etcdserver: key is not provided");
  request.set_key("a");
  ExpectHeader(member->Do(kPut, request)->Message<PutResponse>(0).header(), 2);
  EXPECT_EQ(Get("a").kvs(0).value(), "1");
}

TEST_F(KvServiceTest, ALearnerReadsOnlyWhatItHas) {
  Put("a", "1");
  member->gauges.is_learner = true;
  RangeRequest request;
  request.set_key("a");
  ExpectStatus(Range(request), GrpcCode::kFailedPrecondition,
               "etcdserver: rpc not supported for learner");
  request.set_serializable(true);
  EXPECT_EQ(Range(request)->Message<RangeResponse>(0).kvs_size(), 1);
}

TEST_F(KvServiceTest, PutGetDeleteWithTheirHeaders) {
  auto put = Put("a", "1", true);
  ExpectHeader(put->Message<PutResponse>(0).header(), 2);
  EXPECT_FALSE(put->Message<PutResponse>(0).has_prev_kv());
  auto again = Put("a", "2", true)->Message<PutResponse>(0);
  ExpectHeader(again.header(), 3);
  EXPECT_EQ(again.prev_kv().value(), "1");
  RangeResponse got = Get("a");
  ExpectHeader(got.header(), 3);
  ASSERT_EQ(got.kvs_size(), 1);
  EXPECT_EQ(got.kvs(0).value(), "2");
  EXPECT_EQ(got.kvs(0).version(), 2);
  EXPECT_EQ(got.count(), 1);
  DeleteRangeRequest remove;
  remove.set_key("a");
  remove.set_prev_kv(true);
  auto removed = member->Do(kDelete, remove)->Message<DeleteRangeResponse>(0);
  ExpectHeader(removed.header(), 4);
  EXPECT_EQ(removed.deleted(), 1);
  EXPECT_EQ(removed.prev_kvs(0).value(), "2");
  auto nothing = member->Do(kDelete, remove)->Message<DeleteRangeResponse>(0);
  ExpectHeader(nothing.header(), 4);
  EXPECT_EQ(nothing.deleted(), 0);
}

// All that a turn may answer is answered at its end, each as if it were alone.
TEST_F(KvServiceTest, RangesOfOneTurnAreAnsweredTogether) {
  constexpr int kKeys = 150;  // more than are answered in one go
  Fill(kKeys);
  std::vector<FakeCallPtr> calls;
  for (int i = 0; i < kKeys; ++i) {
    RangeRequest request;
    request.set_key("k" + std::to_string(1000 + i));
    request.set_serializable(i % 2 == 0);
    calls.push_back(member->Unary(kRange, request));
    EXPECT_FALSE(calls.back()->finished);
  }
  RangeRequest unknown;
  unknown.set_key("none");
  FakeCallPtr nothing = member->Unary(kRange, unknown);
  FakeCallPtr all = member->Unary(kRange, All());
  calls[3]->Abandon();
  member->Pump();
  for (int i = 0; i < kKeys; ++i) {
    if (i == 3) continue;
    auto answer = calls[static_cast<size_t>(i)]->Message<RangeResponse>(0);
    ASSERT_EQ(answer.kvs_size(), 1) << i;
    EXPECT_EQ(answer.kvs(0).key(), "k" + std::to_string(1000 + i));
    EXPECT_EQ(answer.kvs(0).value(), "value");
  }
  EXPECT_TRUE(calls[3]->sent.empty());
  EXPECT_EQ(nothing->Message<RangeResponse>(0).kvs_size(), 0);
  if (!all->finished) member->executor.WaitAndRun();  // it is long: read in the pool
  EXPECT_EQ(all->Message<RangeResponse>(0).count(), kKeys);
}

TEST_F(KvServiceTest, RangeHeaderIsTheRevisionOfTheStoreNotTheOneAskedFor) {
  Put("a", "1");
  Put("a", "2");
  RangeRequest request;
  request.set_key("a");
  request.set_revision(2);
  auto old = Range(request)->Message<RangeResponse>(0);
  EXPECT_EQ(old.kvs(0).value(), "1");
  ExpectHeader(old.header(), 3);
  request.set_revision(9);
  ExpectStatus(Range(request), GrpcCode::kOutOfRange,
               "etcdserver: mvcc: required revision is a future revision");
}

TEST_F(KvServiceTest, StaticErrorsNeverReachTheReplica) {
  ExpectStatus(member->Unary(kPut, PutRequest()), GrpcCode::kInvalidArgument,
               "etcdserver: key is not provided");
  ExpectStatus(member->Unary(kRange, RangeRequest()), GrpcCode::kInvalidArgument,
               "etcdserver: key is not provided");
  ExpectStatus(member->Unary(kDelete, DeleteRangeRequest()), GrpcCode::kInvalidArgument,
               "etcdserver: key is not provided");
  TxnRequest txn;
  txn.add_success();
  ExpectStatus(member->Unary(kTxn, txn), GrpcCode::kInvalidArgument, "etcdserver: key not found");
  PutRequest put;
  put.set_key("k");
  put.set_value("v");
  put.set_ignore_value(true);
  ExpectStatus(member->Unary(kPut, put), GrpcCode::kInvalidArgument,
               "etcdserver: value is provided");
  member->executor.Run();
  EXPECT_TRUE(member->door.bundles.empty());
  EXPECT_TRUE(member->door.tickets.empty());
}

TEST_F(KvServiceTest, ErrorsDecidedAtApply) {
  PutRequest put;
  put.set_key("k");
  put.set_ignore_value(true);
  ExpectStatus(member->Do(kPut, put), GrpcCode::kInvalidArgument, "etcdserver: key not found");
  put.Clear();
  put.set_key("k");
  put.set_lease(5);
  ExpectStatus(member->Do(kPut, put), GrpcCode::kNotFound, "etcdserver: requested lease not found");
  CompactionRequest compact;
  compact.set_revision(100);
  ExpectStatus(member->Do(kCompact, compact), GrpcCode::kOutOfRange,
               "etcdserver: mvcc: required revision is a future revision");
}

TEST_F(KvServiceTest, SerializableReadsDoNotAskTheLeader) {
  Put("a", "1");
  RangeRequest request;
  request.set_key("a");
  request.set_serializable(true);
  auto call = member->Unary(kRange, request);
  member->executor.Run();
  EXPECT_TRUE(member->door.tickets.empty());
  EXPECT_TRUE(call->finished);
  EXPECT_EQ(call->Message<RangeResponse>(0).kvs_size(), 1);
  request.set_serializable(false);
  auto waits = member->Unary(kRange, request);
  member->executor.Run();
  EXPECT_FALSE(waits->finished);
  EXPECT_EQ(member->door.tickets.size(), 1u);
  member->Pump();
  EXPECT_TRUE(waits->finished);
}

TEST_F(KvServiceTest, LargeRangesAreReadInThePool) {
  Fill(100);
  auto call = member->Unary(kRange, All());
  member->Pump();
  if (!call->finished) member->executor.WaitAndRun();
  auto response = call->Message<RangeResponse>(0);
  EXPECT_EQ(response.kvs_size(), 100);
  EXPECT_EQ(response.count(), 100);
  ExpectHeader(response.header(), 101);
  RangeRequest count = All();
  count.set_count_only(true);
  auto counted = Range(count);
  EXPECT_TRUE(counted->finished) << "counting is cheap at the newest revision";
  EXPECT_EQ(counted->Message<RangeResponse>(0).count(), 100);
  RangeRequest page = All();
  page.set_limit(10);
  auto paged = Range(page);
  EXPECT_TRUE(paged->finished);
  EXPECT_EQ(paged->Message<RangeResponse>(0).kvs_size(), 10);
  EXPECT_TRUE(paged->Message<RangeResponse>(0).more());
}

TEST_F(KvServiceTest, RangeStreamPiecesMakeTheWholeAnswer) {
  for (int i = 0; i < 20; ++i) Put("k" + std::to_string(100 + i), std::string(10'000, 'v'));
  auto call = member->Stream(kStream);
  call->Receive(All());
  member->Pump();
  while (!call->finished) member->executor.WaitAndRun();
  EXPECT_TRUE(call->status.ok());
  EXPECT_GT(call->sent.size(), 2u);
  std::string all;
  for (const std::string& piece : call->sent) all += piece;
  RangeStreamResponse merged;
  ASSERT_TRUE(merged.ParseFromString(all));
  EXPECT_EQ(merged.range_response().kvs_size(), 20);
  EXPECT_EQ(merged.range_response().count(), 20);
  ExpectHeader(merged.range_response().header(), 21);
  EXPECT_FALSE(call->Message<RangeStreamResponse>(0).range_response().has_header());
}

TEST_F(KvServiceTest, RangeStreamStopsWhileTheClientDoesNotRead) {
  for (int i = 0; i < 20; ++i) Put("k" + std::to_string(100 + i), std::string(10'000, 'v'));
  auto call = member->Stream(kStream);
  call->blocked = true;
  call->Receive(All());
  member->Pump();
  if (call->sent.empty()) member->executor.WaitAndRun();
  member->executor.Run();
  EXPECT_EQ(call->sent.size(), 1u);
  EXPECT_EQ(member->pending.waiting(), 0u);
  call->Drain();
  while (!call->finished) member->executor.WaitAndRun();
  EXPECT_TRUE(call->status.ok());
}

TEST_F(KvServiceTest, AStopEndsARangeStreamThatHasNoRequest) {
  Put("k", "1");
  auto silent = member->Stream(kStream);
  silent->Stop();
  ExpectStatus(silent, GrpcCode::kUnavailable, "etcdserver: server stopped");
  auto asked = member->Stream(kStream);
  asked->Receive(All());
  asked->Stop();
  member->Pump();
  while (!asked->finished) member->executor.WaitAndRun();
  EXPECT_TRUE(asked->status.ok());
}

TEST_F(KvServiceTest, TxnWritesThroughTheLogAndReadsWithATicket) {
  Put("a", "1");
  TxnRequest txn;
  auto* compare = txn.add_compare();
  compare->set_key("a");
  compare->set_target(Compare::VALUE);
  compare->set_value("1");
  txn.add_success()->mutable_request_range()->set_key("a");
  auto read = member->Unary(kTxn, txn);
  member->executor.Run();
  EXPECT_TRUE(member->door.bundles.empty());
  EXPECT_EQ(member->door.tickets.size(), 1u);
  member->Pump();
  auto answer = read->Message<TxnResponse>(0);
  EXPECT_TRUE(answer.succeeded());
  ExpectHeader(answer.header(), 2);
  EXPECT_EQ(answer.responses(0).response_range().kvs(0).value(), "1");
  EXPECT_EQ(answer.responses(0).response_range().header().revision(), 2);
  EXPECT_EQ(answer.responses(0).response_range().header().member_id(), 0u);
  txn.add_success()->mutable_request_put()->set_key("b");
  auto write = member->Do(kTxn, txn)->Message<TxnResponse>(0);
  ExpectHeader(write.header(), 3);
  EXPECT_EQ(write.responses_size(), 2);
}

TEST_F(KvServiceTest, CompactAnswersWithTheCurrentRevision) {
  Put("a", "1");
  Put("a", "2");
  CompactionRequest compact;
  compact.set_revision(3);
  ExpectHeader(member->Do(kCompact, compact)->Message<CompactionResponse>(0).header(), 3);
  ExpectStatus(member->Do(kCompact, compact), GrpcCode::kOutOfRange,
               "etcdserver: mvcc: required revision has been compacted");
}

TEST_F(KvServiceTest, PhysicalCompactionWaitsForTheCollector) {
  Put("a", "1");
  Put("a", "2");
  CompactionRequest compact;
  compact.set_revision(3);
  compact.set_physical(true);
  auto call = member->Do(kCompact, compact);
  member->executor.Advance(std::chrono::seconds(1));
  EXPECT_FALSE(call->finished);
  call->CancelByClient();
  member->executor.Advance(std::chrono::seconds(1));
  EXPECT_TRUE(call->sent.empty());
}

TEST_F(KvServiceTest, AFullStoreRefusesBeforeItLooksAtTheKeyAndRaisesTheAlarm) {
  MemberOptions options;
  options.quota_bytes = 2000;
  Open(options);
  Put("a", std::string(1700, 'v'));
  auto refused = member->Unary(kPut, PutRequest());
  EXPECT_FALSE(refused->finished) << "answered when the alarm stands";
  member->Pump();
  ExpectStatus(refused, GrpcCode::kResourceExhausted, "etcdserver: mvcc: database space exceeded");
  EXPECT_TRUE(member->machine.Read()->alarms->Any(cluster::AlarmKind::kNoSpace));
  DeleteRangeRequest remove;
  remove.set_key("a");
  EXPECT_TRUE(member->Do(kDelete, remove)->status.ok());
}

// A full disk is this member's own trouble: at once, and without an alarm for all members.
TEST_F(KvServiceTest, ADiskWithoutAllowanceRefusesWithoutAnAlarm) {
  member->disk_allowance.Grant(0, 1000);
  EXPECT_TRUE(Put("a", std::string(100, 'v'))->status.ok());
  PutRequest large;
  large.set_key("a");
  large.set_value(std::string(1000, 'v'));
  auto refused = member->Unary(kPut, large);
  ExpectStatus(refused, GrpcCode::kResourceExhausted, "etcdserver: mvcc: database space exceeded");
  EXPECT_FALSE(member->machine.Read()->alarms->Any(cluster::AlarmKind::kNoSpace));
  DeleteRangeRequest remove;
  remove.set_key("a");
  EXPECT_TRUE(member->Do(kDelete, remove)->status.ok());
  member->disk_allowance.Grant(0, 2000);
  EXPECT_TRUE(member->Do(kPut, large)->status.ok());
}

TEST_F(KvServiceTest, TooLargeRequestsAreRefused) {
  ExpectStatus(Put("a", std::string(1'572'864, 'v')), GrpcCode::kInvalidArgument,
               "etcdserver: request is too large");
}

TEST_F(KvServiceTest, TimeoutsHaveEtcdsTexts) {
  PutRequest put;
  put.set_key("k");
  auto write = member->Unary(kPut, put);
  RangeRequest range;
  range.set_key("k");
  auto read = member->Unary(kRange, range);
  member->executor.Advance(std::chrono::seconds(7));
  ExpectStatus(write, GrpcCode::kUnavailable, "etcdserver: request timed out");
  ExpectStatus(read, GrpcCode::kUnavailable, "etcdserver: request timed out");
}

TEST_F(KvServiceTest, AClientThatLeavesFreesItsCall) {
  PutRequest put;
  put.set_key("k");
  auto call = member->Unary(kPut, put);
  member->executor.Run();
  EXPECT_EQ(member->pending.waiting(), 1u);
  call->CancelByClient();
  EXPECT_EQ(member->pending.waiting(), 0u);
  member->Pump();
  EXPECT_TRUE(call->sent.empty());
}

}  // namespace
}  // namespace store::api
