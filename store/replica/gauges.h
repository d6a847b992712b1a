// SPDX-License-Identifier: Apache-2.0
// RaftGauges: what other threads may know of the replica without asking it: a few atomics that the
// replica thread writes once per turn. Good for headers, health, Status and metrics; never for a
// decision that must be linearizable.
#pragma once

#include "store/raft/status.h"

#include <atomic>
#include <cstdint>

namespace store::replica {

// What the member's disk leaves to writes (disk_guard.h).
enum class DiskRoom : uint8_t {
  kEnough,
  kLow,   // what needs room is refused; deletes, compactions and revocations go on
  kNone,  // nothing new is taken
};

struct RaftGauges {
  std::atomic<uint64_t> term{0};
  std::atomic<uint64_t> leader{0};  // 0: none
  std::atomic<bool> is_leader{false};
  std::atomic<bool> is_learner{false};
  std::atomic<uint64_t> commit{0};
  std::atomic<uint64_t> applied{0};
  std::atomic<uint64_t> first{0};
  std::atomic<uint64_t> last{0};
  std::atomic<uint64_t> leader_changes{0};
  std::atomic<uint64_t> ticks{0};            // of the replica's clock: it lives
  std::atomic<uint64_t> late_heartbeats{0};  // of this member as the leader
  std::atomic<uint64_t> slow_applies{0};     // batches (apply_worker.h)
  std::atomic<uint64_t> slow_reads{0};       // tickets (reads.h)
  std::atomic<uint64_t> failed_reads{0};
  std::atomic<uint64_t> proposals_waiting{0};
  std::atomic<uint64_t> forwarded_bytes{0};  // of other members, waiting here
  std::atomic<uint64_t> window_bytes{0};
  std::atomic<uint64_t> uncommitted_bytes{0};
  std::atomic<int64_t> no_leader_since_ns{
      0};  // TimePoint of the replica's clock; 0: there is a leader

  std::atomic<DiskRoom> disk_room{DiskRoom::kEnough};
  std::atomic<uint64_t> disk_available_bytes{0};

  void Publish(const raft::Position& position) {
    term.store(position.term.value(), std::memory_order_relaxed);
    leader.store(position.leader.value(), std::memory_order_relaxed);
    is_leader.store(position.role == raft::Role::kLeader, std::memory_order_relaxed);
    commit.store(position.commit.value(), std::memory_order_relaxed);
    applied.store(position.applied.value(), std::memory_order_relaxed);
    first.store(position.first.value(), std::memory_order_relaxed);
    last.store(position.last.value(), std::memory_order_relaxed);
    window_bytes.store(position.window_bytes, std::memory_order_relaxed);
    uncommitted_bytes.store(position.uncommitted_bytes, std::memory_order_relaxed);
  }
};

}  // namespace store::replica
