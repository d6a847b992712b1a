// SPDX-License-Identifier: Apache-2.0
// Ranges and read-only transactions that are too long for the loop.
#include "store/api/held_read.h"

#include "store/api/kv_service.h"
#include "store/apply/txn.h"
#include "tests/unit/api/member.h"
#include "tests/unit/mvcc/hooked_engine.h"

#include <gtest/gtest.h>

#include <future>
#include <memory>
#include <string>

namespace store::api {
namespace {

using namespace etcdserverpb;
using rpc::GrpcCode;

constexpr std::string_view kRange = "/etcdserverpb.KV/Range";
constexpr std::string_view kPut = "/etcdserverpb.KV/Put";
constexpr std::string_view kTxn = "/etcdserverpb.KV/Txn";

class HeldReadTest : public ::testing::Test {
 protected:
  void SetUp() override { Open({}); }
  void TearDown() override { member->pool.Stop(); }
  void Open(const MemberOptions& options) {
    member = std::make_unique<Member>(options);
    service = std::make_unique<KvService>(*member->context);
    service->Register(member->table);
  }
  static void Put(Member& member, const std::string& key, const std::string& value) {
    PutRequest request;
    request.set_key(key);
    request.set_value(value);
    EXPECT_TRUE(member.Do(kPut, request)->status.ok());
  }
  static void Fill(Member& member, int keys) {
    for (int i = 0; i < keys; ++i) Put(member, Key(i), "value" + std::to_string(i));
  }
  void Fill(int keys) { Fill(*member, keys); }
  static std::string Key(int i) { return "k" + std::to_string(1000 + i); }
  static RangeRequest All() {
    RangeRequest request;
    request.set_key("k");
    request.set_range_end("l");
    return request;
  }
  static RangeRequest LastChanged() {
    RangeRequest request = All();
    request.set_limit(1);
    request.set_keys_only(true);
    request.set_sort_order(RangeRequest::DESCEND);
    request.set_sort_target(RangeRequest::MOD);
    return request;
  }
  static Compare CompareAll(Compare::CompareTarget target, Compare::CompareResult result) {
    Compare compare;
    compare.set_key("k");
    compare.set_range_end("l");
    compare.set_target(target);
    compare.set_result(result);
    return compare;
  }
  // The one thread of the pool waits until the handle is set.
  std::promise<void> BlockPool() {
    std::promise<void> release;
    EXPECT_TRUE(member->pool.TrySubmit(
        WorkClass(0),
        [until = std::make_shared<std::future<void>>(release.get_future())] { until->wait(); }));
    return release;
  }
  FakeCallPtr Finish(const FakeCallPtr& call) {
    if (!call->finished) member->executor.WaitAndRun();
    EXPECT_TRUE(call->finished);
    return call;
  }
  // In the pool, while the loop answers another call.
  FakeCallPtr DoInPool(const TxnRequest& txn) {
    std::promise<void> release = BlockPool();
    FakeCallPtr call = member->Do(kTxn, txn);
    EXPECT_FALSE(call->finished) << "the loop did it: " << txn.ShortDebugString();
    RangeRequest get;
    get.set_key(Key(0));
    EXPECT_TRUE(member->Do(kRange, get)->finished);
    release.set_value();
    return Finish(call);
  }
  // As the loop would answer it from one view.
  void ExpectSame(const TxnRequest& txn) {
    FakeCallPtr held = DoInPool(txn);
    mvcc::ReadView view = member->machine.mvcc().View();
    auto whole = apply::EvaluateReadOnlyTxn(view, txn);
    if (!whole) {
      rpc::RpcStatus status = StatusOf(whole.error());
      return ExpectStatus(held, status.code, status.message);
    }
    member->context->header.Fill(view.current(), (*whole)->mutable_header());
    ASSERT_EQ(held->sent.size(), 1u) << held->status.message;
    EXPECT_EQ(held->sent[0], (*whole)->SerializeAsString()) << txn.ShortDebugString();
  }

  std::unique_ptr<Member> member;
  std::unique_ptr<KvService> service;
};

TEST_F(HeldReadTest, ATxnOfLongRangesIsReadInThePool) {
  Fill(65);
  TxnRequest txn;
  *txn.add_success()->mutable_request_range() = LastChanged();
  *txn.add_success()->mutable_request_range() = All();
  auto answer = DoInPool(txn)->Message<TxnResponse>(0);
  ExpectHeader(answer.header(), 66);
  EXPECT_TRUE(answer.succeeded());
  ASSERT_EQ(answer.responses_size(), 2);
  EXPECT_EQ(answer.responses(0).response_range().kvs(0).key(), Key(64));
  EXPECT_EQ(answer.responses(1).response_range().kvs_size(), 65);
  EXPECT_EQ(answer.responses(1).response_range().header().revision(), 66);
  ExpectSame(txn);
}

TEST_F(HeldReadTest, EitherBranchCounts) {
  Fill(65);
  TxnRequest txn;
  txn.add_success()->mutable_request_range()->set_key(Key(3));
  EXPECT_TRUE(member->Do(kTxn, txn)->finished) << "short, on the loop";
  *txn.add_failure()->mutable_request_range() = All();
  ExpectSame(txn);
}

TEST_F(HeldReadTest, ATxnThatComparesManyKeysIsReadInThePool) {
  Fill(200);
  for (auto [target, result] :
       {std::pair(Compare::VERSION, Compare::GREATER), std::pair(Compare::MOD, Compare::GREATER),
        std::pair(Compare::MOD, Compare::EQUAL), std::pair(Compare::LEASE, Compare::EQUAL),
        std::pair(Compare::VALUE, Compare::GREATER), std::pair(Compare::VALUE, Compare::LESS)}) {
    TxnRequest txn;
    *txn.add_compare() = CompareAll(target, result);
    Compare* point = txn.add_compare();
    point->set_key(Key(7));
    point->set_target(Compare::VALUE);
    point->set_value("value7");
    point = txn.add_compare();
    point->set_key(Key(7));
    point->set_target(Compare::MOD);
    point->set_mod_revision(9);
    txn.add_success()->mutable_request_range()->set_key(Key(1));
    ExpectSame(txn);
  }
}

// Few keys, but the loop would copy megabytes.
TEST_F(HeldReadTest, LargeValuesAreReadInThePool) {
  for (int i = 0; i < 5; ++i) Put(*member, Key(i), std::string(1 << 20, 'v'));
  RangeRequest range = All();
  std::promise<void> release = BlockPool();
  auto all = member->Do(kRange, range);
  EXPECT_FALSE(all->finished);
  range.set_limit(4);
  EXPECT_TRUE(member->Do(kRange, range)->finished) << "four megabytes";
  range.set_limit(0);
  range.set_keys_only(true);
  EXPECT_TRUE(member->Do(kRange, range)->finished) << "keys only";
  release.set_value();
  EXPECT_EQ(Finish(all)->Message<RangeResponse>(0).kvs_size(), 5);
  TxnRequest txn;
  for (int i = 0; i < 4; ++i) txn.add_success()->mutable_request_range()->set_key(Key(i));
  EXPECT_TRUE(member->Do(kTxn, txn)->finished);
  txn.add_success()->mutable_request_range()->set_key(Key(4));
  ExpectSame(txn);
  TxnRequest compare;
  *compare.add_compare() = CompareAll(Compare::VALUE, Compare::LESS);
  compare.mutable_compare(0)->set_value("w");
  ExpectSame(compare);
}

TEST_F(HeldReadTest, ATxnOfNamedRevisionsHasTheSameAnswersAndErrors) {
  Fill(65);
  Put(*member, Key(1), "again");
  for (int64_t revision : {66, 67, 68, -7}) {
    TxnRequest txn;
    *txn.add_success()->mutable_request_range() = All();
    *txn.add_success()->mutable_request_range() = All();
    txn.mutable_success(1)->mutable_request_range()->set_revision(revision);
    ExpectSame(txn);
  }
}

TEST_F(HeldReadTest, ALongTxnSeesOneRevisionWhateverIsWrittenMeanwhile) {
  auto engine = std::make_shared<mvcc::HookedEngine>();
  MemberOptions options;
  options.engine = engine;
  Open(options);
  Fill(130);
  engine->BeforeMultiGet(engine::Table::kVal, [this] {
    // On the pool's thread, while this one waits for it: nothing else runs.
    Put(*member, Key(100), "new");
    DeleteRangeRequest remove;
    remove.set_key(Key(129));
    member->Do("/etcdserverpb.KV/DeleteRange", remove);
  });
  TxnRequest txn;
  *txn.add_success()->mutable_request_range() = All();
  *txn.add_success()->mutable_request_range() = LastChanged();
  auto answer = ReadHeldTxn(*member->context, txn);
  ASSERT_TRUE(answer);
  TxnResponse response;
  ASSERT_TRUE(response.ParseFromString(std::string(answer->parts()[0].view())));
  EXPECT_EQ(member->machine.mvcc().current(), Revision(133));
  ExpectHeader(response.header(), 131);
  for (const ResponseOp& op : response.responses()) {
    EXPECT_EQ(op.response_range().header().revision(), 131);
    EXPECT_EQ(op.response_range().count(), 130);
  }
  EXPECT_EQ(response.responses(0).response_range().kvs(100).value(), "value100");
  EXPECT_EQ(response.responses(1).response_range().kvs(0).key(), Key(129));
}

// A snapshot cancels every held view; the newest revision is then that of the snapshot.
class InstallMeanwhileTest : public HeldReadTest {
 protected:
  void SetUp() override {
    MemberOptions options;
    options.engine = engine;
    Open(options);
    Fill(65);
    Fill(ahead, 100);
    engine->BeforeMultiGet(engine::Table::kVal,
                           [this] { EXPECT_TRUE(member->machine.Install(ahead.engine)); });
  }
  InstallMeanwhileTest() : ahead_service(*ahead.context) { ahead_service.Register(ahead.table); }

  std::shared_ptr<mvcc::HookedEngine> engine = std::make_shared<mvcc::HookedEngine>();
  Member ahead;
  KvService ahead_service;
};

TEST_F(InstallMeanwhileTest, ARangeOfTheNewestRevisionIsOfTheNewState) {
  auto call = Finish(member->Do(kRange, All()));
  ASSERT_TRUE(call->status.ok()) << call->status.message;
  auto answer = call->Message<RangeResponse>(0);
  ExpectHeader(answer.header(), 101);
  EXPECT_EQ(answer.count(), 100);
  EXPECT_EQ(answer.kvs(99).value(), "value99");
}

TEST_F(InstallMeanwhileTest, ATxnOfTheNewestRevisionIsOfTheNewState) {
  TxnRequest txn;
  *txn.add_success()->mutable_request_range() = All();
  *txn.add_success()->mutable_request_range() = LastChanged();
  auto call = Finish(member->Do(kTxn, txn));
  ASSERT_TRUE(call->status.ok()) << call->status.message;
  auto answer = call->Message<TxnResponse>(0);
  ExpectHeader(answer.header(), 101);
  EXPECT_EQ(answer.responses(0).response_range().count(), 100);
  EXPECT_EQ(answer.responses(1).response_range().kvs(0).key(), Key(99));
}

TEST_F(InstallMeanwhileTest, ATxnThatNamesARevisionIsNotTriedAgain) {
  TxnRequest txn;
  *txn.add_success()->mutable_request_range() = All();
  txn.mutable_success(0)->mutable_request_range()->set_revision(66);
  ExpectStatus(Finish(member->Do(kTxn, txn)), GrpcCode::kOutOfRange,
               "etcdserver: mvcc: required revision has been compacted");
}

TEST_F(InstallMeanwhileTest, ComparesAreMadeAgainToo) {
  TxnRequest txn;
  *txn.add_compare() = CompareAll(Compare::VALUE, Compare::GREATER);
  txn.mutable_compare(0)->set_value("v");
  auto call = Finish(member->Do(kTxn, txn));
  ASSERT_TRUE(call->status.ok()) << call->status.message;
  EXPECT_TRUE(call->Message<TxnResponse>(0).succeeded());
  ExpectHeader(call->Message<TxnResponse>(0).header(), 101);
}

}  // namespace
}  // namespace store::api
