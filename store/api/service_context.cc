// SPDX-License-Identifier: Apache-2.0
#include "store/api/service_context.h"

#include "store/apply/quota.h"

namespace store::api {

bool ServiceContext::HasRoom(int64_t cost) const {
  if (cost == 0) return true;
  if (!DiskHasRoom()) return false;
  if (limits.quota_bytes <= 0) return true;
  return apply::FitsQuota(limits.quota_bytes, state.Read()->logical_bytes, cost);
}

}  // namespace store::api
