// SPDX-License-Identifier: Apache-2.0
// Expected failures: Result<T> and Status carry an Error, which is a code and one sentence that
// says what, where and what to do. Codes name kinds of failure; those a client of the store can see
// are rows of the table in store/api/errors.h, which alone knows their gRPC codes and exact texts.
// Value types, any thread.
#pragma once

#include <tl/expected.hpp>

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

namespace store {

enum class ErrorCode : uint16_t {
  kOk = 0,

  // Environment and formats.
  kIo,               // write, fsync, rename, read: fatal for whoever owns the file
  kNoSpace,          // the disk is full
  kCorruption,       // bytes that fail their checksum or cannot be what they claim
  kNotFound,         // file, name or row is not there
  kInvalidArgument,  // a value given by a person or a program, with the reason in the message
  kUnsupported,      // a newer format or an unknown method
  kAlreadyExists,
  kBusy,  // held by another process
  kCancelled,
  kDeadlineExceeded,
  kUnavailable,  // peer or broker cannot be reached; worth a retry
  kInternal,

  // Client-visible rows (texts: store/api/errors.cc).
  kEmptyKey = 100,
  kKeyNotFound,
  kValueProvided,
  kLeaseProvided,
  kTooManyOps,
  kDuplicateKey,
  kInvalidClientApiVersion,
  kInvalidSortOption,
  kCompacted,
  kFutureRevision,
  kSpaceExceeded,
  kLeaseNotFound,
  kLeaseExists,
  kLeaseTtlTooLarge,
  kWatchCanceled,
  kMemberExists,
  kPeerUrlExists,
  kMemberNotEnoughStarted,
  kMemberBadUrls,
  kMemberNotFound,
  kMemberNotLearner,
  kMemberLearnerNotReady,
  kTooManyLearners,
  kClusterIdMismatch,
  kRequestTooLarge,
  kTooManyRequests,
  kRootUserNotExist,
  kRootRoleNotExist,
  kUserAlreadyExists,
  kUserEmpty,
  kUserNotFound,
  kRoleAlreadyExists,
  kRoleNotFound,
  kRoleEmpty,
  kAuthFailed,
  kPermissionNotGiven,
  kPermissionDenied,
  kRoleNotGranted,
  kPermissionNotGranted,
  kAuthNotEnabled,
  kInvalidAuthToken,
  kInvalidAuthManagement,
  kAuthOldRevision,
  kNoLeader,
  kNotLeader,
  kLeaderChanged,
  kNotCapable,
  kStopped,
  kTimeout,
  kTimeoutLeaderFailure,
  kTimeoutConnectionLost,
  kTimeoutWaitApplied,
  kUnhealthy,
  kCorruptCluster,
  kNotSupportedForLearner,
  kBadLeaderTransferee,
  kWrongDowngradeFormat,
  kInvalidDowngradeTarget,
  kNoClusterVersion,
  kDowngradeInProgress,
  kNoInflightDowngrade,
  kRequestCanceled,
  kRequestDeadline,
  kRangeStreamSort,
  kRangeStreamRevisionFilter,
  kTimeoutLeaderTransfer,
  kUnknownMethod,
  // New rows go to the end: members tell each other these numbers.
};

// Stable name for logs, e.g. "kCompacted" -> "compacted".
std::string_view Name(ErrorCode code);

class [[nodiscard]] Error {
 public:
  explicit Error(ErrorCode code, std::string message = {})
      : code_(code), message_(std::move(message)) {}

  ErrorCode code() const { return code_; }
  const std::string& message() const { return message_; }
  // "<name>: <message>", for logs and for people.
  std::string ToString() const;
  // The same error with "<context>: " before its message.
  Error WithContext(std::string_view context) const;

  friend bool operator==(const Error&, const Error&) = default;

 private:
  ErrorCode code_;
  std::string message_;
};

template <class T>
using Result = tl::expected<T, Error>;
using Status = tl::expected<void, Error>;

// return Fail(ErrorCode::kIo, "…"): works in functions that return Result<T> or Status.
[[nodiscard]] inline tl::unexpected<Error> Fail(ErrorCode code, std::string message = {}) {
  return tl::unexpected<Error>(Error(code, std::move(message)));
}
[[nodiscard]] inline tl::unexpected<Error> Fail(Error error) {
  return tl::unexpected<Error>(std::move(error));
}
inline Status Ok() { return {}; }

// Error of errno at a failed system call: "<what>: <strerror>"; ENOSPC and EDQUOT become kNoSpace,
// ENOENT kNotFound, everything else kIo.
Error ErrnoError(int error_number, std::string_view what);

}  // namespace store

// RETURN_IF_ERROR(expression): leaves the function with the error of a Status or Result.
#define RETURN_IF_ERROR(expression)                                            \
  do {                                                                         \
    if (auto&& return_if_error_ = (expression); !return_if_error_) {           \
      return ::tl::unexpected<::store::Error>(                                 \
          std::forward<decltype(return_if_error_)>(return_if_error_).error()); \
    }                                                                          \
  } while (false)
