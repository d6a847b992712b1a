// SPDX-License-Identifier: Apache-2.0
// Transactions. A transaction is decided in three steps, the first two on the state before it:
//   1. compares, also those of nested transactions on the way: which branches are taken;
//   2. everything that can be refused on the taken branches: leases and keys that must exist,
//   revisions of
//      ranges. A refused transaction has no effect;
//   3. the operations, in order; each sees what the earlier ones did.
// What the request alone decides (number of operations, duplicate keys) was refused by the edge.
//
// Read-only transactions never enter the log: the edge evaluates them on a view with the same code.
// Free functions; ApplyTxn on the apply thread, the others on any thread.
#pragma once

#include "store/apply/scope.h"
#include "store/mvcc/read_view.h"

#include <etcd/rpc.pb.h>

#include <memory>

namespace store::apply {

class ReadSource;

// Only ranges in both branches: no write, no nested transaction (a nested one goes through the log
// even if it only reads, as in etcd).
bool IsReadOnlyTxn(const etcdserverpb::TxnRequest& request);
// May be answered from local state without asking the leader: every operation of both branches is a
// serializable range.
bool IsSerializableTxn(const etcdserverpb::TxnRequest& request);

// A read-only transaction; the response has no header of its own. kFutureRevision, kCompacted, or
// an error of the engine.
Result<std::unique_ptr<etcdserverpb::TxnResponse>> EvaluateReadOnlyTxn(
    const mvcc::ReadView& view, const etcdserverpb::TxnRequest& request);
Result<std::unique_ptr<etcdserverpb::TxnResponse>> EvaluateReadOnlyTxn(
    const ReadSource& source, const etcdserverpb::TxnRequest& request);

// Moves keys and values out of the request.
Result<CallResult> ApplyTxn(CommandScope& scope, etcdserverpb::TxnRequest& request);

}  // namespace store::apply
