// SPDX-License-Identifier: Apache-2.0
// Output: everything the core wants done, as one value. The host must execute all of it; order
// matters only where said. Persist units are numbered and never reused: Raft::OnPersisted(id) means
// "this unit and all before it are durable", so an acknowledgement cannot be taken for an older one
// of the same (index, term).
#pragma once

#include "store/raft/message.h"
#include "store/raft/types.h"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

namespace store::raft {

struct PersistUnit {
  uint64_t id = 0;
  std::optional<HardState> hard_state;
  std::optional<SnapshotMeta> reset_to;  // the log restarts behind this snapshot
  std::optional<Index> truncate_from;    // drop entries >= this before appending
  std::vector<EntryPtr> entries;
  bool must_sync = false;         // term, vote, entries or reset changed; a mere commit does not
  std::vector<Envelope> release;  // may leave only when this unit is durable
};

// Linearizable reads that joined `batch` may be served once applied >= index.
struct ReadGrant {
  ReadId batch;
  Index index;
};
// The host reads entries [from, to] back from its log store, at most bytes_max, and calls
// OnFetched.
struct Fetch {
  NodeId peer;
  Index from;
  Index to;
  size_t bytes_max = 0;
};
// The host sends a snapshot of at least this index to the peer and calls OnSnapshotSent.
struct SnapshotOrder {
  NodeId peer;
  Index at_least;
  Term term{};  // in which it was ordered: the notice carries it
};

enum class Role : uint8_t { kFollower, kPreCandidate, kCandidate, kLeader };
struct RoleChange {
  Role role = Role::kFollower;
  NodeId leader;  // 0: unknown
  Term term;
};

struct Output {
  std::vector<Envelope> send;  // may leave at once (thesis 10.2.1: before the own fsync)
  std::optional<PersistUnit> persist;
  std::vector<EntryPtr> apply;          // committed and durable here, contiguous
  std::optional<SnapshotMeta> restore;  // install before applying more
  std::vector<ReadGrant> reads;
  std::vector<ReadId> reads_failed;  // batches that will never be granted: leadership changed
  std::vector<Fetch> fetch;
  std::vector<SnapshotOrder> snapshots;
  std::optional<RoleChange> role;
  // Newest round that a quorum answered, the host's lease clock; none before the first commit of
  // the term and while leadership is handed over.
  std::optional<ReadId> quorum_round;
  // Leadership is on its way to another member, perhaps by the core's own decision: what earlier
  // rounds have given for reads is over.
  bool lease_ended = false;
};

}  // namespace store::raft
