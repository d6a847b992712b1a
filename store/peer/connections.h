// SPDX-License-Identifier: Apache-2.0
// Connections: since when this member has been connected to each other one without a break: what a
// call that timed out is told of the reason. Written by the peer loop, asked by any thread. One row
// per member.
#pragma once

#include "store/base/clock.h"
#include "store/base/thread.h"
#include "store/cluster/cluster_table.h"
#include "store/raft/types.h"

#include <map>
#include <optional>
#include <set>

namespace store::peer {

class Connections {
 public:
  explicit Connections(raft::NodeId self) : self_(self) {}

  void SetMembers(const cluster::MemberList& members) ABSL_LOCKS_EXCLUDED(mutex_);
  // nullopt: not connected.
  void Set(raft::NodeId peer, std::optional<TimePoint> since) ABSL_LOCKS_EXCLUDED(mutex_);

  bool ToMemberSince(raft::NodeId peer, TimePoint start) const ABSL_LOCKS_EXCLUDED(mutex_);
  // This member and enough others to decide anything.
  bool ToQuorumSince(TimePoint start) const ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  const raft::NodeId self_;
  mutable Mutex mutex_;
  std::set<raft::NodeId> voters_ ABSL_GUARDED_BY(mutex_);
  std::map<raft::NodeId, TimePoint> since_ ABSL_GUARDED_BY(mutex_);  // of the connected ones
};

}  // namespace store::peer
