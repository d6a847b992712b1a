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

bool KeepsSomething(const PutOperation& put) { return put.ignore_value || put.ignore_lease; }

Status CheckPut(const CommandScope& scope, const mvcc::WriteTxn& txn, const PutOperation& put) {
  if (put.lease && !scope.leases.table().Contains(put.lease)) {
    return Fail(ErrorCode::kLeaseNotFound);
  }
  if (KeepsSomething(put) && !txn.Lookup(put.key)) return Fail(ErrorCode::kKeyNotFound);
  return Ok();
}

// What the request says to keep comes from the key as it is. A key that an earlier operation of the
// same transaction deleted has nothing to keep; the edge refuses such transactions.
Status KeepOld(const mvcc::WriteTxn& txn, PutOperation* put) {
  if (put->ignore_value) put->value = SharedBytes();
  auto before = txn.Lookup(put->key);
  if (!before) return Ok();
  if (put->ignore_lease) put->lease = before->lease;
  if (!put->ignore_value) return Ok();
  auto old = txn.Value(*before);
  RETURN_IF_ERROR(old);
  put->value = std::move(*old);
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

PutOperation TakePut(PutRequest& request) {
  return {SharedBytes::Of(std::move(*request.mutable_key())),
          SharedBytes::Of(std::move(*request.mutable_value())),
          LeaseId(request.lease()),
          request.prev_kv(),
          request.ignore_value(),
          request.ignore_lease()};
}

PutOperation SharePut(const PutFields& put, const std::shared_ptr<const void>& owner) {
  return {SharedBytes::Slice(put.key, owner),
          SharedBytes::Slice(put.value, owner),
          put.lease,
          put.prev_kv,
          put.ignore_value,
          put.ignore_lease};
}

Status PutInto(CommandScope& scope, mvcc::WriteTxn& txn, PutOperation put, PutResponse* response) {
  if (KeepsSomething(put)) RETURN_IF_ERROR(KeepOld(txn, &put));
  scope.bytes_written += mvcc::RecordBytes(put.key.size(), put.value.size());
  mvcc::PutOutcome outcome = txn.Put(put.key, std::move(put.value), put.lease);
  LeaseId old_lease = outcome.before ? outcome.before->lease : LeaseId();
  scope.leases.Move(put.key, old_lease, put.lease, scope.batch);
  if (response != nullptr && put.prev_kv && outcome.before) {
    RETURN_IF_ERROR(AddPrevious(txn, put.key, *outcome.before, response->mutable_prev_kv()));
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

Result<CallResult> ApplyPut(CommandScope& scope, PutOperation put) {
  mvcc::WriteTxn txn = scope.store.Begin(scope.batch);
  RETURN_IF_ERROR(CheckPut(scope, txn, put));
  std::unique_ptr<PutResponse> response;
  if (scope.answer && put.prev_kv) response = std::make_unique<PutResponse>();
  Status done = PutInto(scope, txn, std::move(put), response.get());
  CallResult result = Done(txn.Commit());
  RETURN_IF_ERROR(done);
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
