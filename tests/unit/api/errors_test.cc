// SPDX-License-Identifier: Apache-2.0
#include "store/api/errors.h"

#include <gtest/gtest.h>

#include <set>
#include <string>

namespace store::api {
namespace {

using rpc::GrpcCode;
using enum ErrorCode;

// Copied from section 1 of the reference page of etcd's behaviour, not from errors.cc: an error of
// typing there must not be repeated here.
constexpr ErrorRow kReference[] = {
    {kEmptyKey, GrpcCode::kInvalidArgument, "etcdserver: key is not provided"},
    {kKeyNotFound, GrpcCode::kInvalidArgument, "etcdserver: key not found"},
    {kValueProvided, GrpcCode::kInvalidArgument, "etcdserver: value is provided"},
    {kLeaseProvided, GrpcCode::kInvalidArgument, "etcdserver: lease is provided"},
    {kTooManyOps, GrpcCode::kInvalidArgument, "etcdserver: too many operations in txn request"},
    {kDuplicateKey, GrpcCode::kInvalidArgument, "etcdserver: duplicate key given in txn request"},
    {kInvalidClientApiVersion, GrpcCode::kInvalidArgument,
     "etcdserver: invalid client api version"},
    {kInvalidSortOption, GrpcCode::kInvalidArgument, "etcdserver: invalid sort option"},
    {kCompacted, GrpcCode::kOutOfRange, "etcdserver: mvcc: required revision has been compacted"},
    {kFutureRevision, GrpcCode::kOutOfRange,
     "etcdserver: mvcc: required revision is a future revision"},
    {kSpaceExceeded, GrpcCode::kResourceExhausted, "etcdserver: mvcc: database space exceeded"},
    {kLeaseNotFound, GrpcCode::kNotFound, "etcdserver: requested lease not found"},
    {kLeaseExists, GrpcCode::kFailedPrecondition, "etcdserver: lease already exists"},
    {kLeaseTtlTooLarge, GrpcCode::kOutOfRange, "etcdserver: too large lease TTL"},
    {kWatchCanceled, GrpcCode::kCancelled, "etcdserver: watch canceled"},
    {kMemberExists, GrpcCode::kFailedPrecondition, "etcdserver: member ID already exist"},
    {kPeerUrlExists, GrpcCode::kFailedPrecondition, "etcdserver: Peer URLs already exists"},
    {kMemberNotEnoughStarted, GrpcCode::kUnknown,
     "etcdserver: re-configuration failed due to not enough started members"},
    {kMemberBadUrls, GrpcCode::kInvalidArgument, "etcdserver: given member URLs are invalid"},
    {kMemberNotFound, GrpcCode::kNotFound, "etcdserver: member not found"},
    {kMemberNotLearner, GrpcCode::kFailedPrecondition,
     "etcdserver: can only promote a learner member"},
    {kMemberLearnerNotReady, GrpcCode::kFailedPrecondition,
     "etcdserver: can only promote a learner member which is in sync with leader"},
    {kTooManyLearners, GrpcCode::kFailedPrecondition,
     "etcdserver: too many learner members in cluster"},
    {kClusterIdMismatch, GrpcCode::kFailedPrecondition, "etcdserver: cluster ID mismatch"},
    {kRequestTooLarge, GrpcCode::kInvalidArgument, "etcdserver: request is too large"},
    {kTooManyRequests, GrpcCode::kUnknown, "etcdserver: too many requests"},
    {kRootUserNotExist, GrpcCode::kFailedPrecondition, "etcdserver: root user does not exist"},
    {kRootRoleNotExist, GrpcCode::kFailedPrecondition,
     "etcdserver: root user does not have root role"},
    {kUserAlreadyExists, GrpcCode::kFailedPrecondition, "etcdserver: user name already exists"},
    {kUserEmpty, GrpcCode::kInvalidArgument, "etcdserver: user name is empty"},
    {kUserNotFound, GrpcCode::kFailedPrecondition, "etcdserver: user name not found"},
    {kRoleAlreadyExists, GrpcCode::kFailedPrecondition, "etcdserver: role name already exists"},
    {kRoleNotFound, GrpcCode::kFailedPrecondition, "etcdserver: role name not found"},
    {kRoleEmpty, GrpcCode::kInvalidArgument, "etcdserver: role name is empty"},
    {kAuthFailed, GrpcCode::kInvalidArgument,
     "etcdserver: authentication failed, invalid user ID or password"},
    {kPermissionNotGiven, GrpcCode::kInvalidArgument, "etcdserver: permission not given"},
    {kPermissionDenied, GrpcCode::kPermissionDenied, "etcdserver: permission denied"},
    {kRoleNotGranted, GrpcCode::kFailedPrecondition, "etcdserver: role is not granted to the user"},
    {kPermissionNotGranted, GrpcCode::kFailedPrecondition,
     "etcdserver: permission is not granted to the role"},
    {kAuthNotEnabled, GrpcCode::kFailedPrecondition, "etcdserver: authentication is not enabled"},
    {kInvalidAuthToken, GrpcCode::kUnauthenticated, "etcdserver: invalid auth token"},
    {kInvalidAuthManagement, GrpcCode::kInvalidArgument, "etcdserver: invalid auth management"},
    {kAuthOldRevision, GrpcCode::kInvalidArgument, "etcdserver: revision of auth store is old"},
    {kNoLeader, GrpcCode::kUnavailable, "etcdserver: no leader"},
    {kNotLeader, GrpcCode::kFailedPrecondition, "etcdserver: not leader"},
    {kLeaderChanged, GrpcCode::kUnavailable, "etcdserver: leader changed"},
    {kNotCapable, GrpcCode::kFailedPrecondition, "etcdserver: not capable"},
    {kStopped, GrpcCode::kUnavailable, "etcdserver: server stopped"},
    {kTimeout, GrpcCode::kUnavailable, "etcdserver: request timed out"},
    {kTimeoutLeaderFailure, GrpcCode::kUnavailable,
     "etcdserver: request timed out, possibly due to previous leader failure"},
    {kTimeoutConnectionLost, GrpcCode::kUnavailable,
     "etcdserver: request timed out, possibly due to connection lost"},
    {kTimeoutWaitApplied, GrpcCode::kUnavailable,
     "etcdserver: request timed out, waiting for the applied index took too long"},
    {kUnhealthy, GrpcCode::kUnavailable, "etcdserver: unhealthy cluster"},
    {kCorruptCluster, GrpcCode::kDataLoss, "etcdserver: corrupt cluster"},
    {kNotSupportedForLearner, GrpcCode::kFailedPrecondition,
     "etcdserver: rpc not supported for learner"},
    {kBadLeaderTransferee, GrpcCode::kFailedPrecondition, "etcdserver: bad leader transferee"},
    {kWrongDowngradeFormat, GrpcCode::kInvalidArgument,
     "etcdserver: wrong downgrade target version format"},
    {kInvalidDowngradeTarget, GrpcCode::kInvalidArgument,
     "etcdserver: invalid downgrade target version"},
    {kNoClusterVersion, GrpcCode::kFailedPrecondition,
     "etcdserver: cluster version not found during downgrade"},
    {kDowngradeInProgress, GrpcCode::kFailedPrecondition,
     "etcdserver: cluster has a downgrade job in progress"},
    {kNoInflightDowngrade, GrpcCode::kFailedPrecondition, "etcdserver: no inflight downgrade job"},
    {kRequestCanceled, GrpcCode::kCancelled, "etcdserver: request canceled"},
    {kRequestDeadline, GrpcCode::kDeadlineExceeded, "etcdserver: context deadline exceeded"},
    {kRangeStreamSort, GrpcCode::kUnimplemented, "RangeStream does not support custom sort orders"},
    {kRangeStreamRevisionFilter, GrpcCode::kUnimplemented,
     "RangeStream does not support revision filters"},
    {kTimeoutLeaderTransfer, GrpcCode::kUnknown,
     "etcdserver: request timed out, leader transfer took too long"},
    {kUnknownMethod, GrpcCode::kUnknown, "etcdserver: unknown method"},
};

TEST(Errors, EveryRowIsTheReferencesCodeAndText) {
  std::set<std::string_view> texts;
  auto code = static_cast<int>(kEmptyKey);
  for (const ErrorRow& expected : kReference) {
    ASSERT_EQ(static_cast<int>(expected.code), code++) << expected.text << ": a row is missing";
    const ErrorRow* row = FindErrorRow(expected.code);
    ASSERT_NE(row, nullptr) << expected.text;
    EXPECT_EQ(row->code, expected.code) << expected.text;
    EXPECT_EQ(row->grpc, expected.grpc) << expected.text;
    EXPECT_EQ(row->text, expected.text);
    EXPECT_TRUE(texts.insert(row->text).second) << "twice: " << row->text;
  }
  EXPECT_EQ(FindErrorRow(static_cast<ErrorCode>(code)), nullptr) << "a row the reference lacks";
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
