// SPDX-License-Identifier: Apache-2.0
// The nouns of the protocol: ids, log entries, the durable state of a member and the configuration
// of the group. Plain values; an Entry is immutable once made and is shared by the core's window,
// the log writer, every peer queue and the applier, so it is copied nowhere.
#pragma once

#include "store/base/strong_type.h"

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace store::raft {

struct TermTag {
  static constexpr bool kArithmetic = true;
};
using Term = StrongInt<TermTag, uint64_t>;

// Position in the log, from 1; 0 is "before the first entry".
struct IndexTag {
  static constexpr bool kArithmetic = true;
};
using Index = StrongInt<IndexTag, uint64_t>;

// A member; the same number as the API's member id. 0 is "nobody".
struct NodeIdTag {
  static constexpr bool kArithmetic = false;
};
using NodeId = StrongInt<NodeIdTag, uint64_t>;

// Number of a read round; grows within a term and is never used twice, also not for a retry (etcd
// #20418).
struct ReadIdTag {
  static constexpr bool kArithmetic = true;
};
using ReadId = StrongInt<ReadIdTag, uint64_t>;

enum class EntryKind : uint8_t { kNoop = 0, kCommand = 1, kConfChange = 2 };

struct Entry {
  Term term;
  Index index;
  EntryKind kind = EntryKind::kNoop;
  std::string data;
};
using EntryPtr = std::shared_ptr<const Entry>;

// What a member must never forget. `commit` is written along but not synced for its own sake: every
// entry a member has applied was committed, which gives a floor after a restart (etcd #10217).
struct HardState {
  Term term;
  NodeId vote;
  Index commit;
  friend bool operator==(const HardState&, const HardState&) = default;
};

// Who votes and who only receives. `outgoing` is the old half of a joint configuration
// (thesis 4.3); it is empty in every state this version can enter, but all quorum arithmetic
// honours it. Sorted, unique.
struct ConfState {
  std::vector<NodeId> voters;
  std::vector<NodeId> outgoing;
  std::vector<NodeId> learners;
  friend bool operator==(const ConfState&, const ConfState&) = default;
};

enum class ConfChangeKind : uint8_t {
  kNone = 0,  // decided at apply to change nothing: raft only learns that the pending one is over
  kAddVoter = 1,  // also promotes a learner
  kAddLearner = 2,
  kRemove = 3,
};
struct ConfChange {
  ConfChangeKind kind = ConfChangeKind::kNone;
  NodeId node;
  std::string context;  // opaque to raft: the membership command
};

struct SnapshotMeta {
  Index index;
  Term term;
  ConfState conf;
  friend bool operator==(const SnapshotMeta&, const SnapshotMeta&) = default;
};

// All entries from `first` up to the next run have `term`. The whole log is a few runs.
struct TermRun {
  Index first;
  Term term;
  friend bool operator==(const TermRun&, const TermRun&) = default;
};

}  // namespace store::raft
