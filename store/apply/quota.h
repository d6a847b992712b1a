// SPDX-License-Identifier: Apache-2.0
// Quota: what a request will cost and whether that still fits. Asked twice: by the edge before a
// request is proposed, and by apply, where a write that no longer fits is applied all the same and
// answered with NoSpace, because members must not disagree about a committed entry. Values and free
// functions, any thread.
#pragma once

#include "store/apply/put_command.h"
#include "store_command.pb.h"

#include <cstdint>

namespace store::apply {

// What etcd reckons for a lease; its keys are records of their own.
inline constexpr int64_t kLeaseCost = 64;

// Bytes a request may add; 0 for requests that the quota never refuses.
int64_t CostOf(const etcdserverpb::PutRequest& request);
int64_t CostOf(const PutFields& put);
// The dearer branch, nested transactions included. > 0 exactly when there is a put in it.
int64_t CostOf(const etcdserverpb::TxnRequest& request);
int64_t CostOf(const etcdserverpb::LeaseGrantRequest& request);
int64_t CostOf(const sluice::store::Command& command);

// `quota_bytes` <= 0: no quota.
bool FitsQuota(int64_t quota_bytes, uint64_t used_bytes, int64_t cost);

}  // namespace store::apply
