// SPDX-License-Identifier: Apache-2.0
#include "store/api/validate.h"

#include "store/api/gate.h"

#include <gtest/gtest.h>

#include <string>

namespace store::api {
namespace {

using namespace etcdserverpb;

ErrorCode Code(const Status& status) { return status ? ErrorCode::kOk : status.error().code(); }

RequestOp PutOp(const std::string& key) {
  RequestOp op;
  op.mutable_request_put()->set_key(key);
  return op;
}
RequestOp DeleteOp(const std::string& key, const std::string& end = {}) {
  RequestOp op;
  op.mutable_request_delete_range()->set_key(key);
  op.mutable_request_delete_range()->set_range_end(end);
  return op;
}
RequestOp RangeOp(const std::string& key) {
  RequestOp op;
  op.mutable_request_range()->set_key(key);
  return op;
}
RequestOp Nested(const TxnRequest& txn) {
  RequestOp op;
  *op.mutable_request_txn() = txn;
  return op;
}
TxnRequest Success(std::initializer_list<RequestOp> ops) {
  TxnRequest txn;
  for (const RequestOp& op : ops) *txn.add_success() = op;
  return txn;
}
ErrorCode CodeOf(const TxnRequest& txn) { return Code(CheckTxn(txn, 128)); }

TEST(Validate, RangeChecksKeyBeforeSort) {
  RangeRequest request;
  request.set_sort_order(static_cast<RangeRequest::SortOrder>(9));
  EXPECT_EQ(Code(CheckRange(request)), ErrorCode::kEmptyKey);
  request.set_key("k");
  EXPECT_EQ(Code(CheckRange(request)), ErrorCode::kInvalidSortOption);
  request.set_sort_order(RangeRequest::DESCEND);
  request.set_sort_target(static_cast<RangeRequest::SortTarget>(5));
  EXPECT_EQ(Code(CheckRange(request)), ErrorCode::kInvalidSortOption);
  request.set_sort_target(RangeRequest::VALUE);
  EXPECT_EQ(Code(CheckRange(request)), ErrorCode::kOk);
}

TEST(Validate, RangeStreamTakesKeyOrderOnly) {
  RangeRequest request;
  request.set_key("k");
  request.set_sort_target(RangeRequest::VALUE);  // ignored without an order
  EXPECT_EQ(Code(CheckRangeStream(request)), ErrorCode::kOk);
  request.set_sort_order(RangeRequest::ASCEND);
  EXPECT_EQ(Code(CheckRangeStream(request)), ErrorCode::kRangeStreamSort);
  request.set_sort_target(RangeRequest::KEY);
  EXPECT_EQ(Code(CheckRangeStream(request)), ErrorCode::kOk);
  request.set_max_create_revision(1);
  EXPECT_EQ(Code(CheckRangeStream(request)), ErrorCode::kRangeStreamRevisionFilter);
}

TEST(Validate, PutChecksKeyThenValueThenLease) {
  PutRequest request;
  request.set_value("v");
  request.set_lease(3);
  request.set_ignore_value(true);
  request.set_ignore_lease(true);
  EXPECT_EQ(Code(CheckPut(apply::FieldsOf(request))), ErrorCode::kEmptyKey);
  request.set_key("k");
  EXPECT_EQ(Code(CheckPut(apply::FieldsOf(request))), ErrorCode::kValueProvided);
  request.clear_value();
  EXPECT_EQ(Code(CheckPut(apply::FieldsOf(request))), ErrorCode::kLeaseProvided);
  request.clear_lease();
  EXPECT_EQ(Code(CheckPut(apply::FieldsOf(request))), ErrorCode::kOk);
}

TEST(Validate, TxnCountsItsLongestListAndChildrenHaveTheRest) {
  TxnRequest txn;
  for (int i = 0; i < 128; ++i) *txn.add_success() = RangeOp("k");
  EXPECT_EQ(CodeOf(txn), ErrorCode::kOk);
  *txn.mutable_success(0) = Nested({});
  EXPECT_EQ(CodeOf(txn), ErrorCode::kOk);
  *txn.mutable_success(0) = Nested(Success({RangeOp("k")}));
  EXPECT_EQ(CodeOf(txn), ErrorCode::kTooManyOps);
  txn.Clear();
  for (int i = 0; i < 129; ++i) txn.add_compare();
  EXPECT_EQ(CodeOf(txn), ErrorCode::kTooManyOps) << "counted before keys are looked at";
}

TEST(Validate, TxnLooksAtComparesThenSuccessThenFailure) {
  TxnRequest txn;
  txn.add_compare();
  txn.add_success();
  EXPECT_EQ(CodeOf(txn), ErrorCode::kEmptyKey);
  txn.mutable_compare(0)->set_key("k");
  EXPECT_EQ(CodeOf(txn), ErrorCode::kKeyNotFound) << "an operation with nothing in it";
  *txn.mutable_success(0) = PutOp("");
  EXPECT_EQ(CodeOf(txn), ErrorCode::kEmptyKey);
  *txn.mutable_success(0) = PutOp("k");
  *txn.add_failure() = DeleteOp("");
  EXPECT_EQ(CodeOf(txn), ErrorCode::kEmptyKey);
}

TEST(Validate, PutsMustNotMeetInOneBranch) {
  EXPECT_EQ(CodeOf(Success({PutOp("k"), PutOp("k")})), ErrorCode::kDuplicateKey);
  EXPECT_EQ(CodeOf(Success({PutOp("k"), DeleteOp("k")})), ErrorCode::kDuplicateKey);
  EXPECT_EQ(CodeOf(Success({PutOp("k"), DeleteOp("a", "z")})), ErrorCode::kDuplicateKey);
  EXPECT_EQ(CodeOf(Success({DeleteOp("a", std::string(1, '\0')), PutOp("k")})),
            ErrorCode::kDuplicateKey);
  EXPECT_EQ(CodeOf(Success({PutOp("k"), DeleteOp("l", "z")})), ErrorCode::kOk);
  EXPECT_EQ(CodeOf(Success({PutOp("z"), DeleteOp("l", "z")})), ErrorCode::kOk);
  EXPECT_EQ(CodeOf(Success({PutOp("k"), DeleteOp("z", "a")})), ErrorCode::kOk);
  EXPECT_EQ(CodeOf(Success({DeleteOp("a", "m"), DeleteOp("b", "z"), RangeOp("c")})),
            ErrorCode::kOk);
  EXPECT_EQ(CodeOf(Success({DeleteOp("a", "m"), DeleteOp("b", "z"), PutOp("y")})),
            ErrorCode::kDuplicateKey);
}

TEST(Validate, BranchesOfOneTxnDoNotMeet) {
  TxnRequest txn = Success({PutOp("k")});
  *txn.add_failure() = PutOp("k");
  EXPECT_EQ(CodeOf(txn), ErrorCode::kOk);
  // Nested: the same key in both halves of one transaction is fine, in two siblings it is not.
  EXPECT_EQ(CodeOf(Success({Nested(txn)})), ErrorCode::kOk);
  EXPECT_EQ(CodeOf(Success({Nested(txn), Nested(txn)})), ErrorCode::kDuplicateKey);
  EXPECT_EQ(CodeOf(Success({Nested(txn), PutOp("k")})), ErrorCode::kDuplicateKey);
  EXPECT_EQ(CodeOf(Success({Nested(txn), DeleteOp("k")})), ErrorCode::kDuplicateKey);
  EXPECT_EQ(CodeOf(Success({Nested(Success({DeleteOp("k")})), PutOp("k")})),
            ErrorCode::kDuplicateKey);
}

TEST(Validate, Utf8) {
  EXPECT_TRUE(IsValidUtf8(""));
  EXPECT_TRUE(IsValidUtf8("3.7 \xC3\xA4 \xE2\x82\xAC \xF0\x9F\x98\x80"));
  EXPECT_FALSE(IsValidUtf8("\xFF"));
  EXPECT_FALSE(IsValidUtf8("\xC0\x80"));
  EXPECT_FALSE(IsValidUtf8("\xE2\x82"));
  EXPECT_FALSE(IsValidUtf8("\xED\xA0\x80"));
  EXPECT_FALSE(IsValidUtf8("\xF4\x90\x80\x80"));
}

}  // namespace
}  // namespace store::api
