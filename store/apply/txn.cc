// SPDX-License-Identifier: Apache-2.0
#include "store/apply/txn.h"

#include "store/apply/apply_kv.h"
#include "store/apply/apply_lease.h"
#include "store/apply/compare.h"
#include "store/apply/convert.h"
#include "store/base/check.h"

#include <algorithm>
#include <utility>
#include <vector>

namespace store::apply {
namespace {

using etcdserverpb::PutRequest;
using etcdserverpb::RangeRequest;
using etcdserverpb::RequestOp;
using etcdserverpb::ResponseOp;
using etcdserverpb::TxnRequest;
using etcdserverpb::TxnResponse;
using Branch = google::protobuf::RepeatedPtrField<RequestOp>;

// Whether compares held, for each transaction on the taken path, parents before children in order.
using Path = std::vector<bool>;

const Branch& Taken(const TxnRequest& request, bool held) {
  return held ? request.success() : request.failure();
}

Status ChoosePath(const ReadSource& source, const TxnRequest& request, Path* path) {
  bool held = true;
  for (const etcdserverpb::Compare& compare : request.compare()) {
    auto holds = Holds(source, compare);
    RETURN_IF_ERROR(holds);
    held = *holds;
    if (!held) break;
  }
  path->push_back(held);
  for (const RequestOp& op : Taken(request, held)) {
    if (op.has_request_txn()) RETURN_IF_ERROR(ChoosePath(source, op.request_txn(), path));
  }
  return Ok();
}

// One pass over the operations on a path; `next` is the place of the coming transaction in it.
template <class Check>
  requires std::is_invocable_r_v<Status, Check, const RequestOp&>
Status CheckOps(const TxnRequest& request, const Path& path, size_t* next, const Check& check) {
  for (const RequestOp& op : Taken(request, path[(*next)++])) {
    if (op.has_request_txn()) {
      RETURN_IF_ERROR(CheckOps(op.request_txn(), path, next, check));
    } else {
      RETURN_IF_ERROR(check(op));
    }
  }
  return Ok();
}

// The lease before the key, as for a put alone.
Status CheckPut(const ReadSource& source, const Leases& leases, const PutRequest& put) {
  LeaseId lease(put.lease());
  if (lease && !leases.table().Contains(lease)) return Fail(ErrorCode::kLeaseNotFound);
  bool keeps = put.ignore_value() || put.ignore_lease();
  if (keeps && !source.Lookup(put.key())) return Fail(ErrorCode::kKeyNotFound);
  return Ok();
}

Status CheckRevision(const ReadSource& source, const RangeRequest& range) {
  return source.CheckRevision(Revision(range.revision()));
}

// In the order of the operations: the first that cannot be done is told (3.4: puts first).
Status CheckTaken(const ReadSource& source, const Leases& leases, const TxnRequest& request,
                  const Path& path) {
  size_t next = 0;
  return CheckOps(request, path, &next, [&](const RequestOp& op) -> Status {
    if (op.has_request_put()) return CheckPut(source, leases, op.request_put());
    if (op.has_request_range()) return CheckRevision(source, op.request_range());
    return Ok();
  });
}

Status RangeInto(const ReadSource& source, const RangeRequest& request,
                 etcdserverpb::RangeResponse* response) {
  auto result = source.Range(ToQuery(request));
  RETURN_IF_ERROR(result);
  ToProto(*result, response);
  response->mutable_header()->set_revision(result->current.value());
  return Ok();
}

// Step 3. Responses have the shape of the request; without a waiting caller there are none.
class Execution {
 public:
  Execution(CommandScope& scope, mvcc::WriteTxn& txn, const Path& path)
      : scope_(scope), txn_(txn), path_(path) {}

  Status Run(TxnRequest& request, TxnResponse* response) {
    CHECK(next_ < path_.size());
    bool held = path_[next_++];
    if (response != nullptr) response->set_succeeded(held);
    for (RequestOp& op : *(held ? request.mutable_success() : request.mutable_failure())) {
      RETURN_IF_ERROR(RunOp(op, response == nullptr ? nullptr : response->add_responses()));
    }
    return Ok();
  }

 private:
  Status RunOp(RequestOp& op, ResponseOp* response) {
    switch (op.request_case()) {
      case RequestOp::kRequestRange:
        return Range(op.request_range(), response);
      case RequestOp::kRequestPut:
        return Put(*op.mutable_request_put(), response);
      case RequestOp::kRequestDeleteRange:
        return Delete(op.request_delete_range(), response);
      case RequestOp::kRequestTxn:
        return Nested(*op.mutable_request_txn(), response);
      case RequestOp::REQUEST_NOT_SET:
        return Ok();  // refused by the edge
    }
    return Ok();
  }

  Status Range(const RangeRequest& request, ResponseOp* response) {
    if (response == nullptr) return Ok();
    return RangeInto(TxnSource(txn_), request, response->mutable_response_range());
  }

  Status Put(PutRequest& request, ResponseOp* response) {
    if (response == nullptr) return PutInto(scope_, txn_, TakePut(request), nullptr);
    auto* put = response->mutable_response_put();
    RETURN_IF_ERROR(PutInto(scope_, txn_, TakePut(request), put));
    put->mutable_header()->set_revision(txn_.now().value());
    return Ok();
  }

  Status Delete(const etcdserverpb::DeleteRangeRequest& request, ResponseOp* response) {
    if (response == nullptr) return DeleteInto(scope_, txn_, request, nullptr);
    auto* deleted = response->mutable_response_delete_range();
    RETURN_IF_ERROR(DeleteInto(scope_, txn_, request, deleted));
    deleted->mutable_header()->set_revision(txn_.now().value());
    return Ok();
  }

  Status Nested(TxnRequest& request, ResponseOp* response) {
    if (response == nullptr) return Run(request, nullptr);
    TxnResponse* nested = response->mutable_response_txn();
    nested->mutable_header();  // present and empty, as clients of etcd see it
    return Run(request, nested);
  }

  CommandScope& scope_;
  mvcc::WriteTxn& txn_;
  const Path& path_;
  size_t next_ = 0;
};

}  // namespace

bool IsReadOnlyTxn(const TxnRequest& request) {
  auto is_range = [](const RequestOp& op) { return op.has_request_range(); };
  return std::all_of(request.success().begin(), request.success().end(), is_range) &&
         std::all_of(request.failure().begin(), request.failure().end(), is_range);
}

bool IsSerializableTxn(const TxnRequest& request) {
  auto is_serializable = [](const RequestOp& op) {
    return op.has_request_range() && op.request_range().serializable();
  };
  return std::all_of(request.success().begin(), request.success().end(), is_serializable) &&
         std::all_of(request.failure().begin(), request.failure().end(), is_serializable);
}

Result<std::unique_ptr<TxnResponse>> EvaluateReadOnlyTxn(const mvcc::ReadView& view,
                                                         const TxnRequest& request) {
  return EvaluateReadOnlyTxn(ViewSource(view), request);
}

Result<std::unique_ptr<TxnResponse>> EvaluateReadOnlyTxn(const ReadSource& source,
                                                         const TxnRequest& request) {
  Path path;
  RETURN_IF_ERROR(ChoosePath(source, request, &path));
  for (const RequestOp& op : Taken(request, path.front())) {
    CHECK(op.has_request_range(), "not a read-only transaction");
    RETURN_IF_ERROR(CheckRevision(source, op.request_range()));
  }
  auto response = std::make_unique<TxnResponse>();
  response->set_succeeded(path.front());
  for (const RequestOp& op : Taken(request, path.front())) {
    ResponseOp* answer = response->add_responses();
    RETURN_IF_ERROR(RangeInto(source, op.request_range(), answer->mutable_response_range()));
  }
  return response;
}

Result<CallResult> ApplyTxn(CommandScope& scope, TxnRequest& request) {
  mvcc::WriteTxn txn = scope.store.Begin(scope.batch);
  TxnSource before(txn);
  Path path;
  RETURN_IF_ERROR(ChoosePath(before, request, &path));
  RETURN_IF_ERROR(CheckTaken(before, scope.leases, request, path));
  scope.store.CountTxn(request.compare_size() + Taken(request, path.front()).size());
  std::unique_ptr<TxnResponse> response;
  if (scope.answer) response = std::make_unique<TxnResponse>();
  Status executed = Execution(scope, txn, path).Run(request, response.get());
  CallResult result = Done(txn.Commit());
  RETURN_IF_ERROR(executed);
  result.response = std::move(response);
  return result;
}

}  // namespace store::apply
