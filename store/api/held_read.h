// SPDX-License-Identifier: Apache-2.0
// Reads that are too long for a loop, on a pool thread: at one held revision, entering the newest
// root every 64 keys, so that neither apply nor the memory of replaced index nodes waits for them.
// A read of the newest revision whose view was cancelled (an install of a snapshot cancels all) is
// tried once more, as the newest revision is another one then; one of a revision that the client
// named fails with kCompacted. Free functions, any thread; bounded by the queue of the pool.
#pragma once

#include "store/api/service_context.h"
#include "store/base/error.h"
#include "store/mvcc/range.h"
#include "store/rpc/call.h"

#include <etcd/rpc.pb.h>

namespace store::api {

Result<rpc::MessageBody> ReadHeldRange(const ServiceContext& context,
                                       const mvcc::RangeQuery& query);

// All compares, and all ranges without a revision, see one revision: the header's.
Result<rpc::MessageBody> ReadHeldTxn(const ServiceContext& context,
                                     const etcdserverpb::TxnRequest& request);

}  // namespace store::api
