// SPDX-License-Identifier: Apache-2.0
#include "store/api/validate.h"

#include "store/apply/convert.h"
#include "store/base/key_range.h"

#include <algorithm>
#include <map>
#include <set>
#include <string>

namespace store::api {
namespace {

using etcdserverpb::RangeRequest;
using etcdserverpb::RequestOp;
using etcdserverpb::TxnRequest;
using Branch = google::protobuf::RepeatedPtrField<RequestOp>;

// A union of key ranges, kept disjoint, so that a look-up is one step.
class RangeUnion {
 public:
  void Add(const KeyRange& range) {
    if (range.Empty()) return;
    std::string from = range.from;
    std::string to = range.to;
    bool unbounded = range.unbounded;
    auto at = rows_.upper_bound(from);
    if (at != rows_.begin() && Reaches(*std::prev(at), from)) --at;
    while (at != rows_.end() && (unbounded || at->first <= to)) {
      from = std::min(from, at->first);
      unbounded = unbounded || at->second.unbounded;
      to = std::max(to, at->second.to);
      at = rows_.erase(at);
    }
    rows_[std::move(from)] = {std::move(to), unbounded};
  }
  void Add(const RangeUnion& other) {
    for (const auto& [from, end] : other.rows_) Add(KeyRange{from, end.to, end.unbounded});
  }
  bool Contains(const std::string& key) const {
    auto at = rows_.upper_bound(key);
    if (at == rows_.begin()) return false;
    const End& end = std::prev(at)->second;
    return end.unbounded || key < end.to;
  }

 private:
  struct End {
    std::string to;
    bool unbounded = false;
  };
  static bool Reaches(const std::pair<const std::string, End>& row, const std::string& key) {
    return row.second.unbounded || key <= row.second.to;
  }
  std::map<std::string, End> rows_;  // by from
};

// What a branch changes, nested transactions included.
struct Changes {
  std::set<std::string> puts;
  RangeUnion deletes;
};

Status CheckOverlaps(const Branch& branch, Changes* changes);

// `puts` of one half of a nested transaction, against what the branch around it does. A key that
// `sibling`, the other half of the same transaction, puts too is fine: only one of the two will
// run.
Status MergePuts(const std::set<std::string>& puts, const std::set<std::string>* sibling,
                 Changes* changes) {
  for (const std::string& key : puts) {
    bool known = changes->puts.count(key) > 0;
    if (known && (sibling == nullptr || sibling->count(key) == 0)) {
      return Fail(ErrorCode::kDuplicateKey);
    }
    if (changes->deletes.Contains(key)) return Fail(ErrorCode::kDuplicateKey);
  }
  changes->puts.insert(puts.begin(), puts.end());
  return Ok();
}

Status MergeNested(const TxnRequest& nested, Changes* changes) {
  Changes success;
  Changes failure;
  RETURN_IF_ERROR(CheckOverlaps(nested.success(), &success));
  RETURN_IF_ERROR(CheckOverlaps(nested.failure(), &failure));
  RETURN_IF_ERROR(MergePuts(success.puts, nullptr, changes));
  RETURN_IF_ERROR(MergePuts(failure.puts, &success.puts, changes));
  changes->deletes.Add(success.deletes);
  changes->deletes.Add(failure.deletes);
  return Ok();
}

// Deletes of this level first, so that puts of nested transactions are held against them too.
Status CheckOverlaps(const Branch& branch, Changes* changes) {
  for (const RequestOp& op : branch) {
    if (op.has_request_delete_range()) {
      changes->deletes.Add(apply::RangeOf(op.request_delete_range()));
    }
  }
  for (const RequestOp& op : branch) {
    if (op.has_request_txn()) RETURN_IF_ERROR(MergeNested(op.request_txn(), changes));
  }
  for (const RequestOp& op : branch) {
    if (!op.has_request_put()) continue;
    const std::string& key = op.request_put().key();
    if (changes->deletes.Contains(key) || !changes->puts.insert(key).second) {
      return Fail(ErrorCode::kDuplicateKey);
    }
  }
  return Ok();
}

Status CheckTxnOps(const TxnRequest& request, size_t ops_max);

Status CheckOp(const RequestOp& op, size_t ops_max) {
  switch (op.request_case()) {
    case RequestOp::kRequestRange:
      return CheckRange(op.request_range());
    case RequestOp::kRequestPut:
      return CheckPut(apply::FieldsOf(op.request_put()));
    case RequestOp::kRequestDeleteRange:
      return CheckDeleteRange(op.request_delete_range());
    case RequestOp::kRequestTxn:
      return CheckTxnOps(op.request_txn(), ops_max);
    case RequestOp::REQUEST_NOT_SET:
      break;
  }
  return Fail(ErrorCode::kKeyNotFound);
}

// A nested transaction has what its parent's largest list leaves of the allowance.
Status CheckTxnOps(const TxnRequest& request, size_t ops_max) {
  auto ops = static_cast<size_t>(
      std::max({request.compare_size(), request.success_size(), request.failure_size()}));
  if (ops > ops_max) return Fail(ErrorCode::kTooManyOps);
  for (const etcdserverpb::Compare& compare : request.compare()) {
    if (compare.key().empty()) return Fail(ErrorCode::kEmptyKey);
  }
  for (const RequestOp& op : request.success()) RETURN_IF_ERROR(CheckOp(op, ops_max - ops));
  for (const RequestOp& op : request.failure()) RETURN_IF_ERROR(CheckOp(op, ops_max - ops));
  return Ok();
}

}  // namespace

Status CheckRange(const RangeRequest& request) {
  if (request.key().empty()) return Fail(ErrorCode::kEmptyKey);
  if (!RangeRequest::SortOrder_IsValid(request.sort_order()) ||
      !RangeRequest::SortTarget_IsValid(request.sort_target())) {
    return Fail(ErrorCode::kInvalidSortOption);
  }
  return Ok();
}

Status CheckRangeStream(const RangeRequest& request) {
  RETURN_IF_ERROR(CheckRange(request));
  bool key_order =
      request.sort_order() == RangeRequest::NONE ||
      (request.sort_order() == RangeRequest::ASCEND && request.sort_target() == RangeRequest::KEY);
  if (!key_order) return Fail(ErrorCode::kRangeStreamSort);
  if (request.min_mod_revision() != 0 || request.max_mod_revision() != 0 ||
      request.min_create_revision() != 0 || request.max_create_revision() != 0) {
    return Fail(ErrorCode::kRangeStreamRevisionFilter);
  }
  return Ok();
}

Status CheckPut(const apply::PutFields& put) {
  if (put.key.empty()) return Fail(ErrorCode::kEmptyKey);
  if (put.ignore_value && !put.value.empty()) return Fail(ErrorCode::kValueProvided);
  if (put.ignore_lease && put.lease) return Fail(ErrorCode::kLeaseProvided);
  return Ok();
}

Status CheckDeleteRange(const etcdserverpb::DeleteRangeRequest& request) {
  if (request.key().empty()) return Fail(ErrorCode::kEmptyKey);
  return Ok();
}

Status CheckTxn(const TxnRequest& request, size_t ops_max) {
  RETURN_IF_ERROR(CheckTxnOps(request, ops_max));
  Changes success;
  RETURN_IF_ERROR(CheckOverlaps(request.success(), &success));
  Changes failure;
  return CheckOverlaps(request.failure(), &failure);
}

}  // namespace store::api
