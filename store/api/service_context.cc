// SPDX-License-Identifier: Apache-2.0
#include "store/api/service_context.h"

#include "store/apply/quota.h"

namespace store::api {

Room ServiceContext::TakeRoom(int64_t cost) const {
  if (cost == 0) return Room::kEnough;
  if (gauges.disk_room.load(std::memory_order_relaxed) != replica::DiskRoom::kEnough) {
    return Room::kDiskFull;
  }
  if (limits.quota_bytes > 0 &&
      !apply::FitsQuota(limits.quota_bytes, state.Read()->logical_bytes, cost)) {
    return Room::kOverQuota;
  }
  const bool fits = disk_allowance == nullptr || disk_allowance->TryTake(cost);
  return fits ? Room::kEnough : Room::kDiskFull;
}

}  // namespace store::api
