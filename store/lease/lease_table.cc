// SPDX-License-Identifier: Apache-2.0
#include "store/lease/lease_table.h"

#include "store/base/check.h"

#include <utility>

namespace store::lease {

bool LeaseTable::Grant(LeaseId id, int64_t ttl_seconds, int64_t remaining_seconds) {
  CHECK(id != LeaseId(0));
  return leases_.try_emplace(id, Lease{ttl_seconds, remaining_seconds, {}}).second;
}

std::optional<std::vector<std::string>> LeaseTable::Revoke(LeaseId id) {
  auto found = leases_.find(id);
  if (found == leases_.end()) return std::nullopt;
  std::vector<std::string> keys(found->second.keys.begin(), found->second.keys.end());
  key_count_ -= keys.size();
  leases_.erase(found);
  return keys;
}

bool LeaseTable::Checkpoint(LeaseId id, int64_t remaining_seconds) {
  auto found = leases_.find(id);
  if (found == leases_.end()) return false;
  found->second.remaining_seconds = remaining_seconds;
  return true;
}

void LeaseTable::Attach(LeaseId id, std::string_view key) {
  auto found = leases_.find(id);
  CHECK(found != leases_.end(), "attach to unknown lease {}", id.value());
  if (found->second.keys.insert(std::string(key)).second) ++key_count_;
}

void LeaseTable::Detach(LeaseId id, std::string_view key) {
  auto found = leases_.find(id);
  if (found == leases_.end()) return;
  key_count_ -= found->second.keys.erase(std::string(key));
}

const Lease* LeaseTable::Find(LeaseId id) const {
  auto found = leases_.find(id);
  return found == leases_.end() ? nullptr : &found->second;
}

}  // namespace store::lease
