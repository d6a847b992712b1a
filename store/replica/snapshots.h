// SPDX-License-Identifier: Apache-2.0
// Snapshots: what this member sends to laggards and what it received. Taking one is free (the state
// is on disk); what must be decided is when one is sent, and how much of the log stays meanwhile.
//
//   order of the core ─► waiting ─► sending ─► installing ─► the peer's log goes on: forgotten
//                          ▲  at most sends_max at once, one per peer    │
//                          └───── failed: after a pause that doubles ◄───┘
//
// From the order until the peer's log goes on, the entries behind the snapshot stay in the log
// (etcd's pause rule), or the peer would need another snapshot at once; but not more than
// kept_bytes_max of them (LogRetention): then the log is cut and the core orders a new one when it
// asks the peer again. Received: one at a time is offered to the core, which installs it or does
// not want it any more; then its files are dropped.
//
// Deterministic; replica thread only. Bounded by one row per peer.
#pragma once

#include "store/base/clock.h"
#include "store/raft/raft.h"
#include "store/replica/env.h"

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>

namespace store::replica {

struct SnapshotLimits {
  size_t sends_max = 2;
  Duration retry_min = std::chrono::seconds(1);
  Duration retry_max = std::chrono::seconds(30);
  // A peer that has the whole snapshot and does not go on within this time holds up the cut of the
  // log no longer.
  Duration install_max = std::chrono::minutes(10);
};

class Snapshots {
 public:
  Snapshots(const SnapshotLimits& limits, raft::NodeId self, Env& env)
      : limits_(limits), self_(self), env_(env) {}

  // Sending.
  void OnOrder(const raft::SnapshotOrder& order, TimePoint now);
  void OnTaken(const SnapshotTaken& taken);
  void OnSent(const SnapshotSent& sent, TimePoint now, raft::Raft& raft);
  void OnRole(bool leads);
  void OnTick(TimePoint now, const raft::Raft& raft);
  // The log must not be cut beyond this, as far as the limit allows.
  std::optional<raft::Index> Kept() const;

  // Receiving.
  void OnReceived(const SnapshotReceived& received, raft::Raft& raft);
  void OnRestore(const raft::SnapshotMeta& meta);  // the core wants it installed
  void OnInstalled();
  // After the core's output was executed: what it did not want goes.
  void Settle();
  bool installing() const { return installing_; }

  size_t sending() const;

 private:
  enum class Phase : uint8_t {
    kWaiting,     // for its turn, or for the end of a pause
    kSending,     // the transfer runs, or its checkpoint is being made
    kAbandoned,   // the same, but nobody wants it any more; its end is awaited
    kInstalling,  // the peer has it
    kResting,     // failed; the pause counts for the next order
  };
  struct Row {
    Phase phase = Phase::kWaiting;
    raft::SnapshotOrder order;
    raft::Index index;  // ordered at least; once taken, of the snapshot itself
    std::optional<raft::SnapshotOrder> again;  // ordered while one was under way
    TimePoint since;                           // of kInstalling
    TimePoint not_before;
    Duration pause{0};
    uint64_t turn = 0;  // of kWaiting: smaller waits longer
  };

  void Wait(Row& row, const raft::SnapshotOrder& order, TimePoint now);
  void StartWaiting(TimePoint now);
  Row* LongestWaiting(TimePoint now);
  void Rest(Row& row, TimePoint now);

  const SnapshotLimits limits_;
  const raft::NodeId self_;
  Env& env_;
  std::map<raft::NodeId, Row> rows_;
  uint64_t last_turn_ = 0;
  std::optional<raft::SnapshotMeta> received_;  // offered to the core, not yet decided
  bool installing_ = false;
};

}  // namespace store::replica
