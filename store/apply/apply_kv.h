// SPDX-License-Identifier: Apache-2.0
// Put, DeleteRange and Compact: as commands of their own, and the two writes as operations of a
// transaction. They keep leases and keys attached to each other. The request's key and value are
// moved out, so that the bytes are shared by engine batch, events and watchers without a copy.
// Apply thread only.
#pragma once

#include "store/apply/put_command.h"
#include "store/apply/scope.h"
#include "store/base/bytes.h"
#include "store/mvcc/write_txn.h"

#include <etcd/rpc.pb.h>

#include <memory>
#include <string_view>

namespace store::apply {

// A put whose bytes may be kept: by watchers, as long as they need.
struct PutOperation {
  SharedBytes key;
  SharedBytes value;
  LeaseId lease;
  bool prev_kv = false;
  bool ignore_value = false;
  bool ignore_lease = false;
};
// Takes the bytes out of `request`.
PutOperation TakePut(etcdserverpb::PutRequest& request);
// `owner` keeps the bytes of `put`.
PutOperation SharePut(const PutFields& put, const std::shared_ptr<const void>& owner);

Result<CallResult> ApplyPut(CommandScope& scope, PutOperation put);
Result<CallResult> ApplyDeleteRange(CommandScope& scope,
                                    const etcdserverpb::DeleteRangeRequest& request);
Result<CallResult> ApplyCompaction(CommandScope& scope,
                                   const etcdserverpb::CompactionRequest& request);

// Into an open transaction; `response` may be null. What can be refused was checked before. An
// error is a failure of this member.
Status PutInto(CommandScope& scope, mvcc::WriteTxn& txn, PutOperation put,
               etcdserverpb::PutResponse* response);
Status DeleteInto(CommandScope& scope, mvcc::WriteTxn& txn,
                  const etcdserverpb::DeleteRangeRequest& request,
                  etcdserverpb::DeleteRangeResponse* response);
// One key of a revoked lease, whose item rows the caller removes.
void DeleteLeasedKey(CommandScope& scope, mvcc::WriteTxn& txn, std::string_view key);

}  // namespace store::apply
