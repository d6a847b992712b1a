// SPDX-License-Identifier: Apache-2.0
// Transactions: compares, branches, checks before effects, order of operations, responses.
// Read-only ones are evaluated on a view as well, because the edge does.
#include "store/apply/txn.h"

#include "tests/unit/apply/machine.h"

namespace store::apply {
namespace {

using etcdserverpb::Compare;
using etcdserverpb::RequestOp;
using etcdserverpb::TxnRequest;
using etcdserverpb::TxnResponse;

void AddPut(RequestOp* op, std::string_view key, std::string_view value, int64_t lease = 0) {
  *op->mutable_request_put() = PutOf(key, value, lease).put();
}
void AddDelete(RequestOp* op, std::string_view key, std::string_view range_end = {}) {
  *op->mutable_request_delete_range() = DeleteOf(key, range_end).delete_range();
}
void AddRange(RequestOp* op, std::string_view key, int64_t revision = 0) {
  op->mutable_request_range()->set_key(std::string(key));
  op->mutable_request_range()->set_revision(revision);
}
Command TxnOf(TxnRequest request) {
  Command command;
  *command.mutable_txn() = std::move(request);
  return command;
}

class CompareTest : public testing::Test {
 protected:
  CompareTest() {
    machine_.Do(GrantOf(9, 60));
    machine_.Do(PutOf("a", "1"));
    machine_.Do(PutOf("b", "5"));
    machine_.Do(PutOf("b", "6", 9));  // create 3, mod 4, version 2, lease 9
  }
  Compare Make(std::string_view key, Compare::CompareTarget target, Compare::CompareResult result) {
    Compare compare;
    compare.set_key(std::string(key));
    compare.set_target(target);
    compare.set_result(result);
    return compare;
  }
  // The same answer from apply and from a view.
  bool Holds(const Compare& compare) {
    TxnRequest request;
    *request.add_compare() = compare;
    auto read = EvaluateReadOnlyTxn(machine_.state().Read().view(), request);
    EXPECT_TRUE(read);
    CallResult applied = machine_.Do(TxnOf(request));
    bool succeeded = As<TxnResponse>(applied).succeeded();
    EXPECT_EQ((*read)->succeeded(), succeeded);
    return succeeded;
  }
  bool HoldsNumber(std::string_view key, Compare::CompareTarget target,
                   Compare::CompareResult result, int64_t operand) {
    Compare compare = Make(key, target, result);
    if (target == Compare::VERSION) compare.set_version(operand);
    if (target == Compare::CREATE) compare.set_create_revision(operand);
    if (target == Compare::MOD) compare.set_mod_revision(operand);
    if (target == Compare::LEASE) compare.set_lease(operand);
    return Holds(compare);
  }
  bool HoldsValue(std::string_view key, Compare::CompareResult result, std::string_view operand,
                  std::string_view range_end = {}) {
    Compare compare = Make(key, Compare::VALUE, result);
    compare.set_value(std::string(operand));
    compare.set_range_end(std::string(range_end));
    return Holds(compare);
  }

  Machine machine_;
};

TEST_F(CompareTest, EveryTargetWithEveryOperator) {
  const std::pair<Compare::CompareTarget, int64_t> facts[] = {
      {Compare::VERSION, 2}, {Compare::CREATE, 3}, {Compare::MOD, 4}, {Compare::LEASE, 9}};
  for (auto [target, actual] : facts) {
    EXPECT_TRUE(HoldsNumber("b", target, Compare::EQUAL, actual));
    EXPECT_FALSE(HoldsNumber("b", target, Compare::EQUAL, actual + 1));
    EXPECT_TRUE(HoldsNumber("b", target, Compare::NOT_EQUAL, actual + 1));
    EXPECT_FALSE(HoldsNumber("b", target, Compare::NOT_EQUAL, actual));
    EXPECT_TRUE(HoldsNumber("b", target, Compare::GREATER, actual - 1));
    EXPECT_FALSE(HoldsNumber("b", target, Compare::GREATER, actual));
    EXPECT_TRUE(HoldsNumber("b", target, Compare::LESS, actual + 1));
    EXPECT_FALSE(HoldsNumber("b", target, Compare::LESS, actual));
  }
}

TEST_F(CompareTest, ValuesCompareAsUnsignedBytes) {
  EXPECT_TRUE(HoldsValue("b", Compare::EQUAL, "6"));
  EXPECT_TRUE(HoldsValue("b", Compare::LESS, "\xff"));
  EXPECT_TRUE(HoldsValue("b", Compare::GREATER, "5\xff"));
  EXPECT_TRUE(HoldsValue("b", Compare::NOT_EQUAL, "66"));
}

TEST_F(CompareTest, AnAbsentKeyIsZeroAndItsValueComparesToNothing) {
  for (auto target : {Compare::VERSION, Compare::CREATE, Compare::MOD, Compare::LEASE}) {
    EXPECT_TRUE(HoldsNumber("z", target, Compare::EQUAL, 0));
    EXPECT_TRUE(HoldsNumber("z", target, Compare::LESS, 1));
    EXPECT_FALSE(HoldsNumber("z", target, Compare::NOT_EQUAL, 0));
  }
  for (auto result : {Compare::EQUAL, Compare::NOT_EQUAL, Compare::LESS, Compare::GREATER}) {
    EXPECT_FALSE(HoldsValue("z", result, "")) << result;
  }
}

TEST_F(CompareTest, ARangeMustHoldForEveryKey) {
  Compare compare = Make("a", Compare::VERSION, Compare::GREATER);
  compare.set_range_end("c");
  compare.set_version(0);
  EXPECT_TRUE(Holds(compare));
  compare.set_version(1);
  EXPECT_FALSE(Holds(compare)) << "a has version 1";
  EXPECT_TRUE(HoldsValue("a", Compare::LESS, "7", "c"));
  EXPECT_FALSE(HoldsValue("a", Compare::EQUAL, "6", "c"));
}

TEST_F(CompareTest, AnEmptyRangeIsOneAbsentKey) {
  Compare compare = Make("x", Compare::MOD, Compare::EQUAL);
  compare.set_range_end("y");
  EXPECT_TRUE(Holds(compare));
  compare.set_range_end("a");
  EXPECT_TRUE(Holds(compare)) << "a range that ends before it begins";
  EXPECT_FALSE(HoldsValue("x", Compare::NOT_EQUAL, "1", "y"));
}

TEST_F(CompareTest, ManyValuesAreReadInPieces) {
  for (int i = 0; i < 200; ++i) machine_.Do(PutOf(fmt::format("many/{:03}", i), "same"));
  EXPECT_TRUE(HoldsValue("many/", Compare::EQUAL, "same", "many0"));
  machine_.Do(PutOf("many/199", "other"));
  EXPECT_FALSE(HoldsValue("many/", Compare::EQUAL, "same", "many0"));
}

TEST_F(CompareTest, OddRequestsAreAsInEtcd) {
  Compare mismatch = Make("b", Compare::MOD, Compare::GREATER);
  mismatch.set_value("operand of another target");
  EXPECT_TRUE(Holds(mismatch)) << "the operand is 0";
  Compare unknown = Make("b", Compare::MOD, static_cast<Compare::CompareResult>(17));
  EXPECT_TRUE(Holds(unknown));
  EXPECT_TRUE(Holds(Make("b", static_cast<Compare::CompareTarget>(17), Compare::EQUAL)));
}

TEST_F(CompareTest, AllMustHoldAndNoneIsTrue) {
  TxnRequest request;
  EXPECT_TRUE(As<TxnResponse>(machine_.Do(TxnOf(request))).succeeded());
  Compare holds = Make("z", Compare::VERSION, Compare::EQUAL);
  Compare fails = Make("a", Compare::VERSION, Compare::EQUAL);
  *request.add_compare() = holds;
  *request.add_compare() = fails;
  EXPECT_FALSE(As<TxnResponse>(machine_.Do(TxnOf(request))).succeeded());
}

TEST(TxnTest, OperationsRunInOrderAndSeeEachOther) {
  Machine machine;
  machine.Do(PutOf("old", "1"));
  TxnRequest request;
  AddRange(request.add_success(), "k");
  AddPut(request.add_success(), "k", "v");
  AddRange(request.add_success(), "k");
  AddDelete(request.add_success(), "old");
  AddRange(request.add_success(), "old");
  AddRange(request.add_success(), "old", 2);
  CallResult result = machine.Do(TxnOf(request));
  const auto& response = As<TxnResponse>(result);
  EXPECT_EQ(result.revision, Revision(3));
  ASSERT_EQ(response.responses_size(), 6);
  EXPECT_EQ(response.responses(0).response_range().count(), 0);
  EXPECT_EQ(response.responses(0).response_range().header().revision(), 2);
  EXPECT_EQ(response.responses(1).response_put().header().revision(), 3);
  EXPECT_EQ(response.responses(2).response_range().kvs(0).value(), "v");
  EXPECT_EQ(response.responses(2).response_range().kvs(0).mod_revision(), 3);
  EXPECT_EQ(response.responses(2).response_range().header().revision(), 3);
  EXPECT_EQ(response.responses(3).response_delete_range().deleted(), 1);
  EXPECT_EQ(response.responses(4).response_range().count(), 0);
  EXPECT_EQ(response.responses(5).response_range().kvs(0).value(), "1");
  EXPECT_FALSE(response.has_header()) << "the loop sets the header of the response";
  const auto& events = machine.last().events->events;
  ASSERT_EQ(events.size(), 2U);
  EXPECT_EQ(events[0].kv.key.view(), "k");
  EXPECT_EQ(events[1].type, mvcc::EventType::kDelete);
}

TEST(TxnTest, PreviousValuesAreOfTheMomentOfTheOperation) {
  Machine machine;
  TxnRequest request;
  AddPut(request.add_success(), "k", "v");
  AddDelete(request.add_success(), "k");
  request.mutable_success(1)->mutable_request_delete_range()->set_prev_kv(true);
  CallResult result = machine.Do(TxnOf(request));
  const auto& deleted = As<TxnResponse>(result).responses(1).response_delete_range();
  ASSERT_EQ(deleted.prev_kvs_size(), 1);
  EXPECT_EQ(deleted.prev_kvs(0).value(), "v");
  EXPECT_EQ(deleted.prev_kvs(0).mod_revision(), 2);
}

TEST(TxnTest, WithoutAChangeThereIsNoRevision) {
  Machine machine;
  machine.Do(PutOf("a", "1"));
  TxnRequest request;
  AddDelete(request.add_success(), "z");
  AddRange(request.add_success(), "a");
  CallResult result = machine.Do(TxnOf(request));
  EXPECT_EQ(result.revision, Revision(2));
  EXPECT_EQ(As<TxnResponse>(result).responses(0).response_delete_range().header().revision(), 2);
}

TEST(TxnTest, NestedComparesSeeTheStateBeforeTheTransaction) {
  Machine machine;
  TxnRequest request;
  AddPut(request.add_success(), "k", "v");
  TxnRequest* nested = request.add_success()->mutable_request_txn();
  Compare* absent = nested->add_compare();
  absent->set_key("k");
  absent->set_target(Compare::VERSION);
  absent->set_result(Compare::EQUAL);
  AddPut(nested->add_success(), "then", "1");
  AddPut(nested->add_failure(), "else", "1");
  CallResult result = machine.Do(TxnOf(request));
  EXPECT_EQ(machine.Keys(), "k=v@2/2/1/0 then=1@2/2/1/0");
  const auto& inner = As<TxnResponse>(result).responses(1).response_txn();
  EXPECT_TRUE(inner.succeeded());
  EXPECT_TRUE(inner.has_header());
  EXPECT_EQ(inner.header().ByteSizeLong(), 0U) << "present and empty";
  EXPECT_EQ(inner.responses(0).response_put().header().revision(), 2);
}

TEST(TxnTest, ARefusedTransactionHasNoEffectEtcd18667) {
  Machine machine;
  machine.Do(PutOf("a", "1"));
  auto refused = [&](const auto& add_last) {
    TxnRequest request;
    AddPut(request.add_success(), "k", "v");
    AddDelete(request.add_success(), "a");
    TxnRequest* nested = request.add_success()->mutable_request_txn();
    add_last(nested->add_success());
    CallResult result = machine.Do(TxnOf(request));
    EXPECT_EQ(machine.Keys(), "a=1@2/2/1/0");
    EXPECT_EQ(result.response, nullptr);
    return result.error;
  };
  EXPECT_EQ(refused([](RequestOp* op) { AddPut(op, "x", "y", 404); }), ErrorCode::kLeaseNotFound);
  EXPECT_EQ(refused([](RequestOp* op) { AddRange(op, "x", 3); }), ErrorCode::kFutureRevision);
  machine.Do(CompactOf(2));
  EXPECT_EQ(refused([](RequestOp* op) { AddRange(op, "x", -1); }), ErrorCode::kCompacted);
}

TEST(TxnTest, TellsTheFirstOperationThatCannotBeDone) {
  Machine machine;
  machine.Do(PutOf("a", "1"));
  machine.Do(PutOf("a", "2"));
  machine.Do(CompactOf(3));
  TxnRequest request;
  AddPut(request.add_success(), "k", "", 404);
  AddRange(request.add_success(), "a", 2);
  auto told = [&] { return machine.Do(TxnOf(request)).error; };
  EXPECT_EQ(told(), ErrorCode::kLeaseNotFound);
  request.mutable_success()->SwapElements(0, 1);
  EXPECT_EQ(told(), ErrorCode::kCompacted);
  request.mutable_success(0)->mutable_request_range()->set_revision(-1);
  EXPECT_EQ(told(), ErrorCode::kCompacted);
  // Of one put the lease comes before the key.
  request.mutable_success()->RemoveLast();
  AddPut(request.mutable_success(0), "k", "", 404);
  request.mutable_success(0)->mutable_request_put()->set_ignore_value(true);
  EXPECT_EQ(told(), ErrorCode::kLeaseNotFound);
  request.mutable_success(0)->mutable_request_put()->set_lease(0);
  EXPECT_EQ(told(), ErrorCode::kKeyNotFound);
}

TEST(TxnTest, OnlyTheTakenBranchIsChecked) {
  Machine machine;
  TxnRequest request;
  AddPut(request.add_success(), "k", "v");
  AddPut(request.add_failure(), "k", "v", 404);
  EXPECT_EQ(machine.Do(TxnOf(request)).error, ErrorCode::kOk);
}

TEST(TxnTest, LeasesAndIgnoreFlagsWorkInside) {
  Machine machine;
  machine.Do(GrantOf(1, 60));
  machine.Do(PutOf("k", "v", 1));
  TxnRequest request;
  AddPut(request.add_success(), "k", "w");
  request.mutable_success(0)->mutable_request_put()->set_ignore_lease(true);
  AddPut(request.add_success(), "l", "x", 1);
  machine.Do(TxnOf(request));
  EXPECT_EQ(machine.Keys(), "k=w@2/3/2/1 l=x@3/3/1/1");
  EXPECT_EQ(machine.state().leases().Find(LeaseId(1))->keys.size(), 2U);
}

TEST(ReadOnlyTxnTest, WhatIsReadOnlyAndWhatIsSerializable) {
  TxnRequest request;
  EXPECT_TRUE(IsReadOnlyTxn(request));
  EXPECT_TRUE(IsSerializableTxn(request));
  AddRange(request.add_success(), "k");
  EXPECT_TRUE(IsReadOnlyTxn(request));
  EXPECT_FALSE(IsSerializableTxn(request));
  request.mutable_success(0)->mutable_request_range()->set_serializable(true);
  EXPECT_TRUE(IsSerializableTxn(request));
  TxnRequest nested = request;
  AddRange(nested.add_failure()->mutable_request_txn()->add_success(), "k");
  EXPECT_FALSE(IsReadOnlyTxn(nested)) << "a nested one goes through the log";
  AddDelete(request.add_failure(), "k");
  EXPECT_FALSE(IsReadOnlyTxn(request));
}

TEST(ReadOnlyTxnTest, AnswersFromAView) {
  Machine machine;
  machine.Do(PutOf("k", "v"));
  machine.Do(PutOf("k", "w"));
  TxnRequest request;
  AddRange(request.add_success(), "k");
  AddRange(request.add_success(), "k", 2);
  auto response = EvaluateReadOnlyTxn(machine.state().Read().view(), request);
  ASSERT_TRUE(response);
  EXPECT_EQ((*response)->responses(0).response_range().kvs(0).value(), "w");
  EXPECT_EQ((*response)->responses(1).response_range().kvs(0).value(), "v");
  EXPECT_EQ((*response)->responses(1).response_range().header().revision(), 3);
  AddRange(request.add_success(), "k", 4);
  EXPECT_EQ(EvaluateReadOnlyTxn(machine.state().Read().view(), request).error().code(),
            ErrorCode::kFutureRevision);
}

}  // namespace
}  // namespace store::apply
