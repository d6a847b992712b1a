// SPDX-License-Identifier: Apache-2.0
// The door between io loops and the replica, from both sides. ReplicaDoor is what a loop may ask;
// it never blocks and may refuse (the loop offers again next turn). Edge is what one loop is told;
// its room was reserved when the call was admitted, so telling cannot fail. Each Edge method runs
// on that loop's thread. The services' pending calls implement Edge; ThreadEnv and the simulator
// implement ReplicaDoor.
#pragma once

#include "store/apply/report.h"
#include "store/apply/results.h"
#include "store/base/error.h"
#include "store/base/executor.h"
#include "store/base/ids.h"
#include "store/raft/types.h"
#include "store/replica/env.h"

#include <cstdint>
#include <memory>
#include <vector>

namespace store::replica {

class Edge {
 public:
  // Tickets up to and including `through` may be answered from the newest state.
  virtual void OnReadsGranted(uint64_t through) = 0;
  virtual void OnReadsFailed(uint64_t through, ErrorCode code) = 0;
  virtual void OnProposalsFailed(const std::vector<apply::RequestId>& ids, ErrorCode code) = 0;
  virtual void OnLeaseAnswers(const std::vector<LeaseAnswer>& answers) = 0;
  // An AdminRequest that no entry of the log answers. It may be one of a former life of this
  // member: the leader's refusal of that was still on its way.
  virtual void OnAdminAnswer(const apply::RequestId& id, ErrorCode code) = 0;
  virtual void OnResults(std::vector<apply::CallResult> results) = 0;
  virtual ~Edge() = default;
};

class ReplicaDoor {
 public:
  // Taken whole (the bundle is moved from) or refused whole.
  virtual bool TryPropose(ProposalBundle& bundle) = 0;
  // All tickets of that loop up to and including `through` want a linearizable read.
  virtual bool TryReadTickets(LoopId loop, uint64_t through) = 0;
  virtual bool TryLease(LoopId loop, std::vector<LeaseRequest>& requests) = 0;
  // Moved from when taken.
  virtual bool TryAdmin(AdminRequest& request) = 0;
  // Runs on the apply thread between batches: for reads of tables that only apply may touch.
  // Refused when the queue is full or the store is stopping.
  virtual bool TryRunOnApply(Action action) = 0;
  virtual ~ReplicaDoor() = default;
};

}  // namespace store::replica
