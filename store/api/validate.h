// SPDX-License-Identifier: Apache-2.0
// Checks of a request that need no state: what a request must hold to be looked at at all, in
// etcd's order, because a request with two faults must name the same one. Pure functions, any
// thread; linear in the request.
#pragma once

#include "store/apply/put_command.h"
#include "store/base/error.h"

#include <etcd/rpc.pb.h>

#include <cstddef>

namespace store::api {

Status CheckRange(const etcdserverpb::RangeRequest& request);
// Also what only RangeStream refuses.
Status CheckRangeStream(const etcdserverpb::RangeRequest& request);
Status CheckPut(const apply::PutFields& put);
Status CheckDeleteRange(const etcdserverpb::DeleteRangeRequest& request);
// Number of operations first, then each key, then puts that meet another put or a delete of their
// branch.
Status CheckTxn(const etcdserverpb::TxnRequest& request, size_t ops_max);

}  // namespace store::api
