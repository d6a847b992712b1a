// SPDX-License-Identifier: Apache-2.0
// Tracker: all members of the group as the leader sees them, itself included, and what a quorum of
// them has reached. It lives inside the leader's role and dies with it, so nothing of an old term
// can leak into a new one. Owned by a Raft, single-threaded.
#pragma once

#include "store/raft/config.h"
#include "store/raft/progress.h"
#include "store/raft/types.h"

#include <map>
#include <vector>

namespace store::raft {

class Tracker {
 public:
  Tracker(const Config& config, const ConfState& conf, Index last);

  // Members come and go; those that stay keep their progress. A new one is probed from `last` on.
  void SetConf(const ConfState& conf, Index last);

  Progress* Find(NodeId node);
  const Progress* Find(NodeId node) const;
  std::map<NodeId, Progress>& all() { return members_; }
  const std::map<NodeId, Progress>& all() const { return members_; }

  // Greatest index that a quorum of voters holds durably.
  Index QuorumMatch() const;
  // Lowest match of any member but oneself: entries up to there are needed by nobody.
  Index LowestPeerMatch() const;
  // Whether a quorum, oneself included, was heard from since the last call; starts a new interval.
  bool TakeQuorumActive();

 private:
  NodeId self_;
  size_t inflight_messages_max_;
  size_t inflight_bytes_max_;
  ConfState conf_;
  std::map<NodeId, Progress> members_;  // voters of both halves and learners
};

}  // namespace store::raft
