// SPDX-License-Identifier: Apache-2.0
#include "store/base/error.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <system_error>

namespace store {
namespace {

struct CodeName {
  ErrorCode code;
  std::string_view name;
};

// In the order of the enumeration, which is sorted: Name searches by bisection.
constexpr CodeName kNames[] = {
    {ErrorCode::kOk, "ok"},
    {ErrorCode::kIo, "io"},
    {ErrorCode::kNoSpace, "no_space"},
    {ErrorCode::kCorruption, "corruption"},
    {ErrorCode::kNotFound, "not_found"},
    {ErrorCode::kInvalidArgument, "invalid_argument"},
    {ErrorCode::kUnsupported, "unsupported"},
    {ErrorCode::kAlreadyExists, "already_exists"},
    {ErrorCode::kBusy, "busy"},
    {ErrorCode::kCancelled, "cancelled"},
    {ErrorCode::kDeadlineExceeded, "deadline_exceeded"},
    {ErrorCode::kUnavailable, "unavailable"},
    {ErrorCode::kInternal, "internal"},
    {ErrorCode::kEmptyKey, "empty_key"},
    {ErrorCode::kKeyNotFound, "key_not_found"},
    {ErrorCode::kValueProvided, "value_provided"},
    {ErrorCode::kLeaseProvided, "lease_provided"},
    {ErrorCode::kTooManyOps, "too_many_ops"},
    {ErrorCode::kDuplicateKey, "duplicate_key"},
    {ErrorCode::kInvalidClientApiVersion, "invalid_client_api_version"},
    {ErrorCode::kInvalidSortOption, "invalid_sort_option"},
    {ErrorCode::kCompacted, "compacted"},
    {ErrorCode::kFutureRevision, "future_revision"},
    {ErrorCode::kSpaceExceeded, "space_exceeded"},
    {ErrorCode::kLeaseNotFound, "lease_not_found"},
    {ErrorCode::kLeaseExists, "lease_exists"},
    {ErrorCode::kLeaseTtlTooLarge, "lease_ttl_too_large"},
    {ErrorCode::kWatchCanceled, "watch_canceled"},
    {ErrorCode::kMemberExists, "member_exists"},
    {ErrorCode::kPeerUrlExists, "peer_url_exists"},
    {ErrorCode::kMemberNotEnoughStarted, "member_not_enough_started"},
    {ErrorCode::kMemberBadUrls, "member_bad_urls"},
    {ErrorCode::kMemberNotFound, "member_not_found"},
    {ErrorCode::kMemberNotLearner, "member_not_learner"},
    {ErrorCode::kMemberLearnerNotReady, "member_learner_not_ready"},
    {ErrorCode::kTooManyLearners, "too_many_learners"},
    {ErrorCode::kClusterIdMismatch, "cluster_id_mismatch"},
    {ErrorCode::kRequestTooLarge, "request_too_large"},
    {ErrorCode::kTooManyRequests, "too_many_requests"},
    {ErrorCode::kRootUserNotExist, "root_user_not_exist"},
    {ErrorCode::kRootRoleNotExist, "root_role_not_exist"},
    {ErrorCode::kUserAlreadyExists, "user_already_exists"},
    {ErrorCode::kUserEmpty, "user_empty"},
    {ErrorCode::kUserNotFound, "user_not_found"},
    {ErrorCode::kRoleAlreadyExists, "role_already_exists"},
    {ErrorCode::kRoleNotFound, "role_not_found"},
    {ErrorCode::kRoleEmpty, "role_empty"},
    {ErrorCode::kAuthFailed, "auth_failed"},
    {ErrorCode::kPermissionNotGiven, "permission_not_given"},
    {ErrorCode::kPermissionDenied, "permission_denied"},
    {ErrorCode::kRoleNotGranted, "role_not_granted"},
    {ErrorCode::kPermissionNotGranted, "permission_not_granted"},
    {ErrorCode::kAuthNotEnabled, "auth_not_enabled"},
    {ErrorCode::kInvalidAuthToken, "invalid_auth_token"},
    {ErrorCode::kInvalidAuthManagement, "invalid_auth_management"},
    {ErrorCode::kAuthOldRevision, "auth_old_revision"},
    {ErrorCode::kNoLeader, "no_leader"},
    {ErrorCode::kNotLeader, "not_leader"},
    {ErrorCode::kLeaderChanged, "leader_changed"},
    {ErrorCode::kNotCapable, "not_capable"},
    {ErrorCode::kStopped, "stopped"},
    {ErrorCode::kTimeout, "timeout"},
    {ErrorCode::kTimeoutLeaderFailure, "timeout_leader_failure"},
    {ErrorCode::kTimeoutConnectionLost, "timeout_connection_lost"},
    {ErrorCode::kTimeoutWaitApplied, "timeout_wait_applied"},
    {ErrorCode::kUnhealthy, "unhealthy"},
    {ErrorCode::kCorruptCluster, "corrupt_cluster"},
    {ErrorCode::kNotSupportedForLearner, "not_supported_for_learner"},
    {ErrorCode::kBadLeaderTransferee, "bad_leader_transferee"},
    {ErrorCode::kWrongDowngradeFormat, "wrong_downgrade_format"},
    {ErrorCode::kInvalidDowngradeTarget, "invalid_downgrade_target"},
    {ErrorCode::kNoClusterVersion, "no_cluster_version"},
    {ErrorCode::kDowngradeInProgress, "downgrade_in_progress"},
    {ErrorCode::kNoInflightDowngrade, "no_inflight_downgrade"},
    {ErrorCode::kRequestCanceled, "request_canceled"},
    {ErrorCode::kRequestDeadline, "request_deadline"},
    {ErrorCode::kRangeStreamSort, "range_stream_sort"},
    {ErrorCode::kRangeStreamRevisionFilter, "range_stream_revision_filter"},
    {ErrorCode::kTimeoutLeaderTransfer, "timeout_leader_transfer"},
    {ErrorCode::kUnknownMethod, "unknown_method"},
};
static_assert(std::ranges::is_sorted(kNames, {}, &CodeName::code));

}  // namespace

std::string_view Name(ErrorCode code) {
  const auto* row = std::ranges::lower_bound(kNames, code, {}, &CodeName::code);
  return row != std::end(kNames) && row->code == code ? row->name : "unknown";
}

std::string Error::ToString() const {
  if (message_.empty()) return std::string(Name(code_));
  return fmt::format("{}: {}", Name(code_), message_);
}

Error Error::WithContext(std::string_view context) const {
  return Error(code_, fmt::format("{}: {}", context, message_));
}

Error ErrnoError(int error_number, std::string_view what) {
  ErrorCode code = ErrorCode::kIo;
  if (error_number == ENOSPC || error_number == EDQUOT) code = ErrorCode::kNoSpace;
  if (error_number == ENOENT) code = ErrorCode::kNotFound;
  return Error(code, fmt::format("{}: {}", what,
                                 std::error_code(error_number, std::generic_category()).message()));
}

}  // namespace store
