// SPDX-License-Identifier: Apache-2.0
// What apply tells others after each batch: the replica gets one ApplyReport, each io loop the
// results of its own calls. Values.
#pragma once

#include "store/base/error.h"
#include "store/base/ids.h"
#include "store/cluster/cluster_table.h"
#include "store/raft/types.h"

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

namespace store::apply {

// Who waits for a command. Unique for ever: the nonce is random per process start, so entries of a
// former life answer nobody.
struct RequestId {
  uint64_t member = 0;
  uint64_t boot_nonce = 0;
  LoopId loop;
  uint64_t counter = 0;
  friend bool operator==(const RequestId&, const RequestId&) = default;
};

// What became of a lease in this batch, for the leader's clock.
struct LeaseChange {
  enum class Kind : uint8_t { kGranted, kRevoked, kCheckpointed };
  Kind kind = Kind::kGranted;
  LeaseId id;
  int64_t ttl_seconds = 0;        // granted
  int64_t remaining_seconds = 0;  // checkpointed; 0: none
};

struct ApplyReport {
  raft::Index applied;
  raft::Index durable;  // applied index a crash now would keep; the log may be cut there
  Revision current;
  std::vector<raft::ConfChange> conf_changes;  // as decided by membership, in log order
  std::vector<LeaseChange> leases;
  // Null unless a member came, went or changed in this batch.
  std::shared_ptr<const cluster::MemberList> members;
  std::shared_ptr<const cluster::RemovedList> removed;
  size_t expiry_entries = 0;  // entries in which the leader revoked overdue leases
  size_t bytes = 0;           // of the entries, as handed out by Output::apply
};

}  // namespace store::apply
