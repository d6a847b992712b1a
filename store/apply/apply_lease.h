// SPDX-License-Identifier: Apache-2.0
// Leases: the replicated lease table together with the rows that restore it, and the lease
// commands. Every change of the table goes into the batch at once, so rows and keys reach the disk
// at the same cut. Owner: the state machine. Apply thread only. Bounded as lease_table.h says.
#pragma once

#include "store/apply/scope.h"
#include "store/lease/lease_table.h"
#include "store_command.pb.h"

#include <etcd/rpc.pb.h>

#include <string_view>

namespace store::apply {

// Seconds; etcd's limit.
inline constexpr int64_t kLeaseTtlMax = 9'000'000'000;

class Leases {
 public:
  Status Restore(const engine::Engine& engine);
  const lease::LeaseTable& table() const { return table_; }

  // The key goes from one lease to another; 0 is none. Both may be the same.
  void Move(std::string_view key, LeaseId from, LeaseId to, engine::WriteBatch& batch);

 private:
  friend Result<CallResult> ApplyLeaseGrant(CommandScope&, const etcdserverpb::LeaseGrantRequest&);
  friend bool RevokeOne(CommandScope&, LeaseId);
  friend Result<CallResult> ApplyLeaseCheckpoint(CommandScope&,
                                                 const etcdserverpb::LeaseCheckpointRequest&);

  lease::LeaseTable table_;
};

// The edge has chosen the id and has raised the TTL to the minimum.
Result<CallResult> ApplyLeaseGrant(CommandScope& scope,
                                   const etcdserverpb::LeaseGrantRequest& request);
// One revision for each lease that has keys. Unknown ids are skipped when the leader revokes
// overdue leases, and are the answer when a client asked.
Result<CallResult> ApplyLeaseRevoke(CommandScope& scope,
                                    const sluice::store::LeaseRevokeBatch& request);
Result<CallResult> ApplyLeaseCheckpoint(CommandScope& scope,
                                        const etcdserverpb::LeaseCheckpointRequest& request);

}  // namespace store::apply
