// SPDX-License-Identifier: Apache-2.0
#include "store/api/errors.h"

#include <gtest/gtest.h>

#include <set>
#include <string>

namespace store::api {
namespace {

using rpc::GrpcCode;

TEST(Errors, EveryClientVisibleCodeHasARowAndEachTextIsUnique) {
  std::set<std::string_view> texts;
  auto first = static_cast<int>(ErrorCode::kEmptyKey);
  auto last = static_cast<int>(ErrorCode::kRangeStreamRevisionFilter);
  for (int code = first; code <= last; ++code) {
    const ErrorRow* row = FindErrorRow(static_cast<ErrorCode>(code));
    ASSERT_NE(row, nullptr) << code;
    EXPECT_EQ(static_cast<int>(row->code), code);
    EXPECT_NE(row->grpc, GrpcCode::kOk);
    EXPECT_TRUE(texts.insert(row->text).second) << row->text;
  }
}

TEST(Errors, TwoRowsAreUnknownOnTheWire) {
  EXPECT_EQ(StatusOf(ErrorCode::kTooManyRequests).code, GrpcCode::kUnknown);
  EXPECT_EQ(StatusOf(ErrorCode::kTooManyRequests).message, "etcdserver: too many requests");
  EXPECT_EQ(StatusOf(ErrorCode::kMemberNotEnoughStarted).code, GrpcCode::kUnknown);
}

TEST(Errors, ErrorsOfTheEnvironmentKeepTheirTextAndAreUnknown) {
  rpc::RpcStatus status = StatusOf(Error(ErrorCode::kIo, "read of x failed"));
  EXPECT_EQ(status.code, GrpcCode::kUnknown);
  EXPECT_NE(status.message.find("read of x failed"), std::string::npos);
  EXPECT_EQ(FindErrorRow(ErrorCode::kInternal), nullptr);
}

TEST(Errors, OkIsNoError) { EXPECT_TRUE(StatusOf(ErrorCode::kOk).ok()); }

TEST(Errors, GoTextOfAStatus) {
  EXPECT_EQ(GoStatusText(ErrorCode::kPermissionDenied),
            "rpc error: code = PermissionDenied desc = etcdserver: permission denied");
  EXPECT_EQ(GoStatusText(ErrorCode::kInvalidAuthToken),
            "rpc error: code = Unauthenticated desc = etcdserver: invalid auth token");
}

}  // namespace
}  // namespace store::api
