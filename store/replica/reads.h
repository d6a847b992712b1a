// SPDX-License-Identifier: Apache-2.0
// Reads: tickets for linearizable reads. A loop numbers its waiting reads; a ticket means "all up
// to here". Tickets join the core's next read round; when the round is granted at index i and
// applied >= i, the loop is told one number. A round that got no answer in time is asked for again
// under a new id, never under the old one (etcd #20418). Replica thread only. Bounded: one row per
// loop and round, at most one round a turn.
#pragma once

#include "store/raft/raft.h"
#include "store/replica/env.h"

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>

namespace store::replica {

// Tickets since the start: asked for again because no answer came in time; failed with their
// leader.
struct ReadCounts {
  uint64_t slow = 0;
  uint64_t failed = 0;
};

class Reads {
 public:
  Reads(Duration retry, Env& env) : retry_(retry), env_(env) {}

  void Join(LoopId loop, uint64_t through, raft::Raft& raft);
  void OnGrant(const raft::ReadGrant& grant);
  // The core will never grant these batches: leadership changed while they waited.
  void OnFailed(raft::ReadId batch);
  void OnApplied(raft::Index applied);
  // Asks again for what has waited longer than `retry`.
  void Retry(raft::Raft& raft);
  void FailAll(ErrorCode code);
  size_t size() const { return waiting_.size() + granted_.size(); }
  const ReadCounts& counts() const { return counts_; }

 private:
  struct Waiting {
    LoopId loop;
    uint64_t through = 0;
    raft::ReadId batch;
    TimePoint asked;
  };
  struct Granted {
    LoopId loop;
    uint64_t through = 0;
    raft::Index index;
  };
  void Release();

  const Duration retry_;
  Env& env_;
  ReadCounts counts_;
  raft::Index applied_;
  std::deque<Waiting> waiting_;  // batches ascending
  std::deque<Granted>
      granted_;  // index ascending: grants of one leader never go back, and applied waits
};

}  // namespace store::replica
