// SPDX-License-Identifier: Apache-2.0
#include "store/apply/apply_kv.h"

#include "store/apply/apply_lease.h"
#include "store/apply/convert.h"
#include "store/base/key_range.h"
#include "store/mvcc/record.h"

#include <memory>
#include <utility>

namespace store::apply {
namespace {

using etcdserverpb::DeleteRangeRequest;
using etcdserverpb::DeleteRangeResponse;
using etcdserverpb::PutRequest;
using etcdserverpb::PutResponse;

bool KeepsSomething(const PutRequest& request) {
  return request.ignore_value() || request.ignore_lease();
}

Status CheckPut(const CommandScope& scope, const mvcc::WriteTxn& txn, const PutRequest& request) {
  LeaseId lease(request.lease());
  if (lease && !scope.leases.table().Contains(lease)) return Fail(ErrorCode::kLeaseNotFound);
  if (KeepsSomething(request) && !txn.Lookup(request.key())) return Fail(ErrorCode::kKeyNotFound);
  return Ok();
}

// What the request says to keep comes from the key as it is. A key that an earlier operation of the
// same transaction deleted has nothing to keep; the edge refuses such transactions.
Status KeepOld(const mvcc::WriteTxn& txn, const PutRequest& request, SharedBytes* value,
               LeaseId* lease) {
  auto before = txn.Lookup(request.key());
  if (!before) return Ok();
  if (request.ignore_lease()) *lease = before->lease;
  if (!request.ignore_value()) return Ok();
  auto old = txn.Value(*before);
  RETURN_IF_ERROR(old);
  *value = std::move(*old);
  return Ok();
}

Status AddPrevious(const mvcc::WriteTxn& txn, const SharedBytes& key, const mvcc::KeyFacts& facts,
                   mvccpb::KeyValue* to) {
  auto previous = txn.Load(key, facts);
  RETURN_IF_ERROR(previous);
  ToProto(*previous, to);
  return Ok();
}

}  // namespace

Status PutInto(CommandScope& scope, mvcc::WriteTxn& txn, PutRequest& request,
               PutResponse* response) {
  SharedBytes value;
  LeaseId lease(request.lease());
  if (KeepsSomething(request)) RETURN_IF_ERROR(KeepOld(txn, request, &value, &lease));
  if (!request.ignore_value()) value = SharedBytes::Of(std::move(*request.mutable_value()));
  SharedBytes key = SharedBytes::Of(std::move(*request.mutable_key()));
  scope.bytes_written += mvcc::RecordBytes(key.size(), value.size());
  mvcc::PutOutcome outcome = txn.Put(key, std::move(value), lease);
  LeaseId old_lease = outcome.before ? outcome.before->lease : LeaseId();
  scope.leases.Move(key, old_lease, lease, scope.batch);
  if (response != nullptr && request.prev_kv() && outcome.before) {
    RETURN_IF_ERROR(AddPrevious(txn, key, *outcome.before, response->mutable_prev_kv()));
  }
  return Ok();
}

Status DeleteInto(CommandScope& scope, mvcc::WriteTxn& txn, const DeleteRangeRequest& request,
                  DeleteRangeResponse* response) {
  std::vector<mvcc::DeletedKey> deleted = txn.DeleteRange(RangeOf(request));
  for (const mvcc::DeletedKey& key : deleted) {
    scope.bytes_written += mvcc::RecordBytes(key.key.size(), 0);
    scope.leases.Move(key.key, key.before.lease, LeaseId(), scope.batch);
  }
  if (response == nullptr) return Ok();
  response->set_deleted(static_cast<int64_t>(deleted.size()));
  if (!request.prev_kv()) return Ok();
  for (const mvcc::DeletedKey& key : deleted) {
    RETURN_IF_ERROR(AddPrevious(txn, key.key, key.before, response->add_prev_kvs()));
  }
  return Ok();
}

void DeleteLeasedKey(CommandScope& scope, mvcc::WriteTxn& txn, std::string_view key) {
  for (const mvcc::DeletedKey& deleted : txn.DeleteRange(KeyRange::Point(key))) {
    scope.bytes_written += mvcc::RecordBytes(deleted.key.size(), 0);
  }
}

Result<CallResult> ApplyPut(CommandScope& scope, PutRequest& request) {
  mvcc::WriteTxn txn = scope.store.Begin(scope.batch);
  RETURN_IF_ERROR(CheckPut(scope, txn, request));
  std::unique_ptr<PutResponse> response;
  if (scope.answer && request.prev_kv()) response = std::make_unique<PutResponse>();
  Status put = PutInto(scope, txn, request, response.get());
  CallResult result = Done(txn.Commit());
  RETURN_IF_ERROR(put);
  result.response = std::move(response);
  return result;
}

Result<CallResult> ApplyDeleteRange(CommandScope& scope, const DeleteRangeRequest& request) {
  mvcc::WriteTxn txn = scope.store.Begin(scope.batch);
  std::unique_ptr<DeleteRangeResponse> response;
  if (scope.answer) response = std::make_unique<DeleteRangeResponse>();
  Status deleted = DeleteInto(scope, txn, request, response.get());
  CallResult result = Done(txn.Commit());
  RETURN_IF_ERROR(deleted);
  result.response = std::move(response);
  return result;
}

Result<CallResult> ApplyCompaction(CommandScope& scope,
                                   const etcdserverpb::CompactionRequest& request) {
  Status compacted = scope.store.Compact(Revision(request.revision()), scope.batch);
  CallResult result = Done(scope.store.pending_current());
  if (!compacted) {
    if (!IsAnswer(compacted.error().code())) return Fail(std::move(compacted).error());
    result.error = compacted.error().code();
  }
  // Also when this revision is compacted already: the collection may still be under way.
  if (request.physical() && result.error != ErrorCode::kFutureRevision) {
    result.wait_collected = scope.store.pending_compacted();
  }
  return result;
}

}  // namespace store::apply
