// SPDX-License-Identifier: Apache-2.0
// StateView: what the edge reads: one immutable picture of everything replicated at one applied
// index. Apply publishes a new one per batch through one atomic pointer; old ones are reclaimed
// through the epoch slots of the key index, so a reader takes no lock and touches no reference
// count. A reader enters (StateMachine::Read) for one action on its thread and keeps no pointer
// beyond it.
#pragma once

#include "store/base/ids.h"
#include "store/cluster/alarm_table.h"
#include "store/cluster/cluster_table.h"
#include "store/raft/types.h"

#include <memory>
#include <string>
#include <vector>

namespace store::mvcc {
struct IndexRoot;
}

namespace store::apply {

struct StateView {
  raft::Index applied;
  raft::Term applied_term;
  Revision current;
  Revision compacted;          // -1: never
  uint64_t logical_bytes = 0;  // sum of header and value sizes: what the quota counts
  // Shared between views until they change.
  std::shared_ptr<const cluster::MemberList> members;
  std::shared_ptr<const cluster::RemovedList> removed;  // ids that can never come back
  std::shared_ptr<const cluster::AlarmTable> alarms;
  std::shared_ptr<const std::string> cluster_version;  // "3.7.0"; empty until decided
  std::shared_ptr<const cluster::Downgrade> downgrade;
  const mvcc::IndexRoot* index = nullptr;
};

}  // namespace store::apply
