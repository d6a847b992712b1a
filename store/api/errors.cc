// SPDX-License-Identifier: Apache-2.0
#include "store/api/errors.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace store::api {
namespace {

using rpc::GrpcCode;
using enum ErrorCode;

// Unknown where etcd declares another code: its server maps these to the client-side value, which
// carries no gRPC status, so grpc-go sends code 2.
constexpr ErrorRow kRows[] = {
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

constexpr size_t kFirst = static_cast<size_t>(kEmptyKey);
constexpr size_t kCount = static_cast<size_t>(kUnknownMethod) - kFirst + 1;
static_assert(std::size(kRows) == kCount, "each client-visible code has exactly one row");

constexpr std::array<std::string_view, 17> kGoCodeNames = {
    "OK",       "Canceled",       "Unknown",          "InvalidArgument",   "DeadlineExceeded",
    "NotFound", "AlreadyExists",  "PermissionDenied", "ResourceExhausted", "FailedPrecondition",
    "Aborted",  "OutOfRange",     "Unimplemented",    "Internal",          "Unavailable",
    "DataLoss", "Unauthenticated"};

// Rows stand in the order of the codes, so that a look-up is an index.
constexpr bool InOrder() {
  for (size_t i = 0; i < kCount; ++i) {
    if (static_cast<size_t>(kRows[i].code) != kFirst + i) return false;
  }
  return true;
}
static_assert(InOrder());

}  // namespace

const ErrorRow* FindErrorRow(ErrorCode code) {
  auto number = static_cast<size_t>(code);
  if (number < kFirst || number - kFirst >= kCount) return nullptr;
  return &kRows[number - kFirst];
}

rpc::RpcStatus StatusOf(ErrorCode code) {
  if (code == kOk) return {};
  if (const ErrorRow* row = FindErrorRow(code)) return {row->grpc, std::string(row->text)};
  return {GrpcCode::kUnknown, fmt::format("etcdserver: {}", Name(code))};
}

rpc::RpcStatus StatusOf(const Error& error) {
  if (FindErrorRow(error.code()) != nullptr) return StatusOf(error.code());
  return {GrpcCode::kUnknown, fmt::format("etcdserver: {}", error.ToString())};
}

std::string TextOf(const Error& error) { return StatusOf(error).message; }

std::string GoStatusText(ErrorCode code) {
  rpc::RpcStatus status = StatusOf(code);
  return fmt::format("rpc error: code = {} desc = {}",
                     kGoCodeNames[static_cast<size_t>(status.code)], status.message);
}

}  // namespace store::api
