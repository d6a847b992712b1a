// SPDX-License-Identifier: Apache-2.0
// LeaseTable: the replicated half of leases: which exist, their granted TTL and the keys attached
// to them. Every member holds the same table at the same applied index; deadlines are not here
// (lease_clock.h). One owner: the apply thread, which also writes the rows that restore it
// (apply_lease). Memory is bounded by the quota: a lease is a request that went through the log,
// and its keys are keys of the index.
#pragma once

#include "store/base/ids.h"

#include <absl/container/btree_map.h>
#include <absl/container/btree_set.h>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace store::lease {

struct Lease {
  int64_t ttl_seconds = 0;        // granted
  int64_t remaining_seconds = 0;  // last checkpoint; 0: none
  absl::btree_set<std::string> keys;
};

class LeaseTable {
 public:
  // false: exists already, nothing changed.
  bool Grant(LeaseId id, int64_t ttl_seconds, int64_t remaining_seconds = 0);
  // The attached keys in ascending order; nullopt: no such lease.
  std::optional<std::vector<std::string>> Revoke(LeaseId id);
  // false: no such lease.
  bool Checkpoint(LeaseId id, int64_t remaining_seconds);

  // The lease must exist (checked before the first effect of a transaction).
  void Attach(LeaseId id, std::string_view key);
  // No effect for lease 0 or a revoked one.
  void Detach(LeaseId id, std::string_view key);

  const Lease* Find(LeaseId id) const;
  bool Contains(LeaseId id) const { return Find(id) != nullptr; }
  size_t size() const { return leases_.size(); }
  size_t key_count() const { return key_count_; }
  // Ascending by id.
  const absl::btree_map<LeaseId, Lease>& leases() const { return leases_; }

 private:
  absl::btree_map<LeaseId, Lease> leases_;
  size_t key_count_ = 0;
};

}  // namespace store::lease
