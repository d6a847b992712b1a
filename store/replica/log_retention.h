// SPDX-License-Identifier: Apache-2.0
// LogRetention: where the log may be cut. It is cut behind the durable applied index, keeping what
// a briefly absent member may still need: the newest `entries` entries, but not more than `bytes`
// of them. Taking a snapshot is free (the state is on disk), so cutting is the whole of it. Replica
// thread only; one row per 64 entries that the log still holds.
#pragma once

#include "store/raft/types.h"

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>

namespace store::replica {

struct RetentionLimits {
  uint64_t entries = 5000;
  uint64_t bytes = 64 << 20;
  uint64_t step_entries = 1000;  // cut in steps, not entry by entry
  // Behind a snapshot that is on its way to a peer.
  uint64_t snapshot_bytes = 256 << 20;
};

class LogRetention {
 public:
  explicit LogRetention(const RetentionLimits& limits) : limits_(limits) {}

  void OnApplied(raft::Index applied, size_t bytes);
  // The index through which the log should be forgotten now; nullopt: nothing worth doing.
  // `truncated` is where it is cut today. Entries behind `kept` stay (a snapshot is on its way),
  // while they are not more than snapshot_bytes.
  std::optional<raft::Index> Decide(raft::Index durable, raft::Index truncated,
                                    std::optional<raft::Index> kept = {});
  // A snapshot took the place of the log.
  void Reset();

 private:
  // Of the entries behind `index`, give or take a mark's distance.
  uint64_t BytesBehind(raft::Index index) const;

  struct Mark {
    raft::Index index;
    uint64_t bytes_before = 0;  // total bytes of entries up to and including `index`
  };
  const RetentionLimits limits_;
  std::deque<Mark> marks_;
  uint64_t bytes_total_ = 0;
};

}  // namespace store::replica
