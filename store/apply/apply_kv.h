// SPDX-License-Identifier: Apache-2.0
// Put, DeleteRange and Compact: as commands of their own, and the two writes as operations of a
// transaction. They keep leases and keys attached to each other. The request's key and value are
// moved out, so that the bytes are shared by engine batch, events and watchers without a copy.
// Apply thread only.
#pragma once

#include "store/apply/scope.h"
#include "store/mvcc/write_txn.h"

#include <etcd/rpc.pb.h>

namespace store::apply {

Result<CallResult> ApplyPut(CommandScope& scope, etcdserverpb::PutRequest& request);
Result<CallResult> ApplyDeleteRange(CommandScope& scope,
                                    const etcdserverpb::DeleteRangeRequest& request);
Result<CallResult> ApplyCompaction(CommandScope& scope,
                                   const etcdserverpb::CompactionRequest& request);

// Into an open transaction; `response` may be null. What can be refused was checked before. An
// error is a failure of this member.
Status PutInto(CommandScope& scope, mvcc::WriteTxn& txn, etcdserverpb::PutRequest& request,
               etcdserverpb::PutResponse* response);
Status DeleteInto(CommandScope& scope, mvcc::WriteTxn& txn,
                  const etcdserverpb::DeleteRangeRequest& request,
                  etcdserverpb::DeleteRangeResponse* response);
// One key of a revoked lease, whose item rows the caller removes.
void DeleteLeasedKey(CommandScope& scope, mvcc::WriteTxn& txn, std::string_view key);

}  // namespace store::apply
