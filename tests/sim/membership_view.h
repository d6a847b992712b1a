// SPDX-License-Identifier: Apache-2.0
// MembershipView: whom one simulated process speaks to and whom it lets speak, by the membership
// it has applied: the rules of peer::PeerSet and of ThreadEnv::OnMembers. One thread.
#pragma once

#include "store/cluster/cluster_table.h"

#include <algorithm>
#include <set>

namespace store::sim {

class MembershipView {
 public:
  enum class Judgement : uint8_t { kKnown, kUnknown, kRemoved };

  // `remotes`: of the group that this member joins, until the log has told.
  MembershipView(raft::NodeId self, const cluster::MemberList& remotes) : self_(self) {
    for (const cluster::Member& member : remotes) remotes_.insert(member.id);
  }

  void Set(const cluster::MemberList& members, const cluster::RemovedList& removed) {
    known_.clear();
    learner_ = false;
    for (const cluster::Member& member : members) {
      known_.insert(member.id);
      if (member.id == self_) learner_ = member.learner;
    }
    known_.insert(remotes_.begin(), remotes_.end());
    removed_ = removed;
    for (raft::NodeId gone : removed_) known_.erase(gone);
    known_.erase(self_);
  }

  // It speaks for the same group and was added after all that this member has applied.
  void AddRemote(raft::NodeId peer) {
    remotes_.insert(peer);
    known_.insert(peer);
  }
  bool Knows(raft::NodeId peer) const { return known_.contains(peer); }
  const std::set<raft::NodeId>& known() const { return known_; }
  Judgement Judge(raft::NodeId peer) const {
    if (WasRemoved(peer)) return Judgement::kRemoved;
    return Knows(peer) ? Judgement::kKnown : Judgement::kUnknown;
  }
  bool WasRemoved(raft::NodeId id) const {
    return std::binary_search(removed_.begin(), removed_.end(), id);
  }
  bool learner() const { return learner_; }

 private:
  const raft::NodeId self_;
  std::set<raft::NodeId> remotes_;
  std::set<raft::NodeId> known_;
  cluster::RemovedList removed_;
  bool learner_ = false;
};

}  // namespace store::sim
